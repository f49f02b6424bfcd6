"""Writes the nodes of a graph whose signals are images [B, C, 1, T], as `blocked` wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from farm.audio import Samples
from farm.engines.split.phases import Taps, kernel

_BATCH = "farm_batch"
#: From channels before time to channels behind it, and back.
_LAST, _FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


class Images:
    """Nodes and weights, each written once however often it is asked for."""

    def __init__(self) -> None:
        """Begin without any."""
        self.nodes: list[NodeProto] = []
        self._made: dict[bytes, str] = {}
        self._weights: dict[tuple[str, tuple[int, ...], bytes], TensorProto] = {}
        self._shapes: dict[str, tuple[int, str]] = {}

    def fill(self, graph: GraphProto) -> None:
        """Put everything in place of a graph's nodes, and take away weights that none takes."""
        del graph.node[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        taken = {name for node in self.nodes for name in node.input}
        kept = [each for each in graph.initializer if each.name in taken]
        del graph.initializer[:]
        graph.initializer.extend([*kept, *self._weights.values()])
        for name, (channels, moments) in self._shapes.items():
            shape = (_BATCH, channels, 1, moments)
            graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def node(
        self, kind: str, inputs: Sequence[str], shape: tuple[int, str] | None = None, **how: Any
    ) -> str:
        """Write a node, and the channels and moments (a name for their number) of its output."""
        node = helper.make_node(kind, inputs, [], **how)
        key = node.SerializeToString()
        if key not in self._made:
            self._made[key] = name = f"image/{len(self._made)}"
            node.output.append(name)
            self.nodes.append(node)
            if shape:
                self._shapes[name] = shape
        return self._made[key]

    def constant(self, value: NDArray[Any]) -> str:
        """Return the name of a constant."""
        key = (value.dtype.str, value.shape, value.tobytes())
        name = f"image/constant/{len(self._weights)}"
        return self._weights.setdefault(key, numpy_helper.from_array(value, name)).name

    def whole(self, *values: int) -> str:
        """Return the name of a constant of whole numbers."""
        return self.constant(np.array(values, np.int64))

    def convolved(
        self, name: str, taps: Taps, bias: Samples | None, moments: str, **how: int
    ) -> str:
        """Convolve; `how` may say `stride`, and `more` zeros behind the signal."""
        stride, more = how.get("stride", 1), how.get("more", 0)
        made = kernel(taps, stride)
        weights = [made.weight] if bias is None else [made.weight, bias]
        return self.node(
            "Conv",
            [name, *map(self.constant, weights)],
            (len(made.weight), moments),
            kernel_shape=[1, made.weight.shape[3]],
            dilations=[1, made.dilation],
            strides=[1, stride],
            pads=[0, made.begin, 0, made.end + more],
        )

    def scaled(self, name: str, factor: float) -> str:
        """Multiply, by a convolution of each channel with itself."""
        channels, moments = self._shapes[name]
        weight = self.constant(np.full((channels, 1, 1, 1), factor, np.float32))
        shape = (channels, moments)
        return self.node("Conv", [name, weight], shape, kernel_shape=[1, 1], group=channels)

    def elementwise(self, kind: str, names: Sequence[str], **how: Any) -> str:
        """Write an operator that keeps the shape of its first input."""
        return self.node(kind, names, self._shapes.get(names[0]), **how)

    def image(self, name: str, channels: int = 0, moments: str = "") -> str:
        """Give a signal [B, C, T] as an image."""
        shape = (channels, moments) if channels else None
        return self.node("Reshape", [name, self.whole(0, 0, 1, -1)], shape)

    def signal(self, image: str, name: str) -> None:
        """Give an image as a signal [B, C, T] of a certain name."""
        self.nodes.append(helper.make_node("Reshape", [image, self.whole(0, 0, -1)], [name]))

    def in_a_row(self, names: Sequence[str], channels: int) -> str:
        """Give moments that several signals, and their blocks of channels, hold each in turn.

        The result has channels behind time; `channels` remain.
        """
        last = [self.node("Transpose", [name], perm=_LAST) for name in names]
        joined = last[0] if len(last) == 1 else self.node("Concat", last, axis=3)
        return self.node("Reshape", [joined, self.whole(0, 1, -1, channels)])

    def first(self, name: str, channels: int, moments: str) -> str:
        """Put channels before time again, in blocks for all who take it."""
        image = self.node("Transpose", [name], (channels, moments), perm=_FIRST)
        return self.scaled(image, 1.0)

    def turned(self, name: str) -> str:
        """Put channels before time again, as they are."""
        return self.node("Transpose", [name], perm=_FIRST)

    def sliced(self, name: str, start: int, stop: int, step: int) -> str:
        """Take moments `start`, `start + step` ... before `stop`, of channels behind time."""
        bounds = [self.whole(value) for value in (start, stop, 2, step)]
        return self.node("Slice", [name, *bounds])
