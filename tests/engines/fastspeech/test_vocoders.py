"""Vocoders by themselves: inverse transforms, reach, forms that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from farm.engines.fastspeech.inverse import Inverse, of_metadata
from farm.engines.fastspeech.vocoders import Vocoder
from farm.errors import EngineError
from tests.exports import export

#: The first of them downloads PaddleSpeech.
pytestmark = pytest.mark.timeout(600)


def open_vocoder(path: Path) -> Vocoder:
    return Vocoder(path, "tiny", "cpu", {})


@pytest.mark.parametrize("padding", ["same", "center"])
def test_vocos_gives_what_its_own_inverse_transform_gives(padding: str) -> None:
    vocoder = open_vocoder(export("vocos") / f"{padding}.onnx")
    with np.load(export("vocos") / "golden.npz") as golden:
        mel, expected = golden["mel"], golden[padding]
    (found,) = vocoder.speak([mel[0].T])
    reach = vocoder.rest * vocoder.hop
    # `center` gives one hop less than there are frames.
    assert 0 <= len(found) - len(expected) <= vocoder.hop
    np.testing.assert_allclose(
        found[: -reach - 1024], expected[: len(found) - reach - 1024], atol=1e-5
    )


@pytest.mark.parametrize(("hop", "window"), [(256, 1024), (300, 1200), (100, 800)])
@pytest.mark.parametrize("centred", [True, False])
def test_a_signal_comes_back_from_its_own_spectrum(hop: int, window: int, centred: bool) -> None:
    n_fft = 2048
    signal = np.random.default_rng(0).normal(size=40 * hop)
    first = n_fft // 2 if centred else (n_fft - hop) // 2
    wide = np.pad(signal, (first, n_fft))
    shape = np.pad(np.hanning(window + 1)[:-1], (n_fft - window) // 2)
    cut = [np.fft.rfft(wide[i * hop : i * hop + n_fft] * shape) for i in range(40)]
    found = Inverse(n_fft, hop, window, centred).signal(np.array(cut))
    assert found.dtype == np.float32
    # The last windows of the signal lack their neighbours.
    inside = slice(window, -2 * window)
    np.testing.assert_allclose(found[inside], signal[inside], atol=1e-5)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({}, "'n_fft'"),
        ({"n_fft": "many", "hop_length": "1"}, "invalid literal"),
        ({"n_fft": "16", "hop_length": "4", "window_type": "sine"}, "cannot invert window 'sine'"),
        ({"n_fft": "16", "hop_length": "32"}, "hop 32, FFT 16"),
    ],
)
def test_a_spectrum_that_nobody_explains_is_refused(metadata: dict[str, str], reason: str) -> None:
    with pytest.raises(EngineError, match=reason):
        of_metadata(metadata, "tiny")


def test_hop_and_bands_are_measured_not_believed() -> None:
    told = open_vocoder(export("paddle") / "hifigan.onnx").config()
    assert (told.hop, told.bands, told.sample_rate) == (300, 80, None)
    told = open_vocoder(export("vocos") / "same.onnx").config()
    assert (told.hop, told.bands, told.sample_rate, told.n_fft) == (256, 80, 22_050, 1024)


def conv(path: Path, *, last: bool, whole: bool, width: int = 5) -> Vocoder:
    """A batched vocoder of one convolution and a hop of 2; `whole`: each sample hears every frame.

    `last`: the bands are the last axis. Its sound can be computed by hand.
    """
    shape: list[int | str] = ["batch", "frames", 4] if last else ["batch", 4, "frames"]
    nodes = [helper.make_node("Transpose", ["mel"], ["rows"], perm=[0, 2, 1])] if last else []
    source = "rows" if last else "mel"
    nodes.append(
        helper.make_node("Conv", [source, "kernel"], ["heard"], pads=[width // 2, width // 2])
    )
    if whole:
        nodes.append(helper.make_node("ReduceMean", ["heard"], ["mean"], axes=[2]))
        nodes.append(helper.make_node("Add", ["heard", "mean"], ["sum"]))
    nodes.append(helper.make_node("Resize", ["sum" if whole else "heard", "", "twice"], ["wav"]))
    kernel = np.random.default_rng(1).normal(size=(1, 4, width)).astype(np.float32)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("mel", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("wav", TensorProto.FLOAT, ["batch", 1, "samples"])],
        [
            onnx.numpy_helper.from_array(kernel, "kernel"),
            onnx.numpy_helper.from_array(np.array([1, 1, 2], np.float32), "twice"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return open_vocoder(path)


def mels(*lengths: int) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(2)
    return [rng.normal(size=(length, 4)).astype(np.float32) for length in lengths]


@pytest.mark.parametrize("last", [True, False])
def test_reach_is_measured_and_rows_rest_as_long(last: bool, tmp_path: Path) -> None:
    vocoder = conv(tmp_path / "v.onnx", last=last, whole=False)
    assert vocoder.hop == 2
    assert vocoder.rest >= 2
    rows = mels(7, 30, 1)
    for row, found in zip(rows, vocoder.speak(rows), strict=True):
        assert len(found) == 2 * len(row)
        np.testing.assert_allclose(found, vocoder.speak([row])[0], atol=1e-6)


def test_a_vocoder_that_hears_everything_is_given_one_at_a_time(tmp_path: Path) -> None:
    vocoder = conv(tmp_path / "v.onnx", last=False, whole=True)
    rows = mels(7, 30)
    for row, found in zip(rows, vocoder.speak(rows), strict=True):
        np.testing.assert_array_equal(found, vocoder.speak([row])[0])


def test_a_graph_that_is_no_vocoder_is_told_what_is_known() -> None:
    with pytest.raises(EngineError, match=r"it takes text .*; known are one mel of rank 2 or 3"):
        open_vocoder(export("paddle") / "fastspeech2_csmsc.onnx")
