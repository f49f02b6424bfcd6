"""Any script in Latin letters, by uroman, as some of MMS's voices were trained."""

from __future__ import annotations

import functools
from typing import Protocol

from farm.errors import Unavailable


class _Romaniser(Protocol):
    def romanize_string(self, text: str) -> str: ...


def romanise(text: str) -> str:
    """Write a text in Latin letters.

    Raises:
        Unavailable: uroman is not installed here.
    """
    return _romaniser().romanize_string(text)


@functools.cache
def _romaniser() -> _Romaniser:
    try:
        # It reads its tables for two seconds: only for the voices that want them.
        import uroman
    except ImportError as error:
        raise Unavailable(
            f"this voice reads text that uroman has romanised, and uroman is not installed here "
            f"({error}): pip install uroman"
        ) from error
    romaniser: _Romaniser = uroman.Uroman()
    return romaniser
