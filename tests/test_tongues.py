"""Which language is spoken: the job's, else the document's, never one that the voice does not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from farm import keys, paging, planning, reading, voices
from farm.errors import InvalidInput, UnknownVoice
from farm.jobs import Item, Kind, Spec, Voice
from farm.plans import Passage
from farm.schema import from_json
from farm.storage.local import LocalStore
from farm.text import lexicon
from farm.voices import tongues
from tests.running import tone
from tests.text.epubs import page, write_epub
from tests.text.lexicons import aliases

#: Speaks what a released YourTTS does.
BABBLER = tone("babbler", engine="yourtts_onnx", languages=("en", "fr-FR", "pt-BR"))
#: Engines whose voices are known to speak their own language only.
SINGLE = ["fastspeech2", "piper", "piper_http", "vits", "yourtts", "yourtts_onnx"]
LEXICON = aliases("fr", Bonjour="salut").encode()


def read_items(folder: Path, data: str | Path, name: str, **changes: Any) -> list[Item]:
    """Read an input as the farm does; `voices` are a voice and those that it may use besides."""
    store = LocalStore(folder / "store")
    cast: tuple[Voice, ...] = changes.pop("voices", (BABBLER,))
    suffix = Path(name).suffix
    kind: Kind = changes.pop("kind", "batch" if suffix == ".jsonl" else "book")
    known = {voice.id: voice for voice in cast}
    spec = Spec("j", kind, "farm", "ann", "in", cast[0].id, known, 1, name=name, **changes)
    for wanted in spec.lexicons:
        store.put(keys.job("j", "input", wanted), LEXICON)
    store.put("in", data.read_bytes() if isinstance(data, Path) else data.encode())
    pages: list[int] = []
    reading.read(store, spec, 1, pages.append)
    rows = [store.get(keys.plan("j", 1, "source", page)).splitlines() for page in pages]
    return [from_json(Passage, row).item for page in rows for row in page]


def epub(folder: Path, language: str) -> Path:
    """Write a book that says it is in a language."""
    text = page("<h1>Bonjour</h1><p>Il a 21 ans.</p>")
    return write_epub(folder / "book.epub", {"a.xhtml": text}, language=language)


@pytest.mark.parametrize(
    ("language", "known"),
    [
        ("fr", "fr"),
        (" fr-CA ", "fr-CA"),
        ("en_US", "en-US"),
        ("zh-Hans-CN", "zh-Hans-CN"),
        ("fre", "fr"),
        ("French", "fr"),
        ("", ""),
        ("  ", ""),
        ("und", ""),
        ("UND-Latn", ""),
        ("zxx", ""),
        ("mul", ""),
        ("français", ""),
        ("francais", ""),
        ("fr, en", ""),
        ("en-", ""),
        ("en" + "-a" * 7, ""),
        ("x-klingon", ""),
        ("?", ""),
    ],
)
def test_what_is_no_tag_of_a_language_says_nothing(language: str, known: str) -> None:
    assert tongues.said(language) == known


@pytest.mark.parametrize(
    ("voice", "asked", "own"),
    [
        (BABBLER, "fr", "fr-FR"),
        (BABBLER, "pt-PT", "pt-BR"),
        (BABBLER, "eng", "en"),
        (tone(engine="piper", language="en-US"), "en-GB", "en-US"),
        (tone(engine="vits", language="en-GB", languages=("en-US", "en-GB")), "en", "en-GB"),
        (tone(engine="vits", language="en-GB", languages=("en-US", "en-GB")), "en_us", "en-US"),
        (tone(), "fr", "fr"),
        (tone(engine="yourtts_http"), "fr", "fr"),
    ],
)
def test_a_voice_calls_a_language_by_its_own_tag(voice: Voice, asked: str, own: str) -> None:
    assert tongues.tongue(voice, asked) == own


@pytest.mark.parametrize("engine", SINGLE)
def test_a_language_that_a_voice_does_not_speak_is_refused_with_those_that_it_does(
    engine: str,
) -> None:
    with pytest.raises(UnknownVoice, match=r"voice 'tone' does not speak 'fr', only en$"):
        tongues.tongue(tone(engine=engine), "fr")
    with pytest.raises(UnknownVoice, match=r"does not speak 'zh', only en, fr-FR, pt-BR$"):
        tongues.tongue(BABBLER, "zh")


def pinned(folder: Path, engine: str, language: str, files: Mapping[str, str]) -> Voice:
    """Pin a voice of these files' content."""
    for role, content in files.items():
        (folder / role).write_text(content)
    fields = {"engine": engine, "language": language, "sample_rate": 16_000}
    (folder / "v.yaml").write_text(yaml.safe_dump({**fields, "files": {r: r for r in files}}))
    return voices.pin(voices.read(folder / "v.yaml"))


