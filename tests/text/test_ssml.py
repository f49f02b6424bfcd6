"""SSML: a table of documents, positions, bounds, and what no document may do."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from farm.errors import FarmError, InvalidInput, UnknownVoice
from farm.jobs import Block, Prosody
from farm.text import documents, ssml, walking
from farm.text.ssml import Document, Setting, is_ssml, read, voices_of

VOICES = {"ann": "en", "bob": "en-GB", "mei": "zh-CN"}
SETTING = Setting(VOICES, language="en")
#: Seconds of its own thread that a document may take on a busy machine: it takes under one.
PATIENCE_S = 30.0
CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "ssml.jsonl").read_text(encoding="utf-8").splitlines()
]
ENDS = {"clause": ",", "sentence": ".", "": "¶"}


def shown(block: Block) -> str:
    """A block as the table writes it: its words, voice, language, prosody, and what ends it."""
    text = block.text
    for at, after, ipa in reversed(block.phones):
        text = f"{text[:at]}{text[at:after]}{{{ipa}}} {text[after:]}"
    words = [*text.split()]
    words += [f"@{block.voice}"] * bool(block.voice) + [f":{block.language}"] * bool(block.language)
    if how := block.prosody:
        words += [f"x{how.speed:g}"] * (how.speed != 1)
        words += [f"{how.pitch:+g}st"] * (how.pitch != 0)
        words += [f"{how.volume:+g}dB"] * (how.volume != 0)
    end = ENDS[block.ends] if block.pause_ms is None else str(block.pause_ms)
    return " ".join([*words, f"|{end}"])


def speak(inside: str, **attributes: str) -> str:
    more = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<speak{more}>{inside}</speak>"


def said(document: Document) -> list[str]:
    return [" ".join(block.text.split()) for block in document.blocks]


@pytest.mark.parametrize("case", CASES, ids=[str(n) for n in range(1, len(CASES) + 1)])
def test_a_document_of_the_table_is_read_as_it_says(case: dict[str, Any]) -> None:
    document = read(case["ssml"], SETTING)
    assert [shown(block) for block in document.blocks] == case["blocks"]
    assert list(document.warnings) == case["warnings"]


def test_the_table_is_long_and_warns_of_much() -> None:
    assert len(CASES) >= 100
    assert sum(bool(case["warnings"]) for case in CASES) >= 30


def test_namespaced_and_bare_documents_are_the_same() -> None:
    bare = read(speak("<p>One.</p><s>Two.</s>"))
    space = f' xmlns:x="{walking.SPEECH}"'
    named = read(f"<x:speak{space}><x:p>One.</x:p><x:s>Two.</x:s></x:speak>")
    assert read(speak("<p>One.</p><s>Two.</s>", xmlns=walking.SPEECH)) == bare == named


def test_the_documents_changes_are_relative_to_the_settings_prosody() -> None:
    usual = Prosody(speed=1.5, volume=-3, speaker="p1")
    inside = '<prosody rate="2" volume="+3dB">Go</prosody><voice name="bob">on</voice>'
    first, second = read(speak(inside), Setting(VOICES, usual, "en")).blocks
    assert first.prosody == Prosody(speed=3.0, volume=0, speaker="p1")
    assert second.prosody == Prosody(speed=1.5, volume=-3)


def test_a_voices_text_is_in_its_own_language_unless_it_says_otherwise() -> None:
    inside = '<voice name="mei">你好。</voice><voice name="mei" xml:lang="en-US">Hello.</voice>'
    root = f'<speak xml:lang="en-US" version="1.1">{inside}</speak>'
    assert [block.language for block in read(root, SETTING).blocks] == ["zh-CN", "en-US"]


def test_an_unknown_voice_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(UnknownVoice, match=r"line 2: unknown voice 'zoe'; .* ann, bob, mei"):
        read(speak('\n<voice name="zoe">Hi</voice>'), SETTING)


def test_every_voice_that_is_named_is_reported_once() -> None:
    inside = '<voice name="b a">x<voice name="c">y</voice></voice><voice name="a">z</voice>'
    assert voices_of(speak(inside)) == ("b", "a", "c")
    assert voices_of(speak("none")) == ()


WORDS = st.sampled_from(["One.", "two", " three, ", "第四。", "& five!", "\n", "six seven"])
MARKUP = st.sampled_from(
    ['<sub alias="World Wide Web">W</sub>', '<sub alias="">gone</sub>', '<sub alias="I">we</sub>',
     '<say-as interpret-as="digits">12</say-as>', "<desc>not this</desc>", "<mark/>", "<!-- no -->",
     "<emphasis>much</emphasis>", "<break/>", "<s>A sentence. Of two.</s>", "<p>Para.</p>"]
)  # fmt: skip
ESCAPED = WORDS.map(lambda words: words.replace("&", "&amp;"))


@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(ESCAPED | MARKUP, max_size=15))
def test_blocks_stand_in_the_documents_text_without_its_markup(pieces: list[str]) -> None:
    document = speak("".join(pieces))
    text = str(etree.fromstring(document).xpath("string(.)"))
    last = 0
    for block in read(document).blocks:
        end = block.in_source(len(block.text))
        assert last <= block.start <= end <= len(text)
        last = end
        if not block.anchors:
            assert block.text.split() == text[block.start : end].split()


@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(WORDS, max_size=12), cuts=st.lists(st.integers(0, 60), max_size=6))
def test_markup_without_a_meaning_changes_no_text(pieces: list[str], cuts: list[int]) -> None:
    text = "".join(pieces)
    at = sorted({min(cut, len(text)) for cut in cuts})
    parts = [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]
    escaped = [part.replace("&", "&amp;") for part in parts]
    marked = read(speak("<w>x</w>".join(escaped).replace("<w>x</w>", "<token/>")))
    assert said(marked) == said(read(speak(text.replace("&", "&amp;"))))
    assert marked.warnings == ()


def test_a_replaced_word_leaves_its_neighbours_where_they_are() -> None:
    (block,) = read(speak('The <sub alias="World Wide Web">WWW</sub> here.')).blocks
    assert block.text == "The World Wide Web here."
    assert (block.in_source(0), block.in_source(4), block.in_source(18)) == (0, 4, 7)
    assert (block.in_source(19), block.in_source(24)) == (8, 13)
    assert [block.in_text(position) for position in (0, 4, 7, 8, 13)] == [0, 4, 18, 19, 24]


REFUSED = {
    "no XML": "hello",
    "nothing": "",
    "another root": "<html/>",
    "another namespace's speak": '<speak xmlns="urn:other"/>',
    "an open element": "<speak><p></speak>",
    "a DTD": "<!DOCTYPE speak><speak/>",
    "a DTD behind a comment": "<?xml version='1.0'?><!-- a --> <!DOCTYPE speak><speak/>",
    "an entity": "<speak>&nbsp;</speak>",
    "NUL": "<speak>\0</speak>",
    "half a character": "<speak>\ud800</speak>",
    "an unknown prefix": "<speak><x:y>a</x:y></speak>",
    "bytes that are no UTF-8": b"<speak>\xff</speak>",
    "half of UTF-16": b"\xff\xfe<",
    "an encoding that the farm does not read": b"<?xml version='1.0' encoding='utf-7'?><speak/>",
    "an encoding that is none": b"<?xml version='1.0' encoding='zip'?><speak/>",
    "too many tags": "<speak>" + "<p/>" * ssml.MOST_TAGS + "</speak>",
    "too many elements in one another": "<speak>" + "<p>" * 150 + "</p>" * 150 + "</speak>",
    "very many in one another": "<speak>" + "<p>" * 50_000 + "</p>" * 50_000 + "</speak>",
    "too much": "<speak>" + "a" * ssml.LARGEST + "</speak>",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_it_refuses(data: str | bytes) -> None:
    begin = time.thread_time()
    with pytest.raises(InvalidInput) as caught:
        read(data)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert time.thread_time() - begin < PATIENCE_S


LAUGHS = (
    '<!DOCTYPE speak [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in itertools.pairwise("abcdefghi"))
    + "]>"
)  # fmt: skip


@pytest.mark.parametrize("inside", ["&i;", '<sub alias="&i;">x</sub>'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_billion_laughs_are_refused_at_once(inside: str, encoding: str) -> None:
    begin = time.thread_time()
    with pytest.raises(InvalidInput, match="document type declaration"):
        read((LAUGHS + speak(inside)).encode(encoding))
    assert time.thread_time() - begin < PATIENCE_S


def test_nothing_outside_a_document_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    entity = f'<!DOCTYPE speak [<!ENTITY x SYSTEM "file://{secret}">]>'
    with pytest.raises(InvalidInput, match="document type declaration"):
        read(entity + speak("&x;"))
    include = f'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="{secret}" parse="text"/>'
    document = read(speak(f'Hi <audio src="file://{secret}"/>{include}<lexicon uri="{secret}"/>'))
    assert said(document) == ["Hi"]
    assert len(document.warnings) == 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk", "iso-8859-1"])
def test_a_document_is_read_in_the_encoding_that_it_says(encoding: str) -> None:
    words = "café" if encoding == "iso-8859-1" else "你好"
    head = "" if encoding.startswith("utf") else f'<?xml version="1.0" encoding="{encoding}"?>'
    assert said(read((head + speak(words)).encode(encoding))) == [words]


def test_a_document_of_five_megabytes_is_read_whole() -> None:
    words = "Some words of a long story. " * 70
    paragraph = f"<p>{words}<emphasis>And</emphasis> more.</p>"
    count = 5 * 2**20 // len(paragraph) + 1
    begin = time.thread_time()
    document = read(speak(paragraph * count), SETTING)
    assert len(document.blocks) == 3 * count
    assert document.blocks[-1].start == (len(words) + 9) * count - len(" more.")
    assert time.thread_time() - begin < PATIENCE_S


def test_warnings_are_told_once_with_their_first_line_and_bounded() -> None:
    document = read(speak("\n<a>x</a>\n<a>y</a>"))
    assert document.warnings == ("line 2: <a> is not known: only its text is spoken",)
    many = read(speak("".join(f"<e{n}/>" for n in range(500))))
    assert len(many.warnings) == walking.MOST_WARNINGS + 1
    assert many.warnings[-1] == "there are more warnings than are told here"


def words(text: str) -> list[str]:
    return text.split()


NAMES = st.sampled_from(
    words(
        "speak p s token w say-as phoneme sub lang voice emphasis break prosody audio mark desc "
        "lexicon lookup meta metadata foo mstts:silence bookmark"
    )
)
ATTRIBUTES = st.sampled_from(
    words(
        "rate pitch volume contour time strength level name alias interpret-as format xml:lang "
        "src ph mark gender"
    )
)
VALUES = st.sampled_from(
    words(
        "50% +9% -300% 1e9 9999999999 -0 +2st -40Hz 3s 99999s -1ms none x-fast loud 0 silent ann "
        "zoe date mdy dmy ymd ordinal cardinal telephone characters fr zh- ?"
    )
) | st.text(max_size=8)  # fmt: skip
TEXT = st.sampled_from(["a", "1984", "3/4/2026", "-7", "№", "  ", "Dr.", "你", "."]) | st.text(
    max_size=12
)


def quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def element(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    attributes = st.dictionaries(ATTRIBUTES, VALUES, max_size=3).map(
        lambda given: "".join(f' {name}="{quoted(value)}"' for name, value in given.items())
    )
    return st.builds(
        lambda name, given, held: f"<{name}{given}>{''.join(held)}</{name}>",
        NAMES,
        attributes,
        st.lists(inside, max_size=4),
    )


TREES = st.recursive(TEXT.map(quoted), element, max_leaves=15)


@settings(max_examples=400, deadline=None)
@given(inside=TREES)
def test_any_document_is_read_or_refused(inside: str) -> None:
    begin = time.thread_time()
    try:
        document = read(speak(inside, **{"xmlns:mstts": walking.AZURE}), SETTING)
    except FarmError:
        return
    finally:
        assert time.thread_time() - begin < PATIENCE_S
    for block in document.blocks:
        assert block.phones or any(character.isalnum() for character in block.text)
        assert (block.pause_ms or 0) >= 0
        assert block.prosody is None or 0.25 <= block.prosody.speed <= 4


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda t: f"<speak>{t}</speak>"))
def test_any_bytes_are_read_or_refused(data: bytes | str) -> None:
    try:
        document = read(data)
    except FarmError:
        return
    assert all(block.text.strip() for block in document.blocks)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<speak>a</speak>", True),
        ('\ufeff <?xml version="1.0"?><!-- a --><speak version="1.1">', True),
        ("<x:speak xmlns:x='y'/>", True),
        ("<speaker>", False),
        ("<p><speak/></p>", False),
        ("Say <speak>", False),
        ("", False),
    ],
)
def test_ssml_is_known_by_its_root(text: str, expected: bool) -> None:
    assert is_ssml(text) is expected


@pytest.mark.parametrize("name", ["talk.ssml", "TALK.SSML", "talk.xml"])
def test_a_file_of_ssml_is_one_section(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(speak('<p>One.</p><foo/><voice name="bob">Two.</voice>'))
    document = documents.read(path, name, setting=SETTING)
    (section,) = document.sections
    assert [block.text for block in section.blocks] == ["One.", "Two."]
    assert document.voices == ("bob",)
    assert section.warnings == ("line 1: <foo> is not known: it is passed over",)


def test_other_xml_is_text_and_a_silent_document_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "note.xml"
    path.write_text("<note>One.</note>")
    (section,) = documents.read(path, "note.xml").sections
    assert section.blocks[0].text == "<note>One.</note>"
    path.write_text(speak("<break/>"))
    with pytest.raises(InvalidInput, match="no text to speak"):
        documents.read(path, "note.ssml")
