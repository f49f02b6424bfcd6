"""What SSML's `say-as` makes of a text: written so that it can be read in one way only.

The names are those of the W3C's note "SSML 1.0 say-as attribute values" and of Azure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from num2words import CONVERTER_CLASSES, num2words

from farm.text import english, french, portuguese
from farm.text.normalise import read_by_library

#: Digits of a number that is said as one; a longer one is said digit by digit.
_LONGEST_NUMBER = 15
_NUMBER = re.compile(r"(?P<sign>[+\-\u2212]?)(?P<whole>[\d,.\u00a0' ]*\d)")
_SIGNS = {
    "-": "dash", ".": "dot", "@": "at", "_": "underscore", "/": "slash", "#": "hash",
    "+": "plus", "&": "and", "*": "star", ":": "colon", ",": "comma", "$": "dollar",
    "%": "percent", "=": "equals", "!": "exclamation mark", "?": "question mark",
}  # fmt: skip
_PLUS = {"zh": "加", "ja": "プラス", "pt": "mais", "es": "más"}
_MINUS = {"en": "minus", "zh": "负", "fr": "moins", "pt": "menos", "de": "minus", "es": "menos"}
_DATES = ("mdy", "dmy", "ymd", "md", "dm", "ym", "my", "y", "m", "d")
_MONTHS = {
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September",
           "October", "November", "December"),
    "fr": french.GRAMMAR.months,
    "pt": portuguese.GRAMMAR.months,
}  # fmt: skip

Reading = Callable[[str, str, str], str | None]


def write(text: str, kind: str, format_: str, language: str) -> str | None:
    """Write a text as `interpret-as` and `format` say; None where they do not fit it.

    What the front end reads by itself (time, currency, units) is returned as it is.
    """
    reading = _READINGS.get(kind.strip().lower())
    text = " ".join(text.split())
    primary = language.lower().replace("_", "-").split("-")[0] or "en"
    return reading(text, format_.strip().lower(), primary) if reading and text else None


def _as_it_is(text: str, _: str, __: str) -> str:
    return text


def _characters(text: str, _: str, language: str) -> str:
    named = [_SIGNS.get(c, c) if language == "en" else c for c in text if not c.isspace()]
    return " ".join(name.upper() if len(name) == 1 else name for name in named)


def _digits(text: str, _: str, __: str) -> str | None:
    groups = re.findall(r"\d+", text)
    return ", ".join(" ".join(group) for group in groups) if groups else None


def _telephone(text: str, _: str, language: str) -> str | None:
    groups = re.findall(r"\+|\d+|[^\W\d_]+", text)
    if not any(group.isdecimal() for group in groups):
        return None
    plus = _PLUS.get(language, "plus")
    said = [" ".join(group) if group.isdecimal() else group for group in groups]
    return ", ".join(said).replace("+,", plus).replace("+", plus)


def _cardinal(text: str, _: str, language: str) -> str | None:
    number = _parsed(text, language)
    if number is None:
        return None
    words = _in_words(abs(number), language, "cardinal")
    if words is None or number >= 0:
        return words
    minus = _MINUS.get(language)
    space = "" if language == "zh" else " "
    return f"{minus}{space}{words}" if minus else None


def _number(text: str, form: str, language: str) -> str | None:
    known = {"ordinal": _ordinal, "telephone": _telephone, "digits": _digits}
    return known.get(form, _cardinal)(text, "", language)


def _ordinal(text: str, _: str, language: str) -> str | None:
    number = _parsed(re.sub(r"(?<=\d)(?:st|nd|rd|th|ème|er|e|ª|º|\.)$", "", text), language)
    if number is None or number < 0 or number != int(number):
        return None
    return _in_words(number, language, "ordinal")


def _parsed(text: str, language: str) -> Decimal | None:
    """Read a number; points and commas part thousands or decimals as the language has it."""
    found = _NUMBER.fullmatch(text)
    if not found:
        return None
    point, group = (".", ",") if language in ("en", "zh", "ja", "ko", "th", "he") else (",", ".")
    digits = re.sub(rf"[{group}\u00a0' ](?=\d\d\d)", "", found["whole"]).replace(point, ".")
    try:
        number = Decimal(digits)
    except InvalidOperation:
        return None
    if len(digits) > _LONGEST_NUMBER:
        return None
    return -number if found["sign"] in ("-", "\u2212") else number


def _in_words(number: Decimal, language: str, kind: str) -> str | None:
    if language == "zh":
        return read_by_library(f"第{int(number)}" if kind == "ordinal" else str(number), "zh")
    if language == "en":
        ordinal = kind == "ordinal"
        return english.ordinal(str(int(number))) if ordinal else english.cardinal(str(number))
    if language not in CONVERTER_CLASSES:
        return None
    value = int(number) if number == int(number) else float(number)
    try:
        return str(num2words(value, lang=language, to=kind)).replace(",", "")
    except (NotImplementedError, LookupError, ArithmeticError, TypeError, ValueError):
        return None  # How num2words says that a language lacks such numbers.


def _date(text: str, form: str, language: str) -> str | None:
    if not form:
        iso = re.fullmatch(r"\d{4}-\d\d?-\d\d?", text)
        return _date(text, "ymd", language) if iso else text
    form = re.sub(r"(.)\1+", r"\1", re.sub(r"[^dmy]", "", form))
    fields = re.findall(r"\d+", text)
    if fields and len(fields) == 1 and len(form) > 1:
        fields = _apart(fields[0], form)
    if form not in _DATES or len(fields) != len(form) or not re.fullmatch(r"[\d\W_]+", text):
        return None
    return _written(dict(zip(form, map(int, fields), strict=True)), fields, form, language)


def _apart(digits: str, form: str) -> list[str]:
    """Cut `20261122`: four digits of a year where there is room for them, else two of each."""
    year = len(digits) - 2 * (len(form) - 1)
    fields, at = [], 0
    for letter in form:
        width = year if letter == "y" and year in (2, 4) else 2
        fields.append(digits[at : at + width])
        at += width
    return fields if at == len(digits) else []


def _written(date: dict[str, int], fields: list[str], form: str, language: str) -> str | None:
    year, month, day = date.get("y"), date.get("m"), date.get("d")
    if not 1 <= (month or 1) <= 12 or not 1 <= (day or 1) <= 31 or (year or 0) > 9999:
        return None
    if month == 0 or day == 0:
        return None
    if year is not None and len(fields[form.index("y")]) == 2:
        year += 1900 if year > 68 else 2000  # As POSIX reads two digits of a year.
    if language in ("zh", "ja"):
        pairs = ((year, "年"), (month, "月"), (day, "日"))
        return "".join(f"{value}{unit}" for value, unit in pairs if value is not None)
    if month is None:
        return str(day if year is None else year)
    if language not in _MONTHS:
        return None
    return _in_order(year, _MONTHS[language][month - 1], day, language)


def _in_order(year: int | None, month: str, day: int | None, language: str) -> str:
    if language == "en":
        date = month if day is None else f"{month} {day}"
        return date if year is None else f"{date}{' ' if day is None else ', '}{year}"
    of = " de " if language == "pt" else " "
    return of.join(str(part) for part in (day, month, year) if part is not None)


_READINGS: dict[str, Reading] = {
    "characters": _characters,
    "spell-out": _characters,
    "verbatim": _characters,
    "cardinal": _cardinal,
    "number": _number,
    "ordinal": _ordinal,
    "digits": _digits,
    "number_digit": _digits,
    "telephone": _telephone,
    "date": _date,
    "time": _as_it_is,
    "currency": _as_it_is,
    "unit": _as_it_is,
    "measure": _as_it_is,
    "fraction": _as_it_is,
}
