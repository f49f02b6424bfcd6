"""PaddleSpeech's symbols and maps, made the way its own preprocessing makes them."""

from pathlib import Path

import pytest

from farm.errors import EngineError
from farm.phonemes import paddle
from farm.phonemes.paddle import english, mandarin, read_map, split
from tests.data.paddle.maps import INITIALS, lexicon

HERE = Path(__file__).parent
#: A map with every symbol of Mandarin.
WHOLE = set(lexicon())
#: Without erhua and without neutral `ou5`.
PLAIN = {symbol for symbol in WHOLE if not symbol[:-1].endswith("r") or symbol[:2] == "er"}
ARPABET = {"AH0", "P", "AY1", "TH", "N", "HH", "L", "OW1", "W", "ER1", "D", "sp", ",", "."}
TABLE = [
    line.split("\t")
    for line in (HERE / "paddle.tsv").read_text(encoding="utf-8").splitlines()
    if "\t" in line and not line.startswith("#")
]


@pytest.mark.parametrize(("text", "symbols"), TABLE)
def test_texts_are_spelled_as_the_lexicon_spells_them(text: str, symbols: str) -> None:
    said = mandarin(text, WHOLE)
    assert (list(said.symbols), said.warnings()) == (symbols.split(), ())


@pytest.mark.parametrize(
    ("syllable", "symbols"),
    [
        ("zhi1", "zh iii1"), ("ci4", "c ii4"), ("ri4", "r iii4"), ("ji3", "j i3"),
        ("yi1", "i1"), ("wu3", "u3"), ("yu2", "v2"), ("yue4", "ve4"), ("yuan2", "van2"),
        ("jun1", "j vn1"), ("lv4", "l v4"), ("nve4", "n ve4"), ("liu4", "l iou4"),
        ("gui4", "g uei4"), ("lun2", "l uen2"), ("weng4", "ueng4"), ("yong3", "iong3"),
        ("yo1", "io1"), ("er5", "er5"), ("zhuangr1", "zh uangr1"), ("dianr3", "d ianr3"),
        ("shir4", "sh iiir4"), ("wanr2", "uanr2"), ("yanr5", "ianr5"), ("bo1", "b o1"),
    ],
)  # fmt: skip
def test_a_syllable_is_an_initial_and_a_full_final(syllable: str, symbols: str) -> None:
    assert list(split(syllable)) == symbols.split()


def test_erhua_that_a_map_lacks_becomes_a_syllable_of_its_own() -> None:
    assert mandarin("一点儿", PLAIN).symbols == ("i4", "d", "ian3", "er2")
    assert mandarin("一首歌儿", PLAIN - {"er1"}).symbols[-3:] == ("g", "e1", "er2")


def test_a_neutral_final_that_a_map_lacks_takes_the_nearest_tone() -> None:
    assert mandarin("石头", PLAIN - {"ou5"}).symbols == ("sh", "iii2", "t", "ou4")


def test_a_syllable_without_symbols_is_left_out_and_named() -> None:
    said = mandarin("你好", {"n", "i2"})
    assert (said.symbols, said.missing) == (("n", "i2"), ("hao3",))


def test_english_is_arpabet_where_the_map_has_it() -> None:
    said = mandarin("我用Python。", WHOLE | {"AH0", "P", "AY1", "TH", "AA0", "AA2", "N"})
    assert said.symbols[:4] == ("uo3", "iong4", "sp", "P")
    assert said.symbols[-1] == "N"
    assert said.spelled == ()


def test_english_is_spelled_where_the_map_is_mandarin_only() -> None:
    said = mandarin("用Pi", WHOLE)
    assert said.symbols == ("iong4", "p", "i4", "ai4")
    assert said.spelled == ("Pi",)
    assert mandarin("用PI", WHOLE).spelled == ()


def test_english_voices_pause_at_marks_but_not_at_the_end() -> None:
    assert english("Hello, world.", ARPABET | {"W"}).symbols == (
        "HH",
        "AH0",
        "L",
        "OW1",
        "sp",
        "W",
        "ER1",
        "L",
        "D",
    )
    assert english("Hello.", ARPABET - {"OW1"}).missing == ("OW1",)


def test_a_map_without_pauses_gets_none() -> None:
    assert "sp" not in mandarin("你好，世界", WHOLE - {"sp"}).symbols


def test_a_map_is_read_as_paddle_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "phone_id_map.txt"
    symbols = ["<pad>", "<unk>", *sorted({*INITIALS, "a1", "sp"}), "，", "。", "？", "！", "<eos>"]
    path.write_text("".join(f"{symbol} {n}\n" for n, symbol in enumerate(symbols)), "utf-8")
    assert read_map(path) == {symbol: n for n, symbol in enumerate(symbols)}


@pytest.mark.parametrize("line", ["a1", "a1 x", "a1 1\na1 2", " 7", "a1 -1"])
def test_a_map_that_is_none_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "phone_id_map.txt"
    path.write_text(f"<pad> 0\n{line}\n", "utf-8")
    with pytest.raises(EngineError, match=r"line [23]"):
        read_map(path)


def test_a_map_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot read the phone map"):
        read_map(tmp_path / "none.txt")


def test_all_of_a_map_is_known_as_mixed_only_with_both_languages() -> None:
    assert paddle.is_mixed(WHOLE | ARPABET)
    assert not paddle.is_mixed(WHOLE)
    assert not paddle.is_mixed(ARPABET)
