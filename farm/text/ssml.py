"""Read SSML 1.1 (W3C, 2010), and what Azure adds to it, as blocks; docs/ssml.md has the table.

Positions count characters of the document's text without its markup, as `string(/speak)` of XPath
gives it: with the text of `desc` and `metadata`, without comments, entities and line ends resolved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lxml import etree

from farm.errors import InvalidInput, UnknownVoice
from farm.jobs import Block, Prosody
from farm.phonemes import ipa
from farm.text import say_as
from farm.text.markup import LANG, LANGUAGE, PROLOG, Kind, text_of
from farm.text.prosody_values import changed, emphasised, pause
from farm.text.runs import Blocks, Style

#: Bytes of a document; characters where it comes as text.
LARGEST = 8 * 2**20
#: Tags of a document, and elements within each other.
MOST_TAGS = 400_000
DEEPEST = 100
#: Different warnings of a document that are told; a last one says that there were more.
MOST_WARNINGS = 50

SPEECH = "http://www.w3.org/2001/10/synthesis"
AZURE = "http://www.w3.org/2001/mstts"
_NAME = 40
_ROOT = re.compile(PROLOG + r"<(?:[\w.-]{1,40}:)?speak(?=[\s/>])", re.S)


@dataclass(frozen=True)
class Setting:
    """What a document is read for."""

    voices: Mapping[str, str] | None = None
    """The voices that it may name, with their languages; None: any."""
    prosody: Prosody = Prosody()
    """Of what says nothing else; the document's changes are relative to it."""
    language: str = ""
    """BCP 47, of what says nothing else."""
    whole: str = ""
    """BCP 47, of the whole, whatever its root says; empty: as that says."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Further voices that there are, as `no_voice` takes them."""


@dataclass(frozen=True)
class Document:
    """What a document has to speak."""

    blocks: tuple[Block, ...]
    warnings: tuple[str, ...] = ()
    """What is done otherwise than it says, each once, with the first line where."""
    voices: tuple[str, ...] = ()
    """Every voice that it names, each once."""
    language: str = ""
    """Of the whole, as its root says; empty: it does not."""


def is_ssml(text: str) -> bool:
    """Whether a text is meant as SSML: its root is `speak`. A part of it, the first, is enough."""
    return bool(_ROOT.match(text.removeprefix("\ufeff")))


def no_voice(wanted: Sequence[str], known: Iterable[str], others: Mapping[str, str]) -> str:
    """Say why a text cannot have any of the voices that it wants.

    `others` are those that there are besides the `known`: why they cannot be had, or nothing.
    """
    valid = ", ".join(sorted({*known, *(name for name, bar in others.items() if not bar)}))
    bars = filter(None, (others.get(name) for name in wanted))
    return next(bars, f"unknown voice {' '.join(wanted)[:80]!r}; choose one of {valid}")


def voices_of(data: str | bytes) -> tuple[str, ...]:
    """Return every voice that a document names, each once; `InvalidInput` as `read`."""
    return read(data).voices


def read(data: str | bytes, setting: Setting | None = None) -> Document:
    """Read a document.

    Nothing outside it is loaded, and document type declarations are refused, entities with them.

    Raises:
        InvalidInput: it is not XML, has no root `speak`, or is too large or too deep.
        UnknownVoice: it names a voice that is not among the setting's.
    """
    reader = _Reader(setting or Setting())
    root = parse(data)
    reader.read(root)
    language = (root.get(LANG) or "").strip()
    return Document(
        tuple(reader.blocks.made),
        tuple(reader.warnings),
        tuple(reader.voices),
        language if LANGUAGE.fullmatch(language) else "",
    )


def parse(data: str | bytes) -> etree._Element:
    """Parse a document within its bounds; return its root."""
    root = Kind("SSML", LARGEST, MOST_TAGS).parse(data)
    if _tag(root) != "speak":
        raise InvalidInput(f"the root of SSML is 'speak', not {_tag(root)[:_NAME]!r}")
    return root


def _tag(element: etree._Element) -> str:
    """An element's name; with a prefix where it is not SSML's own."""
    name = etree.QName(element)
    if name.namespace in (None, SPEECH):
        return name.localname
    prefix = "mstts" if name.namespace == AZURE else element.prefix or "?"
    return f"{prefix}:{name.localname}"


