"""Numbers, dates, times, money, units and abbreviations in words, for French and Portuguese.

A `Grammar` holds what a language says; the rules are the same for both and run in the order of
`_RULES`. Words of numbers are num2words', Roman numerals are read by roman: no grammar of numbers
of our own. `tests/text/normalise_fr.tsv` and `normalise_pt.tsv` have a case for each rule.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import roman
from num2words import num2words

from farm.text.numerals import in_words

Noun = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Grammar:
    """What a language puts into the places of the rules."""

    months: tuple[str, ...]
    first_of_month: str
    date: str
    """A date written in figures: `{day} {month} {year}`."""
    hours: Noun
    time: str
    """What joins hours and minutes: `quatorze heures trente`."""
    currencies: Mapping[str, tuple[Noun, Noun]]
    """By sign: the unit and its hundredth, one and several."""
    and_: str
    of: Callable[[str], str]
    """`million` needs it before the unit: `d'euros`, `de reais`."""
    millions: str
    """Pattern of million, milliard and the like."""
    percent: str
    units: Mapping[str, Noun]
    per_hour: str
    feminine_nouns: str
    """Pattern of nouns before which a number is feminine."""
    feminine: Callable[[str], str]
    minus: str
    to: str
    signs: Mapping[str, str]
    fractions: Mapping[str, str]
    abbreviations: Mapping[str, str]
    """Spoken in full wherever they stand with a full stop; single letters before a name only."""
    titles: str
    """Pattern of the abbreviations that stand before a name without a stop, too."""
    before_number: Mapping[str, str]
    phone: str
    """Pattern of a telephone number in its groups."""
    ordinal: tuple[str, Callable[[int, str, str], str]]
    """Pattern with groups `number` and `mark`, and how to say it: number, mark, language."""
    roman: tuple[str, Callable[[int, str, str], str]]
    """Pattern with groups `before`, `numeral` and `mark`; the same."""

    @functools.cached_property
    def triggers(self) -> re.Pattern[str]:
        """What is spoken differently though it holds no digits."""
        short = _either(self.abbreviations)
        signs = "".join(re.escape(sign) for sign in self.signs)
        titles = rf"\b(?:{self.titles})\b"
        return re.compile(rf"\b(?:{short})\.|{titles}|{self.roman[0]}|[{signs}½¼¾%€$£°]")


def speak(text: str, grammar: Grammar, language: str) -> str:
    """Write a sentence as it is spoken."""
    for pattern, say in _rules(grammar, language):
        text = pattern.sub(say, text)
    return " ".join(in_words(text, language).split())


def cardinal(number: str, language: str) -> str:
    """Say a number whose decimals follow a comma: `3,5`; digit by digit after a first zero."""
    return in_words(number, language)


def ordinal(number: int, language: str) -> str:
    """Say an integer as an ordinal."""
    return str(num2words(number, lang=_code(language), to="ordinal"))


def _code(language: str) -> str:
    return "pt_BR" if language.lower() == "pt-br" else language.split("-")[0]


def _choose(noun: Noun, number: str) -> str:
    """French and Portuguese: several begin at two."""
    return noun[float(number.replace(",", ".")) >= 2]


_Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]
_NUMBER = r"\d+(?:,\d+)?"
_ENDS = r"(?P<rest>(?=[\"'”’»)\]]*$))?"
_FEMININE_UNITS = frozenset(("livre", "libra"))
#: What a title stands before: a name, or the particle of one.
_NAME = r"(?=\s(?:[A-ZÀ-Ý]|d[eoa]s?\s|du\s|d['’]))"
_SPACE = r"[ \u00a0\u202f\u2009]"


class _Speech:
    """The rules of one language: each method makes those of its kind."""

    def __init__(self, grammar: Grammar, language: str) -> None:
        self._grammar, self._language = grammar, language

    def rules(self) -> tuple[_Rule, ...]:
        makers = (
            self.thousands, self.phones, self.dates, self.times, self.money, self.percents,
            self.fractions, self.ordinals, self.romans, self.shortened, self.ranges, self.units,
            self.negatives, self.signs, self.feminines,
        )  # fmt: skip
        return tuple(rule for make in makers for rule in make())

    def thousands(self) -> list[_Rule]:
        spaced = rf"(?<![\d.,])\d{{1,3}}(?:{_SPACE}\d{{3}})+(?!{_SPACE}?\d)"
        stopped = r"(?<![\d.,])\d{1,3}(?:\.\d{3})+(?![\d.]*\d)"
        return [
            (re.compile(f"{spaced}|{stopped}"), lambda found: re.sub(r"\D", "", found[0])),
            (re.compile(r"(?<=\d)[\u00a0\u202f\u2009](?=[%€$£°\w])"), " "),
            (re.compile("[\u2212\ufe63]"), "-"),
        ]

    def phones(self) -> list[_Rule]:
        def say(found: re.Match[str]) -> str:
            groups = re.findall(r"\d+", found[0])
            return ", ".join(_group(group, self._language) for group in groups)

        return [(re.compile(self._grammar.phone), say)]

    def dates(self) -> list[_Rule]:
        months = "|".join(self._grammar.months)

        def in_figures(found: re.Match[str]) -> str:
            day, month, year = (int(each) for each in found.groups())
            name = self._grammar.months[month - 1]
            return self._grammar.date.format(day=day if day > 1 else "1", month=name, year=year)

        figures = r"(?<![\d/.-])(0?[1-9]|[12]\d|3[01])[/.-](0?[1-9]|1[0-2])[/.-](\d{4})(?![\d/-])"
        first = rf"(?<![\d,.])1(?:er|º|°)?(?=\s+(?:de\s+)?(?:{months})\b)"
        return [
            (re.compile(figures), in_figures),
            (re.compile(first, re.I), self._grammar.first_of_month),
        ]

    def times(self) -> list[_Rule]:
        def say(found: re.Match[str]) -> str:
            hours = self._grammar.feminine(cardinal(str(int(found["hours"])), self._language))
            words = f"{hours} {_choose(self._grammar.hours, found['hours'])}"
            minutes = int(found["minutes"] or 0)
            return words + (
                f"{self._grammar.time}{cardinal(str(minutes), self._language)}" if minutes else ""
            )

        hours, minutes = r"(?<![\d:,.])(?P<hours>[01]?\d|2[0-4])", r"(?P<minutes>[0-5]\d)"
        return [
            (re.compile(rf"{hours}\s?[hH]\s?(?:{minutes}(?:\s?min)?)?(?![\w:])"), say),
            (re.compile(rf"{hours}:{minutes}(?![:\d])"), say),
        ]

    def money(self) -> list[_Rule]:
        def say(found: re.Match[str]) -> str:
            unit, hundredth = self._grammar.currencies[found["sign"]]
            whole, decimals = found["whole"], found["decimals"] or ""
            if found["millions"]:
                number = cardinal(whole + decimals, self._language)
                return f"{number} {found['millions'].strip()} {self._grammar.of(unit[1])}"
            cents = str(int(decimals.removeprefix(",").ljust(2, "0")))
            said = []
            if int(whole) or not int(cents):
                said.append(self._amount(whole, unit))
            if int(cents):
                said.append(self._amount(cents, hundredth))
            return f" {self._grammar.and_} ".join(said)

        signs = _either(self._grammar.currencies)
        large = rf"(?P<millions>\s(?:{self._grammar.millions})\b)?"
        amount = rf"(?P<whole>\d+)(?P<decimals>,\d{{1,2}})?(?![\d,]*\d){large}"
        return [
            (re.compile(rf"(?<!\w)(?P<sign>{signs})\s?{amount}"), say),
            (re.compile(rf"(?<![\d,]){amount}\s?(?:d[e']\s?)?(?P<sign>{signs})(?!\w)"), say),
        ]

    def _amount(self, number: str, unit: Noun) -> str:
        words = cardinal(number, self._language)
        if unit[0] in _FEMININE_UNITS:
            words = self._grammar.feminine(words)
        millions = int(number) and int(number) % 1_000_000 == 0
        return f"{words} {self._grammar.of(unit[1]) if millions else _choose(unit, number)}"

    def percents(self) -> list[_Rule]:
        return [(re.compile(r"(?<=\d)\s?%"), f" {self._grammar.percent}")]

    def fractions(self) -> list[_Rule]:
        written = rf"(?<![\d/])(?:{_either(self._grammar.fractions)})(?![\d/])"
        return [
            (re.compile(r"(?<=\d)\s?(?=[½¼¾])"), f" {self._grammar.and_} "),
            (re.compile(written), lambda found: self._grammar.fractions[found[0]]),
        ]

    def ordinals(self) -> list[_Rule]:
        pattern, say = self._grammar.ordinal

        def in_place(found: re.Match[str]) -> str:
            return say(int(found["number"]), found["mark"], self._language)

        return [(re.compile(pattern), in_place)]

    def romans(self) -> list[_Rule]:
        pattern, say = self._grammar.roman

        def in_place(found: re.Match[str]) -> str:
            before = found["before"] or ""
            value = roman.fromRoman(found["numeral"])
            return before + say(value, found["mark"] or before, self._language)

        return [(re.compile(pattern), in_place)]

    def shortened(self) -> list[_Rule]:
        def anywhere(found: re.Match[str]) -> str:
            return self._grammar.abbreviations[found["word"]] + (
                "." if found["rest"] is not None else ""
            )

        letters = _either(each for each in self._grammar.abbreviations if len(each) == 1) or r"(?!)"
        words = _either(each for each in self._grammar.abbreviations if len(each) > 1)
        counted = rf"(?<!\w)(?P<word>{_either(self._grammar.before_number)})\s?(?=\d)"
        return [
            (re.compile(rf"\b(?:{self._grammar.titles}){_NAME}"),
             lambda found: self._grammar.abbreviations[found[0]]),
            (re.compile(rf"\b({letters})\.{_NAME}"),
             lambda found: self._grammar.abbreviations[found[1]]),
            (re.compile(rf"\b(?P<word>{words})\.{_ENDS}"), anywhere),
            (re.compile(counted), lambda found: f"{self._grammar.before_number[found['word']]} "),
        ]  # fmt: skip

    def ranges(self) -> list[_Rule]:
        pattern = r"(?<![-\d/,.])(\d{1,4})\s?[-–]\s?(?=\d{1,4}(?![-–\d/]))"
        return [(re.compile(pattern), lambda found: f"{found[1]} {self._grammar.to} ")]

    def units(self) -> list[_Rule]:
        def say(found: re.Match[str]) -> str:
            noun = _choose(self._grammar.units[found["unit"]], found["number"])
            return (
                f"{found['number']} {noun}{' ' + self._grammar.per_hour if found['hourly'] else ''}"
            )

        unit = rf"(?P<unit>{_either(self._grammar.units)})(?P<hourly>/h)?(?![\w/²³'’])"
        return [(re.compile(rf"(?<![\d,.])(?P<number>{_NUMBER})\s?{unit}"), say)]

    def negatives(self) -> list[_Rule]:
        return [(re.compile(r"(?<![\w\d-])-(?=\d)"), f"{self._grammar.minus} ")]

    def signs(self) -> list[_Rule]:
        signs = "".join(re.escape(sign) for sign in self._grammar.signs)
        return [
            (re.compile(rf"\s?([{signs}])\s?"), lambda found: f" {self._grammar.signs[found[1]]} ")
        ]

    def feminines(self) -> list[_Rule]:
        pattern = rf"(?<![\w,.])(\d{{1,9}})(?=\s(?:{self._grammar.feminine_nouns})\b)"
        return [
            (
                re.compile(pattern),
                lambda found: self._grammar.feminine(cardinal(found[1], self._language)),
            )
        ]


@functools.cache
def _rules(grammar: Grammar, language: str) -> tuple[_Rule, ...]:
    return _Speech(grammar, language).rules()


def _group(digits: str, language: str) -> str:
    """Two digits of a telephone number as a number, more one by one."""
    if len(digits) == 2:
        return cardinal(digits, language)
    return " ".join(cardinal(digit, language) for digit in digits)


def _either(words: Iterable[str]) -> str:
    """A pattern of any of these, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
