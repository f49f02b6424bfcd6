"""What voices say to be tried, by language."""

from __future__ import annotations

#: Voices of other languages say the English.
SENTENCES = {
    "en": "The quick brown fox jumps over the lazy dog. How are you today? "
    "She had your dark suit in greasy wash water all year, and nobody asked why.",
    "de": "Der schnelle braune Fuchs springt über den faulen Hund. Wie geht es dir heute? "
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Deich.",
    "es": "El veloz murciélago comía feliz cardillo y kiwi. ¿Cómo estás hoy? "
    "La cigüeña tocaba el saxofón detrás del palenque de paja.",
    "fr": "Portez ce vieux vin au juge blond qui fume. Comment allez-vous ? "
    "Dès Noël, un zéphyr haï me vêt de glaçons.",
    "it": "Ma la volpe, col suo balzo, ha raggiunto il quieto cane. Come stai oggi? "
    "Quel vago gozzo che mi chiede la pizza è già partito.",
    "pt": "À noite, vovô vê o ímã cair no pé do pinguim. Como você está hoje? "
    "A rápida raposa marrom pula sobre o cão preguiçoso.",
    "zh": "天气很好，我们去公园散步吧。你今天好吗？他说明天早上会下雨。",
}


def text(language: str) -> str:
    """Return a few sentences for a voice of a language, a BCP 47 tag."""
    primary = language.lower().replace("_", "-").partition("-")[0]
    return SENTENCES.get(primary, SENTENCES["en"])