#: Lines of a `phone_id_map.txt`.
MANDARIN, MIXED = "<pad> 0\na1 1\n", "<pad> 0\na1 1\nAH0 2\n"


@pytest.mark.parametrize(
    ("engine", "language", "files", "known"),
    [
        ("vits", "en", {"config": {"languages": ["en", "fr-fr"]}}, ("en", "fr-FR")),
        ("vits", "en", {"config": {"phoneme_language": "en-us"}}, ()),
        ("vits", "en", {"config": {}, "languages": {"pt-br": 1, "en": 0}}, ("en", "pt-BR")),
        ("yourtts", "en", {"config": {}, "languages": {"en": 0, "fr-fr": 1}}, ("en", "fr-FR")),
        ("yourtts_onnx", "en", {"config": {"languages": {"en": 0, "fr-fr": 1}}}, ("en", "fr-FR")),
        ("yourtts_onnx", "en", {"config": {"languages": {"en-us": 0}}}, ()),
        ("fastspeech2", "zh-CN", {"phones": MIXED}, ("zh", "en")),
        ("fastspeech2", "zh-CN", {"phones": MANDARIN}, ()),
        ("fastspeech2", "fi", {"phones": MIXED}, ()),
        ("piper", "en", {"config": {"languages": ["en", "fr-fr"]}}, ()),
    ],
)
def test_a_pinned_voice_knows_the_languages_that_its_files_name(
    engine: str, language: str, files: dict[str, Any], known: tuple[str, ...], tmp_path: Path
) -> None:
    content = {role: c if isinstance(c, str) else json.dumps(c) for role, c in files.items()}
    assert pinned(tmp_path, engine, language, content).languages == known


def test_files_that_name_languages_otherwise_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"v\.yaml: the languages of its files: "):
        pinned(tmp_path, "vits", "en", {"config": '{"languages": 3}'})


def test_a_book_is_read_in_the_language_that_it_says_it_is_in(tmp_path: Path) -> None:
    (item,) = read_items(tmp_path, epub(tmp_path, "fr"), "book.epub")
    assert item.language == "fr-FR"


def test_markdown_says_its_language_in_its_front_matter(tmp_path: Path) -> None:
    (item,) = read_items(tmp_path, "---\nlanguage: pt\n---\n\nOlá.\n", "book.md")
    assert item.language == "pt-BR"


@pytest.mark.parametrize("language", ["en", "en-GB", "und", "", "zxx", "anglais"])
def test_what_says_no_other_language_is_read_in_the_voices_own(
    language: str, tmp_path: Path
) -> None:
    (item,) = read_items(tmp_path, epub(tmp_path, language), "book.epub")
    assert item.language == ""


@pytest.mark.parametrize("engine", SINGLE)
def test_a_book_in_a_language_that_the_voice_does_not_speak_is_refused(
    engine: str, tmp_path: Path
) -> None:
    cast = (tone(engine=engine),)
    said = (
        r"says that it is in 'fr', and voice 'tone' does not speak 'fr', only en: choose a voice "
        r"that speaks it, or .* --language en \(`language` in the API\)"
    )
    with pytest.raises(UnknownVoice, match=said):
        read_items(tmp_path, epub(tmp_path, "fr"), "book.epub", voices=cast)


def test_the_jobs_language_goes_before_the_documents(tmp_path: Path) -> None:
    book = epub(tmp_path, "fr")
    cast = (tone(engine="piper"),)
    for language, own in (("en", ""), ("en-AU", "en")):
        (item,) = read_items(tmp_path / language, book, "book.epub", voices=cast, language=language)
        assert item.language == own
    with pytest.raises(UnknownVoice, match=r"^voice 'tone' does not speak 'pt', only en$"):
        read_items(tmp_path / "pt", book, "book.epub", voices=cast, language="pt")


