"""Walk the tree of an SSML document: what is spoken, in which style, and what is warned of.

What each element means is said in `farm.text.elements`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lxml import etree

from farm.errors import InvalidInput
from farm.jobs import Prosody
from farm.text.markup import LANG, LANGUAGE
from farm.text.runs import Blocks, Style

#: Elements within each other.
DEEPEST = 100
#: Different warnings of a document that are told; a last one says that there were more.
MOST_WARNINGS = 50
#: Characters that a warning quotes of a name or a value.
QUOTED = 40

SPEECH = "http://www.w3.org/2001/10/synthesis"
AZURE = "http://www.w3.org/2001/mstts"

Reads = Callable[["Walk", etree._Element, Style, int], None]
"""Reads an element in the style that holds there, so many elements deep."""


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


def no_voice(wanted: Sequence[str], known: Iterable[str], others: Mapping[str, str]) -> str:
    """Say why a text cannot have any of the voices that it wants.

    `others` are those that there are besides the `known`: why they cannot be had, or nothing.
    """
    valid = ", ".join(sorted({*known, *(name for name, bar in others.items() if not bar)}))
    bars = filter(None, (others.get(name) for name in wanted))
    return next(bars, f"unknown voice {' '.join(wanted)[:80]!r}; choose one of {valid}")


def name_of(element: etree._Element) -> str:
    """An element's name; with a prefix where it is not SSML's own."""
    name = etree.QName(element)
    if name.namespace in (None, SPEECH):
        return name.localname
    prefix = "mstts" if name.namespace == AZURE else element.prefix or "?"
    return f"{prefix}:{name.localname}"


@dataclass
class Walk:
    """Walks a tree, and gathers what is spoken, what is named and what is warned of."""

    setting: Setting
    elements: Mapping[str, Reads]
    """By what `name_of` calls them; of others the text is spoken."""
    warnings: list[str] = field(default_factory=list)
    voices: dict[str, None] = field(default_factory=dict)
    """Every voice that is named, once."""
    blocks: Blocks = field(init=False)
    """What is spoken, as far as it is read."""
    azure: bool = False
    """Whether values are meant as Azure reads them."""
    _told: set[str] = field(default_factory=set)

    def read(self, root: etree._Element) -> None:
        """Read a whole document."""
        whole = self.setting.whole
        usual = Style(self.setting.prosody, language=whole or self.setting.language)
        usual = usual if whole else self._tongue(root, usual)
        self.blocks = Blocks(usual)
        self.azure = AZURE in root.nsmap.values()
        for name in ("startmark", "endmark"):
            if root.get(name):
                self.warn(root, f"{name} is not honoured: the whole document is spoken")
        self.inside(root, usual, 1)
        self.blocks.edge("paragraph")
        for text in self.blocks.lost:
            self.warn(None, f"nothing that can be spoken: {text[:QUOTED]!r}")
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

    def inside(self, element: etree._Element, style: Style, depth: int) -> None:
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
        style, name = self._tongue(element, style), name_of(element)
        if read := self.elements.get(name):
            read(self, element, style, depth)
            return
        if len(element) or (element.text or "").strip():
            self.warn(element, f"<{name[:QUOTED]}> is not known: only its text is spoken")
        else:
            self.warn(element, f"<{name[:QUOTED]}> is not known: it is passed over")
        self.inside(element, style, depth)

    def _tongue(self, element: etree._Element, style: Style) -> Style:
        """The style of an element, by its `xml:lang`."""
        language = element.get(LANG)
        if language is None:
            return style
        if not language.strip():
            return replace(style, language=self.setting.language)
        if not LANGUAGE.fullmatch(language.strip()):
            self.warn(element, f"xml:lang={language[:QUOTED]!r} is no language: left as it is")
            return style
        return replace(style, language=language.strip())
