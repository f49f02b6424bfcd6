"""From a document to sentences as they are spoken, each with its span in the source."""

from farm.text.cutting import clause_spans
from farm.text.lexicon import Lexicons
from farm.text.normalise import FRONT_END, normalise
from farm.text.readings import Reading, Spoken, merged, spoken
from farm.text.sentences import Sentence, sentences

__all__ = [
    "FRONT_END",
    "Lexicons",
    "Reading",
    "Sentence",
    "Spoken",
    "clause_spans",
    "merged",
    "normalise",
    "sentences",
    "spoken",
]
