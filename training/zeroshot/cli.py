"""The stages of `scripts/train-zero-shot`, which can be run apart and resumed."""

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from training.settings import REPOSITORY, WORDNET

#: Sentences to ask flite's voices for; about 2.8 hours.
SENTENCES: Final = 3400

#: The committed voice.
VOICE: Final = REPOSITORY / "farm" / "data" / "flite"


def _data(options: argparse.Namespace) -> None:
    """Write the corpus."""
    import_module("training.zeroshot.corpus").build(
        options.work / "corpus", options.wordnet, options.sentences, options.jobs
    )


def _acoustic(options: argparse.Namespace) -> None:
    """Train acoustic model and speaker encoder, or go on from their checkpoint."""
    import_module("training.zeroshot.train").acoustic(options.work, options.default, options.steps)


def _vocoder(options: argparse.Namespace) -> None:
    """Train the vocoder, or go on from its checkpoint."""
    import_module("training.zeroshot.train").vocoder(options.work, options.default, options.steps)


def _export(options: argparse.Namespace) -> None:
    """Write the graphs and the config."""
    import_module("training.zeroshot.export").export(options.work, options.out)


def _check(options: argparse.Namespace) -> None:
    """Clone speakers that were not learnt from, and judge what is heard."""
    import_module("training.zeroshot.check").check(options.out)


#: In the order in which they build on each other.
STAGES: Final[dict[str, Callable[[argparse.Namespace], None]]] = {
    "data": _data,
    "acoustic": _acoustic,
    "vocoder": _vocoder,
    "export": _export,
    "check": _check,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("train-zero-shot", description=__doc__)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"{', '.join(STAGES)} (all)")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "build" / "zero-shot")
    parser.add_argument(
        "--default",
        type=Path,
        default=REPOSITORY / "build" / "voice",
        help="where scripts/train-voice left its checkpoints: both models go on from them",
    )
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
