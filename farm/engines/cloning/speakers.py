"""The d-vectors that a zero-shot voice speaks with, by speaker's name."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from farm.errors import EngineError

DVector = NDArray[np.float32]

#: How the names begin of those who only lend their voice.
_LENT = "lent-"


class Speakers:
    """Who a voice can be: speakers with a name, and perhaps one of its own without."""

    def __init__(
        self, voice: str, size: int, named: Mapping[str, ArrayLike], default: str = ""
    ) -> None:
        """Take the named speakers' d-vectors of `size` numbers; `voice` names it in errors.

        `default` is who speaks where nobody is asked for and there is no d-vector of its own.

        Raises:
            EngineError: a d-vector is not valid, or `default` is nobody.
        """
        self._voice = voice
        self.size = size
        self._named = {name: self.checked(each, name) for name, each in named.items()}
        self._own: DVector | None = None
        self._lent: dict[str, DVector] = {}
        self._holders: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._default = default or (next(iter(self._named)) if len(self._named) == 1 else "")
        if self._default:
            self.find(self._default)

    @property
    def names(self) -> tuple[str, ...]:
        """Everybody with a name."""
        return tuple(self._named)

    def become(self, d_vector: ArrayLike) -> None:
        """Speak with this d-vector where nobody is asked for."""
        self._own = self.checked(d_vector, "the voice's own")

    @contextmanager
    def lent(self, d_vector: ArrayLike) -> Iterator[str]:
        """Give the name that means a d-vector for the length of a block, then forget it.

        Several threads may lend the same at once; the name is a function of the d-vector.

        Raises:
            EngineError: the d-vector is not valid.
        """
        vector = self.checked(d_vector, "the reference")
        name = _LENT + hashlib.sha256(vector.tobytes()).hexdigest()[:32]
        with self._lock:
            self._lent[name] = vector
            self._holders[name] += 1
        try:
            yield name
        finally:
            with self._lock:
                self._holders[name] -= 1
                if not self._holders[name]:
                    del self._holders[name], self._lent[name]

    def find(self, name: str) -> DVector:
        """Return a speaker's d-vector of shape (size,); the voice's own if the name is empty.

        Raises:
            EngineError: there is no such speaker, or nobody was asked for and nobody is the own.
        """
        if not name and self._own is not None:
            return self._own
        name = name or self._default
        found = self._named.get(name, self._lent.get(name))
        if found is not None:
            return found
        choices = ", ".join(sorted(self._named)) or "none; clone one with 'farm voices clone'"
        if not name:
            raise EngineError(f"voice {self._voice!r} needs a speaker: choose one of {choices}")
        raise EngineError(f"voice {self._voice!r} has no speaker {name!r}; its speakers: {choices}")

    def checked(self, d_vector: ArrayLike, name: str) -> DVector:
        """Return a d-vector as float32 of shape (size,), or raise `EngineError`."""
        vector = np.asarray(d_vector, np.float32).reshape(-1)
        if len(vector) != self.size:
            raise EngineError(
                f"d-vector of {name!r} has {len(vector)} numbers, voice {self._voice!r} takes "
                f"{self.size}: it was made by another speaker encoder"
            )
        if not np.isfinite(vector).all() or not vector.any():
            raise EngineError(f"d-vector of {name!r} is zero or not finite: embed it again")
        return vector


def read(path: Path) -> DVector:
    """Read a stored d-vector (`.npy`, float32).

    Raises:
        EngineError: it cannot be read; pickled content is refused.
    """
    try:
        return np.asarray(np.load(path, allow_pickle=False), np.float32).reshape(-1)
    except (OSError, ValueError, EOFError) as error:
        raise EngineError(f"{str(path)!r} is no d-vector: {error}") from error


def write(path: Path, d_vector: DVector) -> None:
    """Store a d-vector (`.npy`, float32), whole or not at all, for its owner only."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".d_vector-") as name:
        fresh = Path(name) / "d_vector.npy"
        fresh.touch(0o600)
        np.save(fresh, np.asarray(d_vector, np.float32), allow_pickle=False)
        fresh.replace(path)
