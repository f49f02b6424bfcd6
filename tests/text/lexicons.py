"""PLS documents for tests."""

from __future__ import annotations

from html import escape

from farm.text import Lexicons, lexicon

SIOBHAN = "ʃɪˈvɔːn"


def lexeme(grapheme: str, alias: str = "", ipa: str = "") -> str:
    """One lexeme."""
    read = f"<alias>{escape(alias)}</alias>" if alias else f"<phoneme>{escape(ipa)}</phoneme>"
    return f"<lexeme><grapheme>{escape(grapheme)}</grapheme>{read}</lexeme>"


def pls(*lexemes: str, language: str = "en", **attributes: str) -> str:
    """A lexicon of these lexemes."""
    given = {"version": "1.0", "xmlns": lexicon.SPACE, "alphabet": "ipa", "xml:lang": language}
    told = " ".join(f'{name}="{value}"' for name, value in (given | attributes).items())
    return f"<lexicon {told}>{''.join(lexemes)}</lexicon>"


def aliases(language: str = "en", **words: str) -> str:
    """A lexicon of words and what they are read as."""
    return pls(*(lexeme(word, alias) for word, alias in words.items()), language=language)


def held(*documents: str) -> Lexicons:
    """The lexicons of a job."""
    return Lexicons([lexicon.read(each) for each in documents])
