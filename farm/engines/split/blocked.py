"""A decoder rewritten so that a CPU runs it faster; what it gives stays the same.

ONNX Runtime has faster kernels for convolutions of images, on channels in blocks (NCHWc), than
for those of signals. Signals [B, C, T] become images [B, C, 1, T], and every operator between two
convolutions one that the runtime knows in that layout, so that nothing is reordered:

* a factor, or a `LeakyRelu` that is not right behind a convolution, is a convolution of each
  channel with one weight of its own; the runtime fuses the `LeakyRelu` into it;
* shapes are written down, since a sum is fused into a convolution only if they are known equal;
* a `ConvTranspose` gives a frame's moments as channels; these are then put in a row;
* the last convolution, which has one channel, gives 16 moments as channels.

Where enough convolutions gain by it, signals are held as two phases: see `phases`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import ModelProto, NodeProto

from farm.audio import Samples
from farm.engines.split import phases
from farm.engines.split.decoder import reaches
from farm.engines.split.graph import Graph, attributes
from farm.engines.split.images import Images
from farm.engines.split.phases import Taps

#: Channels of the runtime's widest blocks; narrower ones divide it.
BLOCK = 16
#: Part of the taps that two phases must save, to outweigh what they cost besides.
_WORTH = 0.05
#: Other than convolutions and factors.
_AXES = frozenset({"Squeeze", "Unsqueeze"})
_KINDS = frozenset({"Add", "Identity", "LeakyRelu", "Tanh"}) | _AXES
#: Where a slice ends that ends with the signal.
_END = 2**62


@dataclass(frozen=True)
class _Signal:
    """A signal in a graph, as images [B, C, 1, T / phases]."""

    names: tuple[str, ...]
    channels: int
    rate: int
    """Moments per frame, of all phases."""

    @property
    def moments(self) -> str:
        return f"farm_frames*{self.rate}/{len(self.names)}"


def blocked(decoder: bytes, latent: str) -> bytes:
    """Return a decoder's file rewritten for a CPU; as it is, where it holds what is not known.

    Inputs and outputs stay, and what it gives but for rounding.
    """
    model = onnx.load_from_string(decoder)
    rewriting = _Rewriting(model, latent)
    if not rewriting.understood():
        return decoder
    rewriting.run()
    content: bytes = model.SerializeToString()
    return content


class _Rewriting:
    """Goes through the nodes of a decoder once and writes others."""

    def __init__(self, model: ModelProto, latent: str) -> None:
        self._model = model
        self._graph = Graph(model)
        self._latent = latent
        self._reaches = reaches(model, latent)
        self._signals: dict[str, _Signal] = {}
        self._images = Images()

    def understood(self) -> bool:
        """Whether all that depends on the latent is of a kind that `run` rewrites."""
        return all(map(self._known, self._reaches.keys() - {self._latent}))

    def _known(self, name: str) -> bool:
        node = self._graph.maker(name)
        if node is None:
            return False
        given = attributes(node)
        if node.op_type in ("Conv", "ConvTranspose"):
            grouped = "group" in given and given["group"].i != 1
            values = map(self._graph.value, node.input[1:])
            return not grouped and all(value is not None for value in values)
        if node.op_type in ("Div", "Mul"):
            return self._factor(node) is not None
        return node.op_type in _KINDS

    def run(self) -> None:
        """Rewrite the model."""
        graph, images = self._model.graph, self._images
        first = next(each for each in self._graph.takers(self._latent) if each.op_type == "Conv")
        channels = self._weight(first).shape[1]
        image = images.image(self._latent, channels, "farm_frames")
        self._signals[self._latent] = _Signal((image,), channels, 1)
        for node in self._graph.nodes:
            self._rewrite(node)
        for name in self._graph.outputs:
            if name in self._signals:
                images.signal(self._joined(self._signals[name]).names[0], name)
        images.fill(graph)

    def _rewrite(self, node: NodeProto) -> None:
        signals = [self._signals[name] for name in node.input if name in self._signals]
        if not signals:
            self._images.nodes.append(node)
        elif node.op_type in _AXES:
            self._images.signal(self._joined(signals[0]).names[0], node.input[0])
            self._images.nodes.append(node)
        else:
            self._signals[node.output[0]] = self._written(node, signals[0])

    def _written(self, node: NodeProto, given: _Signal) -> _Signal:
        match node.op_type:
            case "Conv":
                return self._convolved(node, given)
            case "ConvTranspose":
                return self._stretched(node, self._joined(given))
            case "LeakyRelu":
                return self._leaky(node, given)
            case "Div" | "Mul":
                factor = self._factor(node) or 0.0
                names = tuple(self._images.scaled(each, factor) for each in given.names)
                return replace(given, names=names)
            case kind:
                return self._elementwise(kind, node, given)

    def _elementwise(self, kind: str, node: NodeProto, given: _Signal) -> _Signal:
        """Write an operator on every phase; what does not depend on the latent is broadcast."""
        rows = []
        for name in node.input:
            if name in self._signals:
                rows.append(self._signals[name].names)
            else:
                rows.append((self._images.image(name),) * len(given.names))
        names = [self._images.elementwise(kind, each) for each in zip(*rows, strict=True)]
        return replace(given, names=tuple(names))

    def _leaky(self, node: NodeProto, given: _Signal) -> _Signal:
        maker, takers = self._graph.maker(node.input[0]), self._graph.takers(node.input[0])
        fused = maker is not None and len(takers) == 1 and maker.op_type in ("Conv", "Div", "Mul")
        names = given.names
        if given.channels % BLOCK == 0 and not (fused and len(names) == 1):
            names = tuple(self._images.scaled(each, 1.0) for each in names)
        slope = attributes(node)["alpha"].f if node.attribute else 0.01
        made = [self._images.elementwise("LeakyRelu", [each], alpha=slope) for each in names]
        return replace(given, names=tuple(made))

    def _convolved(self, node: NodeProto, given: _Signal) -> _Signal:
        taps, bias = self._taps(node), self._bias(node)
        made = replace(given, channels=len(next(iter(taps.values()))))
        if made.channels == 1 and given.rate % BLOCK == 0:
            return self._last(taps, bias, given)
        if len(given.names) == 1:
            name = self._images.convolved(given.names[0], taps, bias, made.moments)
            return replace(made, names=(name,))
        if phases.saved(taps) > 0:
            return replace(made, names=self._shared(taps, bias, given))
        names = [self._part(taps, bias, given, phase, made.moments) for phase in range(2)]
        return replace(made, names=tuple(names))

    def _shared(self, taps: Taps, bias: Samples | None, given: _Signal) -> tuple[str, str]:
        """Convolve two phases with three convolutions."""
        same, odd, even = phases.shared(taps)
        moments = given.moments
        both = self._images.elementwise("Add", given.names)
        middle = self._images.convolved(both, same, bias, moments)
        others = [
            self._images.convolved(name, part, None, moments)
            for name, part in zip(given.names[::-1], (odd, even), strict=True)
        ]
        one, other = (self._images.elementwise("Add", [each, middle]) for each in others)
        return one, other

    def _part(
        self, taps: Taps, bias: Samples | None, given: _Signal, made: int, moments: str, **how: int
    ) -> str:
        """Convolve what all phases add to one phase of the result."""
        total, count = "", len(given.names)
        for phase, name in enumerate(given.names):
            own = phases.part(taps, phase, made, count)
            if own:
                term = self._images.convolved(name, own, None if total else bias, moments, **how)
                total = self._images.elementwise("Add", [term, total]) if total else term
        return total

    def _last(self, taps: Taps, bias: Samples | None, given: _Signal) -> _Signal:
        """Convolve to one channel, many moments at once."""
        many = phases.together(taps, BLOCK)
        biases = None if bias is None else np.repeat(bias, BLOCK)
        stride = BLOCK // len(given.names)
        moments = f"farm_frames*{given.rate // BLOCK}"
        name = self._part(many, biases, given, 0, moments, stride=stride)
        row = self._images.in_a_row([name], 1)
        return _Signal((self._images.turned(row),), 1, given.rate)

    def _joined(self, given: _Signal) -> _Signal:
        """Return a signal in one phase."""
        if len(given.names) == 1:
            return given
        row = self._images.in_a_row(given.names, given.channels)
        joined = replace(given, names=("",))
        return replace(joined, names=(self._images.first(row, given.channels, joined.moments),))

    def _stretched(self, node: NodeProto, given: _Signal) -> _Signal:
        """Write a transposed convolution as one that gives its moments as channels."""
        weight, bias = self._weight(node), self._bias(node)
        stride, begin = _whole(node, "strides", 1), _whole(node, "pads", 0)
        taps = phases.transposed(weight, stride)
        channels, more = weight.shape[1], -min(taps)
        biases = None if bias is None else np.tile(bias, stride)
        moments = f"{given.moments}+{more}"
        name = self._images.convolved(given.names[0], taps, biases, moments, more=more)
        row = self._images.in_a_row([name], channels)
        made = _Signal(("",), channels, given.rate * stride)
        count = self._phases(made.rate)
        made = replace(made, names=("",) * count)
        over = more * stride - begin
        names = [
            self._images.first(
                self._images.sliced(row, begin + each, -over or _END, count), channels, made.moments
            )
            for each in range(count)
        ]
        return replace(made, names=tuple(names))

    def _phases(self, rate: int) -> int:
        """Return in how many phases signals of a rate are held."""
        all_, gained = 0, 0
        for node in self._graph.of_type("Conv"):
            given = self._reaches.get(node.input[0])
            if given and given.rate == rate:
                taps, size = self._taps(node), self._weight(node)[:, :, 0].size
                all_ += 2 * len(taps) * size
                gained += max(0, phases.saved(taps)) * size
        return 2 if rate % 2 == 0 and gained > _WORTH * all_ else 1

    def _taps(self, node: NodeProto) -> Taps:
        begin, dilation = _whole(node, "pads", 0), _whole(node, "dilations", 1)
        return phases.convolution(self._weight(node), begin, dilation)

    def _weight(self, node: NodeProto) -> Samples:
        return np.asarray(self._graph.value(node.input[1]), np.float32)

    def _bias(self, node: NodeProto) -> Samples | None:
        value = self._graph.value(node.input[2]) if len(node.input) > 2 else None
        return None if value is None else np.asarray(value, np.float32)

    def _factor(self, node: NodeProto) -> float | None:
        """The number that a product or a quotient is one with."""
        values = [self._graph.value(name) for name in node.input if name not in self._reaches]
        if len(values) != 1 or values[0] is None or values[0].size != 1:
            return None
        number = float(values[0].reshape(()))
        if node.op_type == "Mul":
            return number
        return 1 / number if node.input[0] in self._reaches else None


def _whole(node: NodeProto, name: str, default: int) -> int:
    """The first value of an attribute of a convolution."""
    how = attributes(node)
    return how[name].ints[0] if name in how else default
