"""The stages of `scripts/train-voice`, which can be run apart and resumed."""

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from training.settings import REPOSITORY, VOICE, WORDNET

#: Sentences to ask the teacher for; about 3 hours.
SENTENCES: Final = 4000


def _data(options: argparse.Namespace) -> None:
    """Write the corpus."""
    import_module("training.corpus").build(
        options.work / "corpus", options.wordnet, options.sentences, options.jobs
    )


def _vocoder(options: argparse.Namespace) -> None:
    """Train mel -> audio, or go on from its checkpoint."""
    import_module("training.train_vocoder").train(options.work, options.steps)


def _acoustic(options: argparse.Namespace) -> None:
    """Train ids -> mel, or go on from its checkpoint."""
    import_module("training.train_acoustic").train(options.work, options.steps)


def _refine(options: argparse.Namespace) -> None:
    """Train the vocoder further on what the acoustic model gives."""
    import_module("training.refine").train(options.work, options.steps)


def _export(options: argparse.Namespace) -> None:
    """Write the ONNX pair and its configuration."""
    import_module("training.export").export(options.work, options.out)


def _check(options: argparse.Namespace) -> None:
    """Judge the exported voice by pocketsphinx; exit 1 where it fails."""
    raise SystemExit(import_module("training.check").main(["--voice", str(options.out)]))


def _measure(options: argparse.Namespace) -> None:
    """Print figures that need the corpus or torch."""
    import_module("training.measure").measure(options.work, options.out)


#: In the order in which they build on each other.
STAGES: Final[dict[str, Callable[[argparse.Namespace], None]]] = {
    "data": _data,
    "vocoder": _vocoder,
    "acoustic": _acoustic,
    "refine": _refine,
    "export": _export,
    "measure": _measure,
    "check": _check,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("train-voice", description=__doc__)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"{', '.join(STAGES)} (all)")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "build" / "voice")
    parser.add_argument("--out", type=Path, default=VOICE, help="folder of the voice")
    parser.add_argument("--wordnet", type=Path, default=WORDNET, help="folder of data.noun, ...")
    parser.add_argument("--sentences", type=int, default=SENTENCES)
    parser.add_argument("--jobs", type=int, default=2, help="processes of the data stage")
    parser.add_argument("--steps", type=int, default=None, help="stop after this many steps")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the named stages, or all, in their order."""
    parser = _parser()
    options = parser.parse_args(arguments)
    unknown = [stage for stage in options.stages if stage not in STAGES]
    if unknown:
        parser.error(f"unknown stage {unknown[0]!r}; choose from {', '.join(STAGES)}")
    for stage in options.stages or STAGES:
        STAGES[stage](options)