@dataclass
class _Reader:
    """Walks a tree, and gathers what is spoken, what is named and what is warned of."""

    setting: Setting
    warnings: list[str] = field(default_factory=list)
    voices: dict[str, None] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _azure: bool = False

    def read(self, root: etree._Element) -> None:
        """Read a whole document."""
        whole = self.setting.whole
        usual = Style(self.setting.prosody, language=whole or self.setting.language)
        usual = usual if whole else self._tongue(root, usual)
        self.blocks = Blocks(usual)
        self._azure = AZURE in root.nsmap.values()
        for name in ("startmark", "endmark"):
            if root.get(name):
                self.warn(root, f"{name} is not honoured: the whole document is spoken")
        self._inside(root, usual, 1)
        self.blocks.edge("paragraph")
        for text in self.blocks.lost:
            self.warn(None, f"nothing that can be spoken: {text[:_NAME]!r}")
        if self.blocks.late_pause:
            self.warn(None, "a break after the last word is left out")

    def warn(self, element: etree._Element | None, message: str) -> None:
        """Note a warning, once, with the line where it first holds."""
        if message in self._told or len(self._told) > MOST_WARNINGS:
            return
        self._told.add(message)
        if len(self._told) > MOST_WARNINGS:
            self.warnings.append("there are more warnings than are told here")
        else:
            line = element.sourceline if element is not None else None
            self.warnings.append(f"line {line}: {message}" if line else message)

    def _inside(self, element: etree._Element, style: Style, depth: int) -> None:
        """Read what an element holds."""
        if depth > DEEPEST:
            raise InvalidInput(
                f"line {element.sourceline}: the SSML is nested more than {DEEPEST} deep"
            )
        self.blocks.add(element.text or "", style)
        for child in element:
            # An entity that nothing declares is refused by the parser: children are elements.
            self._element(child, style, depth + 1)
            self.blocks.add(child.tail or "", style)

    def _element(self, element: etree._Element, style: Style, depth: int) -> None:
        style, tag = self._tongue(element, style), _tag(element)
        if read := _ELEMENTS.get(tag):
            read(self, element, style, depth)
            return
        if len(element) or (element.text or "").strip():
            self.warn(element, f"<{tag[:_NAME]}> is not known: only its text is spoken")
        else:
            self.warn(element, f"<{tag[:_NAME]}> is not known: it is passed over")
        self._inside(element, style, depth)

    def _tongue(self, element: etree._Element, style: Style) -> Style:
        """The style of an element, by its `xml:lang`."""
        language = element.get(LANG)
        if language is None:
            return style
        if not language.strip():
            return replace(style, language=self.setting.language)
        if not LANGUAGE.fullmatch(language.strip()):
            self.warn(element, f"xml:lang={language[:_NAME]!r} is no language: left as it is")
            return style
        return replace(style, language=language.strip())

    def _paragraph(self, element: etree._Element, style: Style, depth: int) -> None:
        self.blocks.edge("paragraph")
        self._inside(element, style, depth)
        self.blocks.edge("paragraph")

    def _sentence(self, element: etree._Element, style: Style, depth: int) -> None:
        self.blocks.edge("sentence")
        self._inside(element, replace(style, whole=True), depth)
        self.blocks.edge("sentence")

    def _spoken(self, element: etree._Element, style: Style, depth: int) -> None:
        self._inside(element, style, depth)

    def _silent(self, element: etree._Element, style: Style, _: int) -> None:
        self.blocks.add("", style, len(text_of(element)))

    def _voice(self, element: etree._Element, style: Style, depth: int) -> None:
        for name in ("gender", "age", "variant", "languages", "required", "effect"):
            if value := element.get(name):
                self.warn(element, f"voice {name}={value[:_NAME]!r} is not honoured")
        if named := (element.get("name") or "").split():
            prosody = style.prosody
            chosen = self._chosen(element, named)
            if chosen != style.voice:
                prosody = replace(prosody, speaker="")
            own = (self.setting.voices or {}).get(chosen, "")
            language = style.language if element.get(LANG) is not None else own
            style = replace(style, voice=chosen, prosody=prosody, language=language)
        else:
            self.warn(element, "a voice without a name: the voice stays the same")
        self._inside(element, style, depth)

    def _chosen(self, element: etree._Element, named: list[str]) -> str:
        """The first of the names that the farm has."""
        self.voices.update(dict.fromkeys(named))
        known = self.setting.voices
        found = next((name for name in named if known is None or name in known), None)
        if found is None:
            said = no_voice(named, known or (), self.setting.others)
            raise UnknownVoice(f"line {element.sourceline}: {said}")
        return found

    def _prosody(self, element: etree._Element, style: Style, depth: int) -> None:
        prosody = style.prosody
        for name in ("rate", "pitch", "volume"):
            value = element.get(name)
            if value is not None:
                change = changed(prosody, name, value, azure=self._azure)
                prosody = change.prosody
                for warning in change.warnings:
                    self.warn(element, warning)
        for name in ("contour", "range", "duration"):
            if element.get(name):
                self.warn(element, f"prosody {name} is not honoured")
        self._inside(element, replace(style, prosody=prosody), depth)

    def _emphasis(self, element: etree._Element, style: Style, depth: int) -> None:
        change = emphasised(style.prosody, element.get("level") or "")
        for warning in change.warnings:
            self.warn(element, warning)
        self._inside(element, replace(style, prosody=change.prosody), depth)

    def _break(self, element: etree._Element, style: Style, depth: int) -> None:
        milliseconds, warning = pause(element.get("time"), element.get("strength"))
        if warning:
            self.warn(element, warning)
        if not self.blocks.pause(milliseconds):
            self.warn(element, "a break before the first word is left out")
        self._inside(element, style, depth)

    def _sub(self, element: etree._Element, style: Style, depth: int) -> None:
        alias = element.get("alias")
        if alias is None:
            self.warn(element, "a sub without an alias: its text is spoken")
            self._inside(element, style, depth)
            return
        if not alias.strip():
            self.warn(element, f"an empty alias: {text_of(element)[:_NAME]!r} is not spoken")
        self.blocks.add(alias, style, len(text_of(element)))

    def _say_as(self, element: etree._Element, style: Style, depth: int) -> None:
        kind, text = element.get("interpret-as") or "", text_of(element)
        form = element.get("format") or ""
        language = style.language or self.setting.language
        written = None if len(element) else say_as.write(text, kind, form, language)
        if written is None:
            self.warn(
                element,
                f"say-as interpret-as={kind[:_NAME]!r} does not say how to read "
                f"{text.strip()[:_NAME]!r}: it is read like any other text",
            )
            self._inside(element, style, depth)
        elif written == text:
            self.blocks.add(text, style)
        else:
            self.blocks.add(written, style, len(text))

    def _phoneme(self, element: etree._Element, style: Style, depth: int) -> None:
        alphabet, text = element.get("alphabet") or "ipa", text_of(element)
        try:
            if alphabet != "ipa":
                raise InvalidInput(f"alphabet {alphabet[:_NAME]!r} is not known, only 'ipa'")
            sounds = ipa.read(element.get("ph") or "")
        except InvalidInput as error:
            self.warn(element, f"phoneme: {error}; its text is read like any other")
            self._inside(element, style, depth)
            return
        word = text.strip()
        if not word:  # then nothing but the sounds can be shown for them
            self.blocks.add(sounds, style, len(text), sounds)
            return
        before, _, after = text.partition(word)
        self.blocks.add(before, style)
        self.blocks.add(word, style, len(word), sounds)
        self.blocks.add(after, style)

    def _audio(self, element: etree._Element, style: Style, depth: int) -> None:
        source = (element.get("src") or "")[:_NAME]
        spoken = "its text is spoken instead" if text_of(element).strip() else "nothing is heard"
        self.warn(element, f"audio {source!r} is not played: {spoken}")
        self._inside(element, style, depth)

    def _mark(self, element: etree._Element, style: Style, depth: int) -> None:
        self.warn(element, "marks are not kept; sentence and word marks give times")
        self._inside(element, style, depth)

    def _lexicon(self, element: etree._Element, style: Style, depth: int) -> None:
        where = element.get("uri") or element.get("ref") or ""
        self.warn(element, f"{_tag(element)} {where[:_NAME]!r} is not loaded")
        self._inside(element, style, depth)


_ELEMENTS: dict[str, Callable[[_Reader, etree._Element, Style, int], None]] = {
    "p": _Reader._paragraph,
    "s": _Reader._sentence,
    "token": _Reader._spoken,
    "w": _Reader._spoken,
    "lang": _Reader._spoken,
    "voice": _Reader._voice,
    "prosody": _Reader._prosody,
    "emphasis": _Reader._emphasis,
    "break": _Reader._break,
    "sub": _Reader._sub,
    "say-as": _Reader._say_as,
    "phoneme": _Reader._phoneme,
    "audio": _Reader._audio,
    "mark": _Reader._mark,
    "bookmark": _Reader._mark,
    "lexicon": _Reader._lexicon,
    "lookup": _Reader._lexicon,
    "desc": _Reader._silent,
    "metadata": _Reader._silent,
    "meta": _Reader._silent,
}
