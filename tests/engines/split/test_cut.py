"""Where a graph is cut, and which graphs are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper

from farm.engines.split import Split, Uncut, has_noise
from farm.engines.split.cut import find
from farm.engines.split.surgery import split
from tests.engines.split.originals import model, opened, several
from tests.engines.tiny_piper import make_model


@pytest.fixture
def piper() -> ModelProto:
    return onnx.load(model("piper"))


@pytest.fixture
def small() -> ModelProto:
    """The graph with the fewest nodes; its inputs are named as Piper's."""
    return onnx.load(model("coqui_deterministic"))


def rename(whole: ModelProto) -> None:
    """Give every tensor and node but the inputs and outputs a name that says nothing."""
    kept = {each.name for each in [*whole.graph.input, *whole.graph.output]} | {""}
    names: dict[str, str] = {}

    def new(name: str) -> str:
        return name if name in kept else names.setdefault(name, f"t{len(names)}")

    for weight in whole.graph.initializer:
        weight.name = new(weight.name)
    for number, node in enumerate(whole.graph.node):
        node.name = f"n{number}"
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]
    del whole.graph.value_info[:]


def test_names_do_not_matter(piper: ModelProto, tmp_path: Path) -> None:
    rename(piper)
    onnx.save(piper, tmp_path / "renamed.onnx")
    renamed = Split(tmp_path / "renamed.onnx", "renamed", "cpu", {}, tmp_path / "parts")
    plain = opened("piper", tmp_path / "parts")
    for one, other in zip(plain.speak(several(plain)), renamed.speak(several(plain)), strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)


def test_weights_are_not_duplicated(piper: ModelProto) -> None:
    whole = sum(len(each.raw_data) for each in piper.graph.initializer)
    cut = split(piper)
    parts = [onnx.load_from_string(each) for each in (cut.encoder, cut.flow, cut.decoder)]
    kept = sum(len(each.raw_data) for part in parts for each in part.graph.initializer)
    assert 0.95 * whole < kept <= 1.001 * whole
    for part in parts:
        onnx.checker.check_model(part)
        assert not has_noise(part)


@pytest.mark.parametrize(
    ("name", "noise", "length", "noise_w", "extra"),
    [
        ("piper", None, None, None, ()),
        ("piper_speakers", None, None, None, ("sid",)),
        ("sherpa_speakers", None, None, None, ("sid",)),
        ("coqui_languages", None, None, None, ("sid", "langid")),
        ("mms", 0.667, 1.0, 0.8, ()),
        ("mms_deterministic", 0.667, 1.25, 0.0, ()),
    ],
)
def test_scales_that_are_baked_in_are_told(
    name: str,
    noise: float | None,
    length: float | None,
    noise_w: float | None,
    extra: tuple[str, ...],
    tmp_path: Path,
) -> None:
    cut = opened(name, tmp_path)
    assert cut.extra == extra
    assert cut.baked.noise == pytest.approx(noise)
    assert cut.baked.length == pytest.approx(length)
    assert cut.baked.noise_w == pytest.approx(noise_w)


def test_a_graph_without_noise_is_no_vits() -> None:
    tiny = make_model(True, False, False, False)
    assert not has_noise(tiny)
    with pytest.raises(Uncut, match="it draws no noise: it is deterministic as it is"):
        find(tiny)


def test_a_graph_without_a_decoder_is_no_vits() -> None:
    noisy = make_model(True, False, True, False)
    assert has_noise(noisy)
    with pytest.raises(Uncut, match="0 outputs follow a transposed convolution, not one"):
        find(noisy)


def spoil(whole: ModelProto, tensor: str, other: str) -> None:
    """Add another tensor, reduced to one number, to what the takers of a tensor get."""
    nodes = [
        helper.make_node("ReduceMax", [other], ["spoil/max"], keepdims=0),
        helper.make_node("Cast", ["spoil/max"], ["spoil/cast"], to=1),
        helper.make_node("Add", [tensor, "spoil/cast"], ["spoil/sum"]),
    ]
    for node in whole.graph.node:
        node.input[:] = ["spoil/sum" if name == tensor else name for name in node.input]
    whole.graph.node.extend(nodes)
    _sort(whole)


def _sort(whole: ModelProto) -> None:
    """Order nodes so that each comes behind those that it needs."""
    known = {each.name for each in whole.graph.input} | {""}
    known |= {each.name for each in whole.graph.initializer}
    waiting, sorted_ = list(whole.graph.node), []
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        assert ready
        waiting = [node for node in waiting if not known.issuperset(node.input)]
        known.update(name for node in ready for name in node.output)
        sorted_ += ready
    del whole.graph.node[:]
    whole.graph.node.extend(sorted_)


@pytest.mark.parametrize("source", ["scales", "input", "input_lengths"])
def test_a_decoder_that_needs_the_text_or_the_scales_is_refused(
    small: ModelProto, source: str
) -> None:
    spoil(small, find(small).latent, source)
    with pytest.raises(Uncut, match=f"its (flow|decoder) still depends on {source}"):
        split(small)


def test_an_encoder_that_needs_the_scales_otherwise_is_refused(small: ModelProto) -> None:
    spoil(small, find(small).mean.name, "scales")
    with pytest.raises(Uncut, match="its encoder still depends on scales"):
        split(small)


def test_a_flow_that_draws_noise_is_refused(small: ModelProto) -> None:
    cut = find(small)
    small.graph.node.append(helper.make_node("RandomNormalLike", [cut.mean.name], ["more"]))
    spoil(small, cut.latent, "more")
    with pytest.raises(Uncut, match="2 random nodes behind durations, not one"):
        split(small)


def test_two_roundings_are_one_too_many(small: ModelProto) -> None:
    small.graph.node.append(helper.make_node("Ceil", [find(small).mean.name], ["more"]))
    spoil(small, find(small).durations.name, "more")
    with pytest.raises(Uncut, match="2 Ceil nodes"):
        find(small)


def test_another_distribution_of_noise_is_refused(small: ModelProto) -> None:
    for node in small.graph.node:
        if node.op_type == "RandomNormalLike":
            node.op_type = "RandomUniformLike"
    with pytest.raises(Uncut, match="RandomUniformLike draws something else than normal noise"):
        find(small)


def test_half_precision_is_refused(small: ModelProto) -> None:
    name = find(small).latent
    for node in small.graph.node:
        node.input[:] = ["half" if each == name else each for each in node.input]
    small.graph.node.append(helper.make_node("Cast", [name], ["half"], to=10))
    _sort(small)
    with pytest.raises(Uncut, match="'half' holds FLOAT16, not FLOAT"):
        split(small)
