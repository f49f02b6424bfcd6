"""From a document to sentences as they are spoken, each with its span in the source."""

from farm.text.cutting import clause_spans
from farm.text.normalise import FRONT_END, normalise
from farm.text.sentences import Sentence, sentences

__all__ = ["FRONT_END", "Sentence", "clause_spans", "normalise", "sentences"]
