"""One name for a language, whatever a model calls it."""

from __future__ import annotations

from collections.abc import Collection

from farm.errors import EngineError

#: BCP 47 tag to the other codes of ISO 639 (MMS has 639-3, books 639-2) and the English name
#: (sherpa-onnx) of a language.
_NAMES = {
    "af": "afr Afrikaans", "am": "amh Amharic", "ar": "ara Arabic", "bg": "bul Bulgarian",
    "bn": "ben Bengali", "ca": "cat Catalan", "cs": "ces cze Czech", "cy": "cym wel Welsh",
    "da": "dan Danish", "de": "deu ger German", "el": "ell gre Greek", "en": "eng English",
    "es": "spa Spanish", "et": "est Estonian", "eu": "eus baq Basque", "fa": "fas per Persian",
    "fi": "fin Finnish", "fr": "fra fre French", "ga": "gle Irish", "gu": "guj Gujarati",
    "ha": "hau Hausa", "he": "heb Hebrew", "hi": "hin Hindi", "hr": "hrv Croatian",
    "hu": "hun Hungarian", "hy": "hye arm Armenian", "id": "ind Indonesian",
    "is": "isl ice Icelandic",
    "it": "ita Italian", "ja": "jpn Japanese", "jv": "jav Javanese", "ka": "kat geo Georgian",
    "kk": "kaz Kazakh", "km": "khm Khmer", "kn": "kan Kannada", "ko": "kor Korean",
    "lb": "ltz Luxembourgish", "lo": "lao Lao", "lt": "lit Lithuanian", "lv": "lav Latvian",
    "mk": "mkd mac Macedonian", "ml": "mal Malayalam", "mn": "mon Mongolian", "mr": "mar Marathi",
    "ms": "msa may Malay", "mt": "mlt Maltese", "my": "mya bur Burmese", "ne": "nep Nepali",
    "nl": "nld dut Dutch", "no": "nor Norwegian", "pa": "pan Punjabi", "pl": "pol Polish",
    "pt": "por Portuguese", "ro": "ron rum Romanian", "ru": "rus Russian", "sk": "slk slo Slovak",
    "sl": "slv Slovenian", "so": "som Somali", "sq": "sqi alb Albanian", "sr": "srp Serbian",
    "sv": "swe Swedish", "sw": "swa Swahili", "ta": "tam Tamil", "te": "tel Telugu",
    "th": "tha Thai", "tr": "tur Turkish", "uk": "ukr Ukrainian", "ur": "urd Urdu",
    "uz": "uzb Uzbek", "vi": "vie Vietnamese", "yo": "yor Yoruba", "yue": "yue Cantonese",
    "zh": "cmn zho chi Chinese",
}  # fmt: skip

_TAGS = {name.lower(): tag for tag, names in _NAMES.items() for name in names.split()}


def tag(name: str) -> str:
    """Return the BCP 47 tag of a language as models name it: `eng`, `Chinese`, `pt-br`, `en_US`.

    A name that is not known is taken for a tag.
    """
    first, _, region = name.replace("_", "-").partition("-")
    first = first.split(" ")[0]
    primary = _TAGS.get(first.lower(), first.lower())
    return f"{primary}-{region.upper()}" if len(region) == 2 else primary


def choose(asked: str, names: Collection[str], what: str) -> str:
    """Return a model's name of a language: the same tag, else the first of that language.

    Regions do not part speakers of one language: `pt-PT` and `pt` are spoken as `pt-br`.

    Raises:
        EngineError: `what` does not speak the language.
    """
    for alike in (tag, primary):
        for name in names:
            if alike(name) == alike(asked):
                return name
    raise EngineError(f"{what} does not speak {asked!r}, only {', '.join(names)}")


def primary(name: str) -> str:
    """Return the tag without its region: what decides whether a voice speaks it."""
    return tag(name).partition("-")[0]
