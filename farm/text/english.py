"""What the normalising library gets wrong in English, mended by tables before it runs.

Each rule is a pattern and what stands in its place. Words of numbers come from num2words and
roman, never from a grammar of our own; everything else is left to the library.
`tests/text/normalise_en.tsv` has a case for each rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

import roman
from num2words import num2words

Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]

#: Spoken in full wherever they stand. With a full stop that also ends the sentence the stop stays.
ABBREVIATIONS = {
    "Mr": "Mister", "Mrs": "Misses", "Ms": "Miz", "Messrs": "Messers", "Mme": "Madame",
    "Dr": "Doctor", "Prof": "Professor", "Gen": "General", "Col": "Colonel", "Maj": "Major",
    "Capt": "Captain", "Lt": "Lieutenant", "Sgt": "Sergeant", "Cpl": "Corporal",
    "Adm": "Admiral", "Cmdr": "Commander", "Rev": "Reverend", "Hon": "Honorable",
    "Fr": "Father", "Sr": "Senior", "Jr": "Junior", "Esq": "Esquire", "Gov": "Governor",
    "Sen": "Senator", "Rep": "Representative", "Pres": "President", "Supt": "Superintendent",
    "Inc": "Incorporated", "Ltd": "Limited", "Corp": "Corporation", "Co": "Company",
    "Bros": "Brothers", "Dept": "Department", "Univ": "University", "Assn": "Association",
    "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Mt": "Mount", "Ft": "Fort",
    "Hwy": "Highway", "Apt": "Apartment", "Bldg": "Building",
    "etc": "et cetera", "vs": "versus", "viz": "namely", "approx": "approximately",
    "esp": "especially", "incl": "including", "ca": "circa", "cf": "compare", "al": "al",
    "Jan": "January", "Feb": "February", "Aug": "August", "Sept": "September",
    "Oct": "October", "Nov": "November", "Dec": "December",
    "Mon": "Monday", "Tues": "Tuesday", "Thurs": "Thursday", "Fri": "Friday",
}  # fmt: skip
_DOTTED = {"e.g.": "for example", "i.e.": "that is", "a.k.a.": "also known as", "Ph.D.": "PhD"}

#: Spoken in full before a number only: the same letters are words or other things elsewhere.
BEFORE_NUMBER = {
    "no": "number", "nos": "numbers", "vol": "volume", "ch": "chapter", "p": "page",
    "pp": "pages", "fig": "figure", "figs": "figures", "sec": "section", "art": "article",
    "mar": "march", "apr": "april", "jun": "june", "jul": "july", "pt": "part",
    "bk": "book", "l": "line", "ed": "edition", "ex": "example", "ver": "version",
}  # fmt: skip

_PART = r"chapter|part|book|volume|act|scene|section|canto|appendix|lesson|stage|phase|war|type"
_KINGS = (
    r"Alexander|Alfonso|Benedict|Catherine|Charles|Christian|Clement|Constantine|Edward|"
    r"Elizabeth|Ferdinand|Francis|Frederick|Friedrich|George|Gregory|Gustav|Henry|Innocent|"
    r"Ivan|James|John|John Paul|Joseph|Julius|Leo|Leopold|Louis|Mary|Napoleon|Nicholas|"
    r"Otto|Paul|Peter|Philip|Pius|Ptolemy|Ramses|Ramesses|Richard|Robert|Rudolf|"
    r"Sixtus|Urban|Victor|Wilhelm|William|Xerxes"
)
_MONTH = r"(January|February|March|April|May|June|July|August|September|October|November|December)"
#: Canonical numerals; a single C, D, L or M after `Section` is a letter.
_NUMERAL = (
    r"(?=[IVXLCDM]+\b)(?![CDLM]\b)"
    r"(?>M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))"
)
#: `the part I like` and `Mary I love` hold a pronoun: a lone I counts before a mark or `of` only.
NUMERAL_IN_PLACE = re.compile(
    rf"\b(?P<before>(?:(?i:{_PART})|(?P<king>{_KINGS}))\s+)(?P<numeral>{_NUMERAL})\b"
    r"(?:(?<=War I)|(?<=Act I)|(?<=Scene I)|(?<=Chapter I)|(?<!\sI(?=\s(?!of\b))))(?!\.[A-Z])"
)
_CURRENCIES = {"$": "USD", "£": "GBP", "€": "EUR"}
#: What nobody says of num2words' amounts.
_MONEY = (
    (r" sterling", ""),
    (r"\beuro\b", "euros"),
    (r"\bone euros\b", "one euro"),
    (r"^zero (?:dollars|euros|pounds), ", ""),
    (r", zero (?:cents|pence)$", ""),
)
_SLASHED = {"50/50": "fifty fifty", "24/7": "twenty four seven", "9/11": "nine eleven"}
_POWERS = {"²": "square", "³": "cubic"}
_METERS = {"m": "meters", "km": "kilometers", "cm": "centimeters", "mm": "millimeters"}
_STOPPED_UNITS = "ft|lbs?|oz|yds?|mi|min|hrs?|sec|kg|km|cm|mm|gal|pt|qt"
_SYMBOLS = {
    "°": " degrees", "²": " squared", "³": " cubed", "§": "section ", "№": "number ", "±":
    " plus or minus ", "×": " times ", "÷": " divided by ", "≈": " approximately ", "→": " to ",
    "†": "", "‡": "", "™": "", "®": "", "©": "copyright ", "′": " feet", "″": " inches",
    "¥": " yen ", "~": " approximately ", "•": "", "<": " less than ", ">": " greater than ",
}  # fmt: skip


#: Stands within a capitalised word while the library runs, which takes `the Sun` for a Sunday,
#: `She Sat` for a Saturday, `TV` for its long form; it knows no word with this character in it.
_SHIELD = "\ue000"


def ordinal(number: str) -> str:
    """Say an integer as an ordinal: `21` as `twenty first`."""
    return _plain(str(num2words(int(number), to="ordinal")))


def cardinal(number: str) -> str:
    """Say an integer or a decimal, its thousands parted by commas or not."""
    return _plain(str(num2words(Decimal(number.replace(",", "")))))


def _plain(words: str) -> str:
    return words.replace("-", " ").replace(",", "")


def _money(found: re.Match[str]) -> str:
    amount = Decimal(found["amount"].replace(",", ""))
    words = str(num2words(amount, to="currency", currency=_CURRENCIES[found["sign"]]))
    for wrong, right in _MONEY:
        words = re.sub(wrong, right, words)
    return _plain(words)


def _decade(found: re.Match[str]) -> str:
    year = str(num2words(int(found["year"]), to="year"))
    if year.endswith("hundred"):
        return f"{_plain(year)}s"
    return _plain(year)[:-1] + "ies" if year.endswith("ty") else f"{_plain(year)}s"


def _roman(found: re.Match[str]) -> str:
    value = roman.fromRoman(found["numeral"])
    words = ordinal(str(value)) if found["king"] else cardinal(str(value))
    return f"{found['before']}the {words}" if found["king"] else f"{found['before']}{words}"


def _digits(number: str) -> str:
    return " ".join(str(num2words(int(digit))) for digit in number)


def _acronym(found: re.Match[str]) -> str:
    """`I.O.U.s` as `IOUs`; at the very end the last stop stays."""
    ends = not found.string[found.end() :].strip("\"'”’)]")
    return found[1].replace(".", "") + found[2] + ("." if ends and not found[2] else "")


def _abbreviation(found: re.Match[str]) -> str:
    ends = found["rest"] is not None
    return ABBREVIATIONS[found["word"]] + ("." if ends else "")


def _lookup(table: dict[str, str]) -> Callable[[re.Match[str]], str]:
    return lambda found: table[found[0]]


def _before_number(found: re.Match[str]) -> str:
    word = BEFORE_NUMBER[found["word"].lower()]
    return f"{word.capitalize() if found['word'][0].isupper() else word} "


def _alternatives(words: dict[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


#: A full stop is the sentence's own where nothing but closing quotes follows.
_ENDS = r"(?P<rest>(?=[\"'”’)\]]*$))?"

RULES: tuple[Rule, ...] = (
    (re.compile(r"[\u2212\ufe63]"), "-"),
    (re.compile(r"(?<=\d)\u00a0(?=\d{3}\b)"), ""),
    (re.compile(_alternatives(_DOTTED)), _lookup(_DOTTED)),
    (re.compile(r"\bSt\.(?=\s+[A-Z])(?!\s+(?:The|He|She|It|They|We|I)\b)"),
     "Saint"),
    (re.compile(r"(?<=[a-z]\s)St\.(?=[\"'”’)\]]*$)"), "Street."),
    (re.compile(r"(?<=[a-z]\s)St\b\.?(?=[,;]|\s+[a-z])"), "Street"),
    (re.compile(r"(?<=[a-z]\s)Dr\.(?=[\"'”’)\]]*$)"), "Drive."),
    (re.compile(r"(?<=[a-z]\s)Dr\.(?=,)"), "Drive"),
    (re.compile(rf"\b(?P<word>{_alternatives(ABBREVIATIONS)})\.{_ENDS}"), _abbreviation),
    (re.compile(rf"\b(?P<word>{_alternatives(BEFORE_NUMBER)})\.\s?(?=\d|[IVXLC]+\b)", re.I),
     _before_number),
    (NUMERAL_IN_PLACE, _roman),
    (re.compile(r"(?P<sign>[$£€])\s?(?P<amount>\d[\d,]*\.\d\d)\b(?!\s*(?:million|billion|trillion))"),
     _money),
    (re.compile(r"(?P<sign>[$£€])\s?(?P<amount>\d{1,3}(?:,\d{3})+|1\d{3})\b(?!\.\d|\s*(?:million|billion))"),
     _money),
    (re.compile(r"\b(?P<year>1\d\d0|20\d0)[’']?s\b"), _decade),
    (re.compile(rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)"),
     lambda found: f"{found[1]} {ordinal(found[2])}"),
    (re.compile(rf"\b([Tt]he\s+)?(\d{{1,2}})(?:st|nd|rd|th)?\s+{_MONTH}\b"),
     lambda found: f"{found[1] or 'the '}{ordinal(found[2])} of {found[3]}"),
    # 1905: the library says zero where people say oh.
    (re.compile(r"(?<![\d,.:/$£€-])1[1-9]0[1-9](?![-,.:/%]?\d)"),
     lambda found: _plain(str(num2words(int(found[0]), to="year")))),
    (re.compile(r"(?<![\d/])(?:50/50|24/7|9/11)(?![\d/])"), _lookup(_SLASHED)),
    (re.compile(r"¥\s?(\d[\d,.]*\d|\d)"), r"\1 yen"),
    (re.compile(r"(?<=\d)\s?([ckm]?m)([²³])"),
     lambda found: f" {_POWERS[found[2]]} {_METERS[found[1]]}"),
    (re.compile(r"(?<![\d.,])(\d+)(?:st|nd|rd|th)\b"), lambda found: ordinal(found[1])),
    (re.compile(r"(?<![\w,.])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,]*\d)"),
     lambda found: cardinal(found[0])),
    (re.compile(r"(?<![-\d/:])(\d{1,4})\s?–\s?(?=[$£€]?\d{1,4}(?![-–\d/:]))"), r"\1 to "),
    (re.compile(r"(?<![-\d/:.])(\d\d\d\d)-(?=\d\d\d\d\b(?![-\d/:]))"), r"\1 to "),
    (re.compile(r"(\d)(?=[½¼¾⅓⅔⅛])"), r"\1 and "),
    (re.compile(r"(\d)\s*([ap])\.\s?m\.(?=[\"'”’)\]]*$|\s+[A-Z])"), r"\1 \2m."),
    (re.compile(r"(\d)\s*([ap])\.\s?m\."), r"\1 \2m"),
    (re.compile(rf"(?<=\d)\s?({_STOPPED_UNITS})\.(?=,?\s[a-z\d])"), r" \1"),
    (re.compile(r"\b([B-Z])\.(?=\s*(?:[A-Z]\.\s*)*[A-Z][a-z])"), r"\1 "),
    (re.compile(r"#(?=\d)"), "number "),
    (re.compile(r"(?<![\w.])\+(?=\d)"), "plus "),
    (re.compile(r"\b(\d+(?:\.\d+)?)\s?([$£€])(?!\d)"), r"\2\1"),
    (re.compile(r"(?<=\d)\s?m\b(?![./²³'’\d-])"), " meters"),
    (re.compile(r"(?<=\d)\s?[lL]\b(?![.'’])"), " liters"),
    (re.compile(r"(?<=\d)\s?in\.(?=,?\s[a-z])|(?<=\d\sft\s\d)\s?in\b|(?<=\d\sft\s\d\d)\s?in\b"),
     " inches"),
    (re.compile(r"(?<=\d)\s?st\.?(?=\s\d+\s?lbs?\b)"), " stone"),
    (re.compile(r"\b1\s?¢"), "one cent"),
    (re.compile(r"(?<=\d)\s?¢"), " cents"),
    (re.compile(r"\b1/2(?=\spast\b)"), "half"),
    (re.compile(r"(?<![\d-])(?<!\)\s)\d{3}-\d{4}\b(?!-)"),
     lambda found: ", ".join(_digits(group) for group in found[0].split("-"))),
    (re.compile(r"\b((?:[A-Z]\.){2,})(s?)(?![A-Za-z])"), _acronym),
    (re.compile(r"(\d+)[′'](\d+)[″\"]"), r"\1 feet \2"),
    (re.compile("[" + "".join(_SYMBOLS) + "](?!C\\b|F\\b)"), _lookup(_SYMBOLS)),
    (re.compile(r"\b(?!(?<=\d\s)(?:Hz|[KMGT]b|Pa|Wh)\b)(?:[A-Z](?=[a-z]+\b)|T(?=V\b)|Z(?=IP\b))"),
     rf"\g<0>{_SHIELD}"),
)  # fmt: skip

_HOUR = r"(?:o'clock|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty)"
_AFTER: tuple[Rule, ...] = (
    (re.compile(rf"(?<=[a-z] of ){_MONTH.lower()}\b"), lambda found: found[0].title()),
    (re.compile(_SHIELD), ""),
    # The library writes `"` and `\` as it would inside its own tokens.
    (re.compile(r"\\([\"\\])"), r"\1"),
    (re.compile(rf"\b({_HOUR} )([AP])M\b\.?"), lambda found: f"{found[1]}{found[2].lower()}.m."),
)
#: Words that are spoken differently though they hold neither digits nor signs.
TRIGGERS = re.compile(
    rf"\b(?:{'|'.join(sorted(ABBREVIATIONS))}|St|[A-Z])\.|{NUMERAL_IN_PLACE.pattern}"
    rf"|\b[AP]M\b|\bof {_MONTH.lower()}\b"
)


def before(text: str) -> str:
    """Mend a sentence before the library reads it."""
    return _apply(RULES, text)


def after(text: str) -> str:
    """Undo what the library adds of its own."""
    return _apply(_AFTER, text)


def _apply(rules: tuple[Rule, ...], text: str) -> str:
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())
