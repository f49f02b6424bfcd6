"""How Portuguese says what it writes short: the tables of `farm.text.romance`."""

from __future__ import annotations

import re

from farm.text.romance import Grammar, cardinal, ordinal, speak

_KINGS = (
    "Pedro|João|José|Manuel|Afonso|Luís|Carlos|Henrique|Filipe|Sebastião|Fernando|Dinis|Maria|"
    "Sancho|Duarte|Miguel|Bento|Pio|Leão|Paulo|João Paulo|Isabel|Jorge|Eduardo|Napoleão|Nicolau"
)
_PARTS = "século|séculos|capítulo|tomo|livro|ato|acto|cena|parte|volume|seção|secção|canto|título"
_NUMERAL = r"(?=[IVXLC]+)(?:C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
#: Up to here Roman numerals are ordinals, above it cardinals.
_LAST_ORDINAL = 10
_FEMININE_PARTS = ("cena", "parte", "seção", "secção", "Maria", "Isabel")


def normalise(text: str, language: str) -> str:
    """Write a Portuguese sentence as it is spoken; `pt-BR` differs in `dezesseis` and the like."""
    return speak(text, GRAMMAR, language)


def _ordinal(number: int, mark: str, language: str) -> str:
    words = ordinal(number, language)
    return re.sub(r"o\b", "a", words) if "ª" in mark else words


def _roman(number: int, mark: str, language: str) -> str:
    if number > _LAST_ORDINAL:
        return cardinal(str(number), language)
    feminine = mark.strip().lower().endswith(tuple(each.lower() for each in _FEMININE_PARTS))
    return _ordinal(number, "ª" if feminine else "º", language)


def _feminine(words: str) -> str:
    words = re.sub(r"\bum\b", "uma", words)
    words = re.sub(r"\bdois\b", "duas", words)
    return re.sub(r"entos\b", "entas", words)


def _of(unit: str) -> str:
    return f"de {unit}"


GRAMMAR = Grammar(
    months=("janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto",
            "setembro",
            "outubro", "novembro", "dezembro"),
    first_of_month="primeiro",
    date="{day} de {month} de {year}",
    hours=("hora", "horas"),
    time=" e ",
    currencies={
        "€": (("euro", "euros"), ("cêntimo", "cêntimos")),
        "R$": (("real", "reais"), ("centavo", "centavos")),
        "US$": (("dólar", "dólares"), ("centavo", "centavos")),
        "$": (("dólar", "dólares"), ("centavo", "centavos")),
        "£": (("libra", "libras"), ("pêni", "pence")),
        "¥": (("iene", "ienes"), ("sen", "sens")),
    },
    and_="e",
    of=_of,
    millions="milhão|milhões|bilhão|bilhões|mil milhões|trilhões",
    percent="por cento",
    units={
        "km": ("quilômetro", "quilômetros"), "m": ("metro", "metros"), "cm": ("centímetro",
        "centímetros"),
        "mm": ("milímetro", "milímetros"), "kg": ("quilo", "quilos"), "g": ("grama", "gramas"),
        "mg": ("miligrama", "miligramas"), "l": ("litro", "litros"), "L": ("litro", "litros"),
        "ml": ("mililitro", "mililitros"), "ha": ("hectare", "hectares"), "t": ("tonelada",
        "toneladas"),
        "min": ("minuto", "minutos"), "s": ("segundo", "segundos"),
        "°C": ("grau Celsius", "graus Celsius"), "ºC": ("grau Celsius", "graus Celsius"),
        "°": ("grau", "graus"), "m²": ("metro quadrado", "metros quadrados"),
        "m2": ("metro quadrado", "metros quadrados"), "km²": ("quilômetro quadrado",
        "quilômetros quadrados"),
        "m³": ("metro cúbico", "metros cúbicos"), "W": ("watt", "watts"), "kW": ("quilowatt",
        "quilowatts"),
        "V": ("volt", "volts"), "Hz": ("hertz", "hertz"), "GB": ("gigabyte", "gigabytes"),
        "MB": ("megabyte", "megabytes"),
    },
    per_hour="por hora",
    feminine_nouns="horas?|pessoas?|páginas?|vez|vezes|semanas?|mulheres|mulher|noites?|casas?|"
    "toneladas?|libras?|cartas?|portas?|cidades?|meninas?|filhas?|salas?|ruas?|garrafas?|linhas?|"
    "histórias?|crianças|cadeiras?|mesas?",
    feminine=_feminine,
    minus="menos",
    to="a",
    signs={"&": "e", "+": "mais", "=": "igual a", "×": "vezes", "÷": "dividido por",
           "±": "mais ou menos", "≈": "aproximadamente", "§": "parágrafo", "<": "menor que",
           ">": "maior que"},
    fractions={"1/2": "meio", "1/3": "um terço", "2/3": "dois terços", "1/4": "um quarto",
               "3/4": "três quartos", "½": "meio", "¼": "um quarto", "¾": "três quartos"},
    abbreviations={
        "Sr": "Senhor", "Srs": "Senhores", "Sra": "Senhora", "Sras": "Senhoras",
        "Srta": "Senhorita",
        "Dr": "Doutor", "Dra": "Doutora", "Drs": "Doutores", "Prof": "Professor",
        "Profa": "Professora",
        "Eng": "Engenheiro", "Exmo": "Excelentíssimo", "Exma": "Excelentíssima", "Sto": "Santo",
        "Sta": "Santa", "D": "Dom", "V. Exa": "Vossa Excelência", "Pe": "Padre", "Gen": "General",
        "Cel": "Coronel", "Cap": "Capitão", "etc": "et cetera", "Av": "Avenida", "Ltda": "Limitada",
        "Cia": "Companhia", "p. ex": "por exemplo", "a.C": "antes de Cristo",
        "d.C": "depois de Cristo",
        "jan": "janeiro", "fev": "fevereiro", "nov": "novembro",
    },
    titles="Sra?s?|Srta|Dra?s?|Profa?",
    before_number={"nº": "número", "n.º": "número", "Nº": "Número", "n°": "número", "p.": "página",
                   "pp.": "páginas", "pág.": "página", "págs.": "páginas", "cap.": "capítulo",
                   "vol.": "volume", "art.": "artigo", "fig.": "figura", "tel.": "telefone",
                   "Tel.": "Telefone"},
    phone=r"(?<![\d.,])(?![12]\d{3}-[12]\d{3})(?:\+55\s?)?(?:\(\d{2}\)\s?)?9?\d{4}-\d{4}(?!\d)",
    ordinal=(r"(?<![\d,.])(?P<number>\d+)\.?(?P<mark>[ºª])(?!C)", _ordinal),
    roman=(
        rf"\b(?P<before>(?:(?:{_KINGS})|(?i:{_PARTS}))\s)\b(?P<numeral>{_NUMERAL})(?P<mark>)\b(?!['’])",
        _roman,
    ),
)  # fmt: skip