def test_a_line_whose_voice_does_not_speak_the_jobs_language_fails_alone(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "text": "Bonjour."},
        {"id": "b", "text": "Hello.", "voice": "english"},
        {"id": "c", "ssml": "<speak>Hello.</speak>", "voice": "english"},
        {"id": "d", "ssml": '<speak xml:lang="zh">你好。</speak>'},
    ]
    cast = (BABBLER, tone("english", engine="piper"))
    lines = "\n".join(map(json.dumps, rows))
    items = read_items(tmp_path, lines, "l.jsonl", voices=cast, language="fr")
    refused = "voice 'english' does not speak 'fr', only en"
    assert [item.error for item in items] == [
        "",
        f"line 2: {refused}",
        f"line 3, in its SSML: {refused}",
        "",  # the job's language goes before its root's
    ]
    assert [items[0].language, items[3].language] == ["fr-FR", "fr-FR"]


CHAPTERS = {
    "a.xhtml": page(
        "<p>Aged 21.</p><p lang='fr'>Il a 21 ans.</p><p>And <i lang='fr'>un 8</i>.</p>"
    ),
    "b.xhtml": page(
        "<h1>Deux</h1><p>Le 3 mai.</p><p lang='en-US'>Dr. Lee.</p>", attributes='lang="fr"'
    ),
    "c.xhtml": page(
        "<p lang='la'>Sic transit gloria mundi.</p><p lang='grc'>Panta rhei.</p>"
        "<p lang='und'>One.</p><p lang='la'>Pax.</p>"
    ),
}


def spoken_of(items: Sequence[Item], voice: Voice) -> list[list[tuple[str, str]]]:
    """The language and the text of every segment that is planned of items."""
    spec = Spec("j", "book", "farm", "ann", "in", voice.id, {voice.id: voice}, 1)
    planned = [planning.plan(page, spec, lambda _: "none") for page in paging.pages(items)]
    parts = [part for page in planned for part in page.parts]
    return [[(each.language, each.text) for each in part.segments] for part in parts]


def test_parts_of_a_book_are_read_by_the_rules_of_their_own_languages(tmp_path: Path) -> None:
    book = write_epub(tmp_path / "book.epub", CHAPTERS)
    first, second, _ = read_items(tmp_path, book, "book.epub")
    assert (first.warnings, second.warnings) == ((), ())
    assert spoken_of([first, second], BABBLER) == [
        [
            ("en", "Aged twenty one."),
            ("fr-FR", "Il a vingt et un ans."),
            ("en", "And un eight."),
        ],
        [("fr-FR", "Deux"), ("fr-FR", "Le trois mai."), ("en", "Doctor Lee.")],
    ]


def test_parts_in_a_language_that_the_voice_does_not_speak_are_read_like_the_rest(
    tmp_path: Path,
) -> None:
    book = write_epub(tmp_path / "book.epub", CHAPTERS)
    *_, last = read_items(tmp_path, book, "book.epub")
    rest = "voice 'babbler' is not known to speak {}: parts in it are read like the rest: {}"
    assert last.warnings == (
        rest.format("'la'", "2 times, first 'Sic transit gloria mundi.'"),
        rest.format("'grc'", "'Panta rhei.'"),
    )
    (spoken,) = spoken_of([last], BABBLER)
    texts = ["Sic transit gloria mundi.", "Panta rhei.", "One.", "Pax."]
    assert spoken == [("en", text) for text in texts]


@pytest.mark.parametrize("engine", [*SINGLE, "tone", "yourtts_http"])
def test_no_chapter_of_a_book_fails_for_its_language(engine: str, tmp_path: Path) -> None:
    book = write_epub(tmp_path / "book.epub", CHAPTERS)
    items = read_items(tmp_path, book, "book.epub", voices=(tone(engine=engine),))
    warned = [warning.partition(": ")[0] for item in items for warning in item.warnings]
    unknown = [f"voice 'tone' is not known to speak {tag!r}" for tag in ("fr", "fr", "la", "grc")]
    assert warned == unknown
    assert {block.language for item in items for block in item.blocks} == {""}


