"""Speaker encoders in ONNX: a recording becomes a d-vector, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from farm.audio import Samples
from farm.engines.cloning.reference import resampled
from farm.engines.cloning.speakers import DVector
from farm.engines.sessions import mapped, open_session
from farm.errors import EngineError


class SpeakerEncoder:
    """A graph `wav` float32 [1, S] -> d-vector float32 [1, D], windows and mel bands inside."""

    def __init__(
        self,
        model: Path,
        sample_rate: int,
        device: str = "cpu",
        parameters: Mapping[str, float | int | str] | None = None,
    ) -> None:
        """Open a graph that takes recordings at `sample_rate` Hz.

        Raises:
            EngineError: the file is no such graph.
            Unavailable: the device is not there.
        """
        self.sample_rate = sample_rate
        self._what = str(model)
        try:
            content = model.read_bytes()
        except OSError as error:
            raise EngineError(f"{self._what!r} cannot be read: {error}") from error
        self._session = open_session(content, self._what, device, parameters or {})
        if [each.name for each in self._session.get_inputs()] != ["wav"]:
            raise EngineError(f"{self._what!r} is no speaker encoder: it does not take 'wav' alone")

    def embed(self, samples: Samples, sample_rate: int) -> DVector:
        """Return the d-vector (size,) of one recording, mono in [-1, 1] at `sample_rate` Hz.

        Raises:
            EngineError: the recording is too short or silent.
        """
        wave = resampled(samples, sample_rate, self.sample_rate)
        with mapped(self._what):
            (vectors,) = self._session.run(None, {"wav": wave[np.newaxis]})
        return np.asarray(vectors, np.float32).reshape(-1)
