"""Plain numbers in words, for the languages that the normalising library does not read."""

from __future__ import annotations

import re

from num2words import CONVERTER_CLASSES, num2words

#: A number that stands alone: digits, perhaps with one decimal part.
_NUMBER = re.compile(r"(?<![\w.,])\d{1,15}(?:[.,]\d{1,6})?(?![\w]|[.,]\d)")
#: Languages that write three-and-a-half as 3.5; the others that num2words knows write 3,5.
_POINT = frozenset({"en", "th", "ko", "he", "ja", "zh"})


def in_words(text: str, language: str) -> str:
    """Write the plain numbers of a text in words; unchanged where num2words lacks the language.

    Numbers beside letters or other digits (`B2B`, `1.2.3`) are left for the voice's phonemiser,
    which reads digits in its own way.
    """
    code = _converter(language)
    if not code:
        return text
    mark = "." if language.split("-")[0] in _POINT else ","
    return _NUMBER.sub(lambda found: _say(found[0], code, mark), text)


def _converter(language: str) -> str:
    primary, _, region = language.partition("-")
    regional = f"{primary}_{region.upper()}"
    return next((code for code in (regional, primary) if code in CONVERTER_CLASSES), "")


def _say(number: str, code: str, mark: str) -> str:
    other = "." if mark == "," else ","
    if other in number:
        whole, _, group = number.partition(other)
        if len(group) != 3:
            return number
        number = whole + group
    if number.startswith("0") and number[1:].isdigit():
        return " ".join(str(num2words(int(digit), lang=code)) for digit in number)
    value = number.replace(mark, ".")
    words = num2words(float(value) if "." in value else int(value), lang=code)
    return str(words).replace(",", "")  # Brazil's `mil, novecentos`: nobody pauses there.