def test_a_part_in_the_books_own_language_is_no_part_of_another(tmp_path: Path) -> None:
    pages = {
        "a.xhtml": page("<p lang='fr'>A</p><p>B</p><p lang='en'>C</p>", attributes='lang="fr-CA"')
    }
    book = write_epub(tmp_path / "book.epub", pages, language="fr")
    (item,) = read_items(tmp_path, book, "book.epub")
    assert item.language == "fr-FR"
    assert [block.language for block in item.blocks] == ["", "", "en"]


def test_a_language_that_is_asked_for_is_that_of_all_parts(tmp_path: Path) -> None:
    book = write_epub(tmp_path / "book.epub", CHAPTERS)
    items = read_items(tmp_path, book, "book.epub", language="pt")
    assert {block.language for item in items for block in item.blocks} == {""}
    assert [(item.language, item.warnings) for item in items] == [("pt-BR", ())] * 3


def test_a_whole_book_in_another_language_is_refused_whatever_its_parts_say(tmp_path: Path) -> None:
    pages = {"a.xhtml": page("<p>Hello.</p>", attributes='lang="en"')}
    book = write_epub(tmp_path / "book.epub", pages, language="fr")
    with pytest.raises(UnknownVoice, match="the document says that it is in 'fr'"):
        read_items(tmp_path, book, "book.epub", voices=(tone(engine="piper"),))


def test_a_chapter_of_many_languages_warns_of_some(tmp_path: Path) -> None:
    tags = [f"{a}{b}" for a in "qrstuvw" for b in "xyz"]
    text = "".join(f"<p lang='{tag}'>A {tag}.</p>" for tag in tags)
    book = write_epub(tmp_path / "book.epub", {"a.xhtml": page(text)})
    (item,) = read_items(tmp_path, book, "book.epub")
    assert len(tags) > len(item.warnings) == reading.MOST_TONGUES


@pytest.mark.parametrize("kind", ["speech", "book"])
@pytest.mark.parametrize("engine", SINGLE)
def test_a_whole_ssml_in_another_language_is_refused_by_every_engine(
    engine: str, kind: Kind, tmp_path: Path
) -> None:
    talk = '<speak xml:lang="fr">Bonjour.</speak>'
    with pytest.raises(UnknownVoice, match="does not speak 'fr', only en"):
        read_items(tmp_path, talk, "t.ssml", kind=kind, voices=(tone(engine=engine),))


@pytest.mark.parametrize("engine", SINGLE)
def test_a_part_in_another_language_is_left_to_the_engine_to_refuse(
    engine: str, tmp_path: Path
) -> None:
    talk = '<speak>Hi. <lang xml:lang="fr">Oui.</lang> <lang xml:lang="en-GB">Yes.</lang></speak>'
    (item,) = read_items(tmp_path, talk, "t.ssml", voices=(tone(engine=engine),))
    assert [block.language for block in item.blocks] == ["", "fr", "en"]
    assert item.warnings == ()


def test_the_language_of_a_whole_ssml_is_that_of_all_that_says_no_other(tmp_path: Path) -> None:
    talk = (
        '<speak xml:lang="fr">Il a 21 ans. <lang xml:lang="en">Aged 21.</lang> '
        '<voice name="english">Hello.</voice></speak>'
    )
    cast = (BABBLER, tone("english", engine="piper"))
    (item,) = read_items(tmp_path, talk, "t.ssml", voices=cast)
    assert item.language == "fr-FR"
    assert [block.language for block in item.blocks] == ["", "en", "en"]


def test_a_voice_that_speaks_nothing_of_an_ssml_may_have_any_language(tmp_path: Path) -> None:
    talk = '<speak xml:lang="fr"><voice name="babbler" xml:lang="fr">Bonjour.</voice></speak>'
    (item,) = read_items(tmp_path, talk, "t.ssml", voices=(tone(engine="piper"), BABBLER))
    assert [block.language for block in item.blocks] == ["fr-FR"]


def test_a_lexicon_in_the_books_language_is_heard(tmp_path: Path) -> None:
    wanted = (lexicon.named(LEXICON),)
    (item,) = read_items(tmp_path, epub(tmp_path, "fr"), "book.epub", lexicons=wanted)
    assert item.warnings == ()
    (item,) = read_items(tmp_path / "en", epub(tmp_path, "en"), "book.epub", lexicons=wanted)
    assert len(item.warnings) == 1
