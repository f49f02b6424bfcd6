"""The picture of a soak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.soak_load import Seen
from benchmarks.soak_looks import Figures, Look

#: What of a look belongs on which axes.
REDIS = ("Redis, used_memory", "Redis's file")
STORE = ("store: segments", "store: all else", "logs", "Flower's file")
QUEUES = ("messages", "units")


def draw(looks: Sequence[Look], seen: Seen, path: Path) -> None:
    """Draw memory, Redis, store, queues, latency and errors over time into a PNG."""
    figure = Figure(figsize=(10, 18), layout="constrained")
    axes = figure.subplots(6, 1, sharex=True)
    axes[0].set_prop_cycle(color=[colormaps["tab20"](number) for number in range(20)])
    roles = sorted({role for look in looks for role in look.pss})
    _lines(axes[0], looks, lambda look: look.pss, roles, "PSS, MB")
    _lines(axes[1], looks, lambda look: look.held, REDIS, "MB")
    _lines(axes[2], looks, lambda look: look.held, STORE, "MB")
    _lines(axes[3], looks, lambda look: look.counts, QUEUES, "waiting")
    times = {"first audio of a speech": seen.speeches, "GET /v1/jobs/{id}": seen.polls}
    for label, pairs in times.items():
        axes[4].plot([t / 60 for t, _ in pairs], [s for _, s in pairs], ".", ms=2, label=label)
    axes[4].set(yscale="log", ylabel="s")
    axes[4].legend(fontsize="small")
    for at in seen.kills:
        axes[5].axvline(at / 60, color="0.8", lw=0.8)
    wrong = sorted(at for at, _ in seen.errors)
    axes[5].step([at / 60 for at in wrong], range(1, len(wrong) + 1), where="post")
    axes[5].set(ylabel="errors (grey: kills)", xlabel="minutes", ylim=(0, None))
    figure.savefig(path, dpi=110)


def _lines(
    axes: Axes,
    looks: Sequence[Look],
    kind: Callable[[Look], Figures],
    names: Sequence[str],
    label: str,
) -> None:
    for name in names:
        points = [(look.at / 60, kind(look)[name]) for look in looks if name in kind(look)]
        axes.plot(*zip(*points, strict=True), label=name, lw=1) if points else None
    axes.set(ylabel=label, ylim=(0, None))
    axes.legend(fontsize="x-small", ncols=2, loc="upper left")
