"""Where a VITS graph is cut in three (the model: Kim, Kong and Son 2021, arXiv 2106.06103).

Found by structure, never by name, so that the exports of several frameworks are cut alike:

    ids -> [encoder] -> durations, mean, spread   of each id: frames before rounding; the prior
           prior = mean + noise * exp(spread)     repeated by ceil(durations * length), outside
    prior, mask -> [flow] -> latent
    latent -> [decoder] -> signal

1. The one `Ceil` rounds the durations. 2. A random node before it is their noise; the other one
is the prior's. 3. The prior's noise is multiplied, then added to the expanded mean; mean and
spread are what the expanding `MatMul`s take that does not depend on the `Ceil`. 4. The mask of
frames is what depends on the `Ceil`, not on the prior, and meets what depends on the prior.
5. The latent goes into the convolution before the first `ConvTranspose`.
Products with what does not depend on the text (the three scales) are noted, to be taken out.
"""

from __future__ import annotations

from collections.abc import Collection

from onnx import ModelProto

from farm.engines.split.graph import INTEGERS, RESHAPES, Graph, taken
from farm.engines.split.products import RANDOM, Products, only
from farm.engines.split.seams import Cut, Table, Text, Uncut


def has_noise(model: ModelProto) -> bool:
    """Whether a graph draws noise; one that does not is deterministic as it is."""
    return any(node.op_type in RANDOM for node in model.graph.node)


def find(model: ModelProto) -> Cut:
    """Find where to cut a graph; nothing is changed.

    Raises:
        Uncut: it has not the structure of VITS.
    """
    if not has_noise(model):
        raise Uncut("it draws no noise: it is deterministic as it is")
    graph, signal = _speaking(model)
    text = _text(graph)
    search = Products(graph, graph.after(text.names))
    ceil = only(graph.of_type("Ceil"), "Ceil nodes, which round durations")
    timed = graph.after(ceil.output)
    before = graph.before([ceil.input[0]])
    draws = graph.of_type(*RANDOM)
    early = [node for node in draws if before.intersection(node.output)]
    late = [node for node in draws if not before.intersection(node.output)]
    durations = search.durations(ceil.input[0])
    noise = search.noise(only(early, "random nodes before durations")) if early else None
    prior, mean, spread = search.prior(only(late, "random nodes behind durations"), timed)
    return Cut(
        text=text,
        durations=durations,
        duration_noise=noise,
        mean=_table(graph, mean, timed),
        spread=_table(graph, spread, timed, through="Exp"),
        prior=prior,
        frame_mask=_frame_mask(graph, prior.name, ceil.output[0]),
        latent=_latent(graph, prior.name),
        signal=signal,
        bypassed=search.bypassed,
        scales=tuple(sorted(search.scales)),
    )


def _speaking(model: ModelProto) -> tuple[Graph, str]:
    """The part of a graph that its signal needs: the one output behind a transposed convolution."""
    graph = Graph(model)
    stretched = {name for node in graph.of_type("ConvTranspose") for name in node.output}
    signals = sorted(graph.after(stretched).intersection(graph.outputs))
    if len(signals) != 1:
        raise Uncut(f"{len(signals)} outputs follow a transposed convolution, not one")
    return Graph(model, signals), signals[0]


def _text(graph: Graph) -> Text:
    ranks = {name: graph.rank(name) for name, type_ in graph.types.items() if type_ in INTEGERS}
    tables = {name for name in ranks if _chooses_rows(graph, name)}
    ids = [name for name, rank in ranks.items() if rank == 2 and name in tables]
    masks = [name for name, rank in ranks.items() if rank == 2 and name not in tables]
    lengths = [name for name, rank in ranks.items() if rank == 1 and name not in tables]
    if len(ids) != 1 or len(masks) > 1 or len(lengths) > 1:
        raise Uncut(
            f"of its inputs {[*graph.types]} none is clearly the ids, the lengths, the mask"
        )
    return Text(ids[0], "".join(lengths), "".join(masks))


def _chooses_rows(graph: Graph, name: str) -> bool:
    """Whether an input chooses rows of a table of weights."""
    for node in graph.takers(name):
        if node.op_type == "Gather" and node.input[1] == name:
            return True
        if node.op_type in RESHAPES and _chooses_rows(graph, node.output[0]):
            return True
    return False


def _table(graph: Graph, name: str, timed: Collection[str], through: str = "Identity") -> Table:
    """Go back from an expanded table to the `MatMul` with the alignment, and to the table."""
    while True:
        node = graph.maker(name)
        if node is None or node.op_type not in RESHAPES | {"MatMul", through}:
            raise Uncut(f"the prior's {name!r} is expanded by {node and node.op_type}, no MatMul")
        if node.op_type == "MatMul":
            break
        name = node.input[0]
    tables = [(each, place == 1) for place, each in enumerate(node.input) if each not in timed]
    if len(tables) != 1:
        raise Uncut(f"{node.name!r} multiplies no alignment with the prior's table")
    return Table(*tables[0])


def _frame_mask(graph: Graph, prior: str, rounded: str) -> str:
    """The tensor through which alone, besides the prior, the rounded durations reach the flow."""
    flowing, timed = graph.after([prior]), graph.after([rounded])
    met = [
        name
        for node in graph.nodes
        if flowing.intersection(node.output) and prior not in node.output
        for name in dict.fromkeys(taken(node))
        if name in timed and name not in flowing
    ]
    for name in dict.fromkeys(met):
        others = graph.after([rounded], without=[name])
        if not others.intersection(set(met) - {name}):
            return name
    raise Uncut(f"no one mask of frames is behind {sorted(set(met))}")


def _latent(graph: Graph, prior: str) -> str:
    """The input of the convolution before the first transposed one that the prior reaches."""
    flowing = graph.after([prior])
    stretching = [n for n in graph.of_type("ConvTranspose") if n.input[0] in flowing]
    name = stretching[0].input[0] if stretching else prior
    while (node := graph.maker(name)) is not None and name != prior:
        if node.op_type == "Conv":
            return node.input[0]
        name = next(each for each in node.input if each in flowing)
    raise Uncut("its decoder does not begin with a convolution")
