"""How French says what it writes short: the tables of `farm.text.romance`."""

from __future__ import annotations

import re

from farm.text.romance import Grammar, cardinal, ordinal, speak

_KINGS = (
    "Louis|Charles|Henri|François|Philippe|Napoléon|Pie|Jean|Jean-Paul|Benoît|Léon|Clément|"
    "Élisabeth|Elizabeth|Guillaume|Édouard|George|Georges|Frédéric|Catherine|Pierre|Nicolas|"
    "Alexandre|Paul|Grégoire|Innocent|Urbain|Sixte|Jules|Ferdinand|Alphonse|Léopold|Baudouin"
)
_PARTS = "chapitre|tome|livre|acte|scène|partie|volume|section|annexe|leçon|chant|titre|article"
#: `Le` and `Ce` are words.
_NUMERAL = r"(?![CL]e\b)(?=[IVXLC]+)(?:C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_IRREGULAR = {(1, "er"): "premier", (1, "re"): "première", (1, "ère"): "première",
              (2, "nd"): "second", (2, "nde"): "seconde"}  # fmt: skip


def normalise(text: str, language: str) -> str:
    """Write a French sentence as it is spoken."""
    return speak(text, GRAMMAR, language)


def _ordinal(number: int, mark: str, language: str) -> str:
    return _IRREGULAR.get((number, mark)) or ordinal(number, language)


def _roman(number: int, mark: str, language: str) -> str:
    if mark in ("e", "ème", "er", "re", "ère"):
        return _ordinal(number, mark, language)
    return cardinal(str(number), language)


def _feminine(words: str) -> str:
    return re.sub(r"\bun$", "une", words)


def _of(unit: str) -> str:
    return f"d'{unit}" if unit[0] in "aeiouhé" else f"de {unit}"


GRAMMAR = Grammar(
    months=("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre",
            "octobre", "novembre", "décembre"),
    first_of_month="premier",
    date="{day} {month} {year}",
    hours=("heure", "heures"),
    time=" ",
    currencies={
        "€": (("euro", "euros"), ("centime", "centimes")),
        "$": (("dollar", "dollars"), ("cent", "cents")),
        "£": (("livre", "livres"), ("penny", "pence")),
        "¥": (("yen", "yens"), ("sen", "sens")),
        "F": (("franc", "francs"), ("centime", "centimes")),
        "CHF": (("franc suisse", "francs suisses"), ("centime", "centimes")),
    },
    and_="et",
    of=_of,
    millions="millions?|milliards?|billions?",
    percent="pour cent",
    units={
        "km": ("kilomètre", "kilomètres"), "m": ("mètre", "mètres"), "cm": ("centimètre",
        "centimètres"),
        "mm": ("millimètre", "millimètres"), "kg": ("kilogramme", "kilogrammes"),
        "g": ("gramme", "grammes"), "mg": ("milligramme", "milligrammes"), "l": ("litre", "litres"),
        "L": ("litre", "litres"), "cl": ("centilitre", "centilitres"), "ml": ("millilitre",
        "millilitres"),
        "ha": ("hectare", "hectares"), "t": ("tonne", "tonnes"), "min": ("minute", "minutes"),
        "s": ("seconde", "secondes"), "°C": ("degré Celsius", "degrés Celsius"),
        "°F": ("degré Fahrenheit", "degrés Fahrenheit"), "°": ("degré", "degrés"),
        "m²": ("mètre carré", "mètres carrés"), "m2": ("mètre carré", "mètres carrés"),
        "km²": ("kilomètre carré", "kilomètres carrés"), "m³": ("mètre cube", "mètres cubes"),
        "cm³": ("centimètre cube", "centimètres cubes"), "W": ("watt", "watts"),
        "kW": ("kilowatt", "kilowatts"), "V": ("volt", "volts"), "Hz": ("hertz", "hertz"),
        "Go": ("gigaoctet", "gigaoctets"), "Mo": ("mégaoctet", "mégaoctets"),
        "Ko": ("kilooctet", "kilooctets"),
    },
    per_hour="par heure",
    feminine_nouns="heures?|minutes?|secondes?|pages?|fois|années?|femmes?|filles?|personnes?|"
    "semaines?|journées?|nuits?|tonnes?|maisons?|lettres?|portes?|villes?|livres sterling|places?|"
    "voitures?|pièces?|chambres?|bouteilles?|lignes?|histoires?",
    feminine=_feminine,
    minus="moins",
    to="à",
    signs={"&": "et", "+": "plus", "=": "égale", "×": "fois", "÷": "divisé par",
           "±": "plus ou moins",
           "≈": "environ", "§": "paragraphe", "<": "inférieur à", ">": "supérieur à"},
    fractions={"1/2": "un demi", "1/3": "un tiers", "2/3": "deux tiers", "1/4": "un quart",
               "3/4": "trois quarts", "½": "demi", "¼": "un quart", "¾": "trois quarts"},
    abbreviations={
        "M": "Monsieur", "MM": "Messieurs", "Mme": "Madame", "Mmes": "Mesdames",
        "Mlle": "Mademoiselle",
        "Mlles": "Mesdemoiselles", "Dr": "Docteur", "Pr": "Professeur", "St": "Saint",
        "Ste": "Sainte", "Mgr": "Monseigneur", "etc": "et cetera", "env": "environ", "av": "avenue",
        "bd": "boulevard", "boul": "boulevard", "cf": "confer", "c.-à-d": "c'est-à-dire",
        "p. ex": "par exemple", "apr. J.-C": "après Jésus-Christ", "av. J.-C": "avant Jésus-Christ",
        "janv": "janvier", "févr": "février", "juil": "juillet",
        "oct": "octobre", "nov": "novembre", "déc": "décembre",
    },
    titles="Mmes?|Mlles?|Mgr|Dr|Pr",
    before_number={"n°": "numéro", "N°": "Numéro", "nº": "numéro", "no.": "numéro", "p.": "page",
                   "pp.": "pages",
                   "chap.": "chapitre", "vol.": "volume", "art.": "article", "fig.": "figure",
                   "t.": "tome", "tél.": "téléphone", "Tél.": "Téléphone"},
    phone=r"(?<!\d)(?:\+33\s?[1-9]|0[1-9])(?:[ .-]?\d{2}){4}(?!\d)",
    ordinal=(r"(?<![\d,.])(?P<number>\d+)(?P<mark>er|re|ère|nde?|ème|e)s?\b", _ordinal),
    roman=(
        rf"\b(?P<before>(?:(?:{_KINGS})|(?i:{_PARTS}))\s)?\b(?P<numeral>{_NUMERAL})"
        r"(?P<mark>ème|er|re|ère|e)?\b(?!['’])(?(mark)|(?(before)|(?!)))(?<!\bC)(?<!\bL)",
        _roman,
    ),
)  # fmt: skip
