"""XML from strangers, parsed so that it names nothing outside it and cannot grow."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from lxml import etree

from farm.errors import InvalidInput

#: A language tag (BCP 47), with a dash or an underscore.
LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*")
#: Where an element says its language.
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
#: The prolog's comments and instructions; what they are followed by.
PROLOG = r"\A(?>\s+|<!--(?:(?!-->).)*+-->|<\?(?:(?!\?>).)*+\?>)*+"
_DOCTYPE = re.compile(PROLOG + r"<!DOCTYPE", re.S)
_DECLARATION = re.compile(r"\A\s*<\?xml\s[^>]*\?>")
_ENCODING = re.compile(rb"\A\s*<\?xml\s[^>]*encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_ENCODINGS = ("utf-8", "ascii", "iso8859-1", "cp1252", "gb18030", "gbk", "gb2312")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"),
          (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of document, and how much of it is read."""

    what: str
    """As errors call it."""
    largest: int
    """Bytes of a document; characters where it comes as text."""
    most_tags: int

    def parse(self, data: str | bytes) -> etree._Element:
        """Parse a document; return its root.

        Nothing outside it is loaded, and document type declarations are refused, entities with
        them. Comments and processing instructions are left out.

        Raises:
            InvalidInput: it is not well-formed XML, too large, or in an encoding that is not read.
        """
        if len(data) > self.largest:
            raise InvalidInput(
                f"the {self.what} has {len(data)} bytes; the farm reads {self.largest}: cut it"
            )
        text = data if isinstance(data, str) else self._decoded(data)
        if _DOCTYPE.match(text):
            raise self._typed()
        if text.count("<") > self.most_tags:
            raise InvalidInput(
                f"the {self.what} has {text.count('<')} tags; the farm reads {self.most_tags}"
            )
        root = self._root(text)
        if root.getroottree().docinfo.internalDTD is not None:
            raise self._typed()
        return root

    def _root(self, text: str) -> etree._Element:
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False,
            remove_comments=True, remove_pis=True, encoding="utf-8",
        )  # fmt: skip
        try:
            return etree.fromstring(_DECLARATION.sub(_blank, text).encode(), parser)
        except UnicodeEncodeError as error:
            what = f"the {self.what} holds half a character (a lone surrogate)"
            raise InvalidInput(what) from error
        except (etree.XMLSyntaxError, ValueError) as error:
            why = " ".join(str(getattr(error, "msg", error)).split())[:200]
            raise InvalidInput(f"the {self.what} is not well-formed XML: {why}") from error

    def _typed(self) -> InvalidInput:
        return InvalidInput(f"the {self.what} has a document type declaration (DTD); take it out")

    def _decoded(self, data: bytes) -> str:
        encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "")
        if not encoding:
            found = _ENCODING.match(data[:200])
            said = found[1].decode() if found else "utf-8"
            try:
                encoding = codecs.lookup(said).name
            except LookupError:
                encoding = said
            if encoding not in _ENCODINGS:
                valid = ", ".join(_ENCODINGS)
                raise InvalidInput(f"the {self.what} is in {said!r}; choose one of {valid}")
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            raise InvalidInput(f"the {self.what} is not {encoding} (byte {error.start})") from error


def _blank(found: re.Match[str]) -> str:
    """Keep the lines of what is taken out, so that errors name the right ones."""
    return "\n" * found[0].count("\n")


def text_of(element: etree._Element) -> str:
    """Return all text within an element."""
    return "".join(map(str, element.itertext()))
