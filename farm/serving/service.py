"""A service: the voices it was started with, whether they are loaded, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from farm.calibration import Budgets
from farm.engines import Engine
from farm.errors import InvalidInput, Unavailable, UnknownVoice
from farm.jobs import Voice
from farm.serving import Loader, measuring
from farm.serving.desk import Desk

#: Seconds that a request may take, the waiting included.
TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Loaded:
    """A voice that is ready to speak."""

    voice: Voice
    engine: Engine
    budget: int = 0
    """Padded characters that a call of the engine holds; 0: that was not measured."""


@dataclass
class Service:
    """One process's voices, loaded once, and the desk that speaks with them."""

    loaders: Sequence[Loader]
    device: str = "cpu"
    desk: Desk = field(default_factory=Desk)
    timeout_s: float = TIMEOUT_S
    stop: Callable[[], object] = lambda: None
    """Ends the server."""
    accept: Callable[[Loaded], object] = lambda _: None
    """Raises for a voice that the service has no use for."""
    revoked: Callable[[Voice], bool] = lambda _: False
    budgets: Callable[[], Budgets] | None = None
    """See `Options`."""
    somebody: Callable[[Loaded], AbstractContextManager[str]] = lambda _: nullcontext("")
    """Names who speaks while a voice is measured."""
    voices: Mapping[str, Loaded] = field(default_factory=dict)
    """By id; empty until all are loaded."""
    error: Exception | None = None
    """Why they could not be, or can speak no more."""
    _loading: threading.Thread | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """End where the device is lost: another process may have one again."""
        self.desk.lost = self._fail

    def start(self) -> None:
        """Load the voices in a thread: meanwhile `/health` can tell that they are not there."""
        self._loading = threading.Thread(target=self._load, name="load", daemon=True)
        self._loading.start()

    @property
    def busy(self) -> bool:
        """Whether a thread of it is at work, which cannot be told to end in the midst of a call."""
        return self.desk.alive or (self._loading is not None and self._loading.is_alive())

    def _load(self) -> None:
        try:
            loaded = [Loaded(*load()) for load in self.loaders]
            for each in loaded:
                self.accept(each)
            if self.budgets is not None:
                budgets = self.budgets()
                loaded = [self._settled(each, budgets) for each in loaded]
        except Exception as error:  # kept: whoever started the server gets to see it
            self._fail(error)
            return
        self.voices = {each.voice.id: each for each in loaded}

    def _settled(self, loaded: Loaded, budgets: Budgets) -> Loaded:
        """Have a voice speak as was measured on this kind of device."""
        with self.somebody(loaded) as speaker:
            found = measuring.setting(budgets, loaded.voice, loaded.engine, speaker)
        if found is None:
            return loaded
        found.apply(loaded.engine)
        return replace(loaded, budget=found.budget)

    def _fail(self, error: Exception) -> None:
        self.error = error
        self.stop()

    def close(self) -> None:
        """Fail what still waits."""
        self.desk.close()

    @property
    def state(self) -> str:
        """What `/health` says: `ok`, or why the service cannot speak."""
        if self.error is not None:
            return "failed"
        if not self.desk.running:
            return "stopping"
        if not self.voices:
            return "loading"
        return "stuck" if self.desk.stuck else "ok"

    def health(self) -> dict[str, Any]:
        """Say what both services' `/health` says."""
        return {
            "status": self.state,
            "model_loaded": bool(self.voices),
            "device": self.device,
            "queue_depth": self.desk.depth,
            "queue_limit": self.desk.limit,
        }

    def ready(self) -> Mapping[str, Loaded]:
        """Return the voices that were not revoked meanwhile.

        Raises:
            UnknownVoice: they all were.
            Unavailable: they are not loaded yet.
        """
        if not self.voices:
            raise Unavailable(f"the model is not loaded ({self.state}): ask again later")
        left = {name: each for name, each in self.voices.items() if not self.revoked(each.voice)}
        if not left:
            raise UnknownVoice("what this service spoke with was revoked: start it with another")
        return left

    def voice(self, name: str) -> Loaded:
        """Return a voice; there is no default.

        Raises:
            InvalidInput: none is named.
            UnknownVoice: there is none of that name, or it was revoked.
            Unavailable: they are not loaded yet.
        """
        known = self.ready()
        choices = f"choose one of {', '.join(sorted(known))}"
        if not name:
            raise InvalidInput(f"no voice given: {choices}")
        if name not in known:
            raise UnknownVoice(f"unknown voice {name!r}: {choices}")
        return known[name]


def primary(language: str) -> str:
    """Return the language of a tag: `zh` of `zh-CN`."""
    return language.lower().replace("_", "-").partition("-")[0]
