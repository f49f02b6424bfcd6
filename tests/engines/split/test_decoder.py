"""What a decoder's convolutions say, against what it does."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from farm.engines.split import Uncut
from farm.engines.split.decoder import MASK, masked, reach
from farm.engines.split.surgery import Parts, split
from tests.engines.split.originals import CHANNELS, model

FRAMES = 40


@pytest.fixture(scope="module", params=["piper", "coqui", "mms"])
def parts(request: pytest.FixtureRequest) -> Parts:
    return split(onnx.load(model(request.param)))


def decode(decoder: bytes, **feeds: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(decoder)
    latent, *_ = (each.name for each in session.get_inputs() if each.name != MASK)
    feeds[latent] = feeds.pop("latent")
    signal: NDArray[np.float32] = session.run(None, feeds)[0]
    return signal.reshape(len(signal), -1)


def latents(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal(shape, np.float32)


def test_the_hop_is_what_a_frame_gives(parts: Parts) -> None:
    signal = decode(parts.decoder, latent=latents(1, CHANNELS, FRAMES))
    assert signal.shape == (1, FRAMES * parts.seams.hop)


def test_the_context_is_as_far_as_a_frame_is_heard_and_no_further(parts: Parts) -> None:
    before = latents(1, CHANNELS, FRAMES)
    after = before.copy()
    middle = FRAMES // 2
    after[:, :, middle] += 1
    changed = np.flatnonzero(
        decode(parts.decoder, latent=before) != decode(parts.decoder, latent=after)
    )
    far = max(middle - changed[0] // parts.seams.hop, changed[-1] // parts.seams.hop - middle)
    assert parts.seams.context - 1 <= far <= parts.seams.context


def test_masks_silence_what_is_behind_an_end_and_reach_nothing_before(parts: Parts) -> None:
    name = parts.seams.cut.latent
    whole = latents(2, CHANNELS, FRAMES)
    mask = np.ones((2, 1, FRAMES), np.float32)
    mask[1, :, 25:] = 0
    together = decode(masked(parts.decoder, name), latent=whole, **{MASK: mask})
    plain = decode(parts.decoder, latent=whole * mask)
    alone = decode(parts.decoder, latent=whole[1:, :, :25])
    end = 25 * parts.seams.hop
    np.testing.assert_allclose(together[0], plain[0], atol=1e-6)
    np.testing.assert_allclose(together[1, :end], alone[0], atol=1e-6)
    # Without masks the end is another: this is what they are for.
    assert np.abs(plain[1, :end] - alone[0]).max() > 1e-4


def chain(*nodes: onnx.NodeProto) -> ModelProto:
    """A decoder of nodes one behind the other, from `latent` to `signal`."""
    names = ["latent", *(f"t{number}" for number in range(len(nodes) - 1)), "signal"]
    for node, (given, made) in zip(nodes, pairwise(names), strict=True):
        node.input.insert(0, given)
        node.output.append(made)
    ends = (
        helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in (names[0], names[-1])
    )
    graph = helper.make_graph(nodes, "chain", [next(ends)], [next(ends)])
    return helper.make_model(graph)


def convolution(kernel: int, *pads: int, **more: Any) -> onnx.NodeProto:
    """A convolution that keeps the length if its pads allow, transposed or not."""
    kind = "ConvTranspose" if more.pop("up", False) else "Conv"
    return helper.make_node(kind, ["weight"], [], kernel_shape=[kernel], pads=pads, **more)


def test_reaches_add_up_at_the_rate_of_each_signal() -> None:
    seen = reach(
        chain(
            convolution(7, 3, 3),
            convolution(16, 4, 4, strides=[8], up=True),
            convolution(3, 2, 2, dilations=[2]),
        ),
        "latent",
    )
    assert seen.rate == 8
    assert seen.before == 3 + 11 / 8 + 2 / 8
    assert seen.after == 3 + 4 / 8 + 2 / 8
    assert seen.context == 5


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (convolution(3, 0, 0), "changes the length"),
        (convolution(2, 0, 0, strides=[2]), "changes the length"),
        (convolution(16, 0, 0, strides=[8], up=True), "changes the length"),
        (convolution(3, 1, 1, auto_pad="SAME_UPPER"), "changes the length"),
        (helper.make_node("Slice", ["a", "b"], []), "holds a Slice, of which it is not known"),
        (
            helper.make_node("Conv", ["w"], [], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            "convolves 2 axes",
        ),
    ],
)
def test_what_is_not_understood_is_refused(node: onnx.NodeProto, reason: str) -> None:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    with pytest.raises(Uncut, match=reason):
        reach(chain(copy), "latent")
