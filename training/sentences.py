"""The training text: WordNet's example sentences and phrases made from templates."""

import random
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

#: Words of letters and apostrophes, commas between them, one end mark at most.
_PLAIN: Final = re.compile(r"[A-Za-z']+(,? [A-Za-z']+)*[.?!]?")
_QUOTED: Final = re.compile(r'"([^"]+)"')


def _listed(text: str, separator: str | None = None) -> tuple[str, ...]:
    """Return the entries of a list written as one string."""
    return tuple(text.split(separator))


_ONES: Final = _listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TENS: Final = _listed("twenty thirty forty fifty sixty seventy eighty ninety")
_ORDINALS: Final = _listed(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth twentieth thirtieth"
)
_MONTHS: Final = _listed(
    "January February March April May June July August September October November December"
)
_DAYS: Final = _listed("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
_NAMES: Final = _listed(
    "Anna Peter Mary Thomas Clara George Helen Martin Alice Robert Emma Henry Julia Walter"
)
_THINGS: Final = _listed(
    "apples books letters candles horses windows bottles stamps boats chairs tickets coins"
)
_SHORT: Final = _listed(
    "Yes.|No.|Why?|What?|Stop!|Wait!|Hello.|Goodbye.|Thank you.|Of course.|Not at all.|"
    "Come in.|Who is it?|Where are you?|I see.|Good morning.|Good night.|Never mind.|"
    "Once upon a time.|The end.|Preface.|Introduction.|Contents.|Epilogue.|Notes.",
    "|",
)


def spell(number: int) -> str:
    """Spell out 0 <= number < 1,000,000 in English words."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        ones = "" if number % 10 == 0 else " " + _ONES[number % 10]
        return _TENS[number // 10 - 2] + ones
    unit, word = (100, "hundred") if number < 1000 else (1000, "thousand")
    rest = "" if number % unit == 0 else " " + spell(number % unit)
    return f"{spell(number // unit)} {word}{rest}"


def wordnet_examples(folder: Path) -> list[str]:
    """Return the quoted examples of WordNet's `data.*` files (wndb(5WN)), plain ones only."""
    found: set[str] = set()
    for name in ("adj", "adv", "noun", "verb"):
        for line in (folder / f"data.{name}").read_text("utf-8", "replace").splitlines():
            found.update(_QUOTED.findall(line.partition("|")[2]))
    return sorted(text.strip() for text in found if _PLAIN.fullmatch(text.strip()))


def _finish(text: str) -> str:
    """Capitalise the first letter and add a full stop where no end mark stands."""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".?!" else text + "."


def _long_examples(examples: list[str], rng: random.Random) -> Iterator[str]:
    """Yield examples of 6 to 24 words in a random order."""
    chosen = [text for text in examples if 6 <= len(text.split()) <= 24]
    rng.shuffle(chosen)
    yield from map(_finish, chosen)


def _joined_examples(examples: list[str], rng: random.Random) -> Iterator[str]:
    """Yield two short examples joined by a comma, a semicolon or a colon."""
    short = [text.rstrip(".?!") for text in examples if 3 <= len(text.split()) <= 7]
    rng.shuffle(short)
    for first, second in zip(short[0::2], short[1::2], strict=False):
        yield _finish(f"{first}{rng.choice(',;;:')} {second}")


def _digits(rng: random.Random) -> str:
    """Return three to eight digits, some groups parted by commas."""
    words = [_ONES[rng.randrange(10)] for _ in range(rng.randint(3, 8))]
    return "".join(word + rng.choice([" ", " ", ", "]) for word in words).rstrip(", ")


def _chapter(rng: random.Random) -> str:
    """Return a heading with a title."""
    number, first, second = spell(rng.randint(1, 30)), rng.choice(_THINGS), rng.choice(_THINGS)
    return f"Chapter {number}, {first} and {second}."


def _part(rng: random.Random) -> str:
    """Return the heading of a part."""
    return f"Part {_ONES[rng.randint(1, 12)]}: the {rng.choice(_ORDINALS)} {rng.choice(_DAYS)}."


def _phrases(rng: random.Random) -> Iterator[str]:
    """Yield endless phrases with numbers, dates, names and headings, spelt out."""
    while True:
        number = spell(rng.randrange(10 ** rng.randint(1, 6)))
        name, other = rng.sample(_NAMES, 2)
        day = f"{rng.choice(_DAYS)}, the {rng.choice(_ORDINALS)} of {rng.choice(_MONTHS)}"
        yield rng.choice(
            [
                f"Chapter {spell(rng.randint(1, 60))}.",
                _chapter(rng),
                f"{name} counted {number} {rng.choice(_THINGS)}.",
                f"It happened on {day}, in nineteen {spell(rng.randint(10, 99))}.",
                f"{_digits(rng)}.",
                f"The number is {_digits(rng)}.",
                f"Did {name} really say {number}, {other} asked?",
                f"{name} met {other} at {spell(rng.randint(1, 12))} {spell(rng.randint(10, 59))}.",
                f"That will be {number} dollars and {spell(rng.randint(2, 99))} cents.",
                _part(rng),
                f"Well, {name}, said {other}; about {spell(rng.randint(1, 99))} per cent.",
                f"{rng.choice(_SHORT)}",
            ]
        )


def training_text(wordnet: Path, held_out: set[str], count: int, seed: int) -> list[str]:
    """Return about `count` sentences: 82 % examples, 9 % joined ones, 9 % phrases.

    None is held out. Six in a hundred lose their full stop, as headings do.
    """
    rng = random.Random(seed)
    examples = wordnet_examples(wordnet)
    tenth = count * 9 // 100
    texts = list(islice(_long_examples(examples, rng), count - 2 * tenth))
    texts += islice(_joined_examples(examples, rng), tenth)
    texts += [_finish(text) for text in islice(_phrases(rng), tenth)]
    rng.shuffle(texts)
    texts = [text for text in texts if text not in held_out]
    return [text.rstrip(".") if rng.random() < 0.06 else text for text in texts]
