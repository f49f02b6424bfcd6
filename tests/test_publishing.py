from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from farm.assembly import File, ItemRecord, read_marks
from farm.audio import files
from farm.jobs import Mark, Output, Spec
from farm.plans import About
from farm.publishing import Press
from farm.schema import to_json
from farm.storage.local import LocalStore
from tests.running import LOW, RATE, tone

SECONDS = (2.0, 3.0)
ABOUT = About("The Book: a/b", "A. Writer")


def cover() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(stream, "JPEG")
    return stream.getvalue()


class Shop:
    """A store with two chapters, and a press over it."""

    def __init__(self, folder: Path) -> None:
        self.store = LocalStore(folder / "store")
        self.folder = folder
        self.records = [self.chapter(n, seconds) for n, seconds in enumerate(SECONDS)]

    def chapter(self, index: int, seconds: float) -> ItemRecord:
        path = self.folder / f"chapter{index}.m4a"
        wave = 0.2 * np.sin(np.arange(round(seconds * RATE)) * 0.3)
        with files.Writer(path, "m4a", RATE, {}) as writer:
            writer.write(wave.astype(np.float32))
        mark = Mark("sentence", f"Sentence {index}.", 500, 1500, 0, 11)
        self.store.put(f"c{index}/marks", to_json(mark) + b"\n")
        self.store.put_file(f"c{index}/m4a", path)
        kept = {kind: File(f"c{index}/{kind}", kind, "", 1) for kind in ("m4a", "marks")}
        return ItemRecord(index, f"i{index}", f"Chapter {index}", 1, seconds, 1, files=kept)

    def press(self, about: About = ABOUT, **changes: Any) -> Press:
        output = changes.pop("output", Output("m4a", "m4b", (), ("srt", "json")))
        voices = {voice.id: voice for voice in (tone(), LOW)}
        spec = Spec(
            "j", "book", "farm", "ann", "key", "tone", voices, 1.0, output=output, **changes
        )
        return Press(self.store, spec, about, 3, lambda name: f"out/{name}", self.folder)

    def manifest(self, press: Press, records: list[ItemRecord], made: dict[str, File]) -> Any:
        path = self.folder / "manifest.json"
        press.manifest(iter(records), made, path)
        return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def opened(shop: Shop, file: File) -> Any:
    return av.open(io.BytesIO(shop.store.get(file.key)))


def test_a_book_is_packaged_with_its_chapters_and_tags(shop: Shop) -> None:
    made = shop.press().package(shop.records)
    assert set(made) == {"m4b", "srt", "json"}
    with opened(shop, made["m4b"]) as book:
        titles = [chapter["metadata"]["title"] for chapter in book.chapters()]
        tags = dict(book.metadata)
    assert titles == ["Chapter 0", "Chapter 1"]
    assert (tags["title"], tags["album"], tags["artist"]) == (
        ABOUT.title,
        ABOUT.title,
        ABOUT.author,
    )
    assert made["m4b"].seconds == pytest.approx(sum(SECONDS), abs=4 * 1024 / RATE)


def test_files_are_stored_under_the_attempt_with_a_persons_name(shop: Shop) -> None:
    made = shop.press().package(shop.records)
    assert {file.key for file in made.values()} == {"out/book.m4b", "out/book.srt", "out/book.json"}
    assert made["m4b"].name == "The Book a b.m4b"
    for file in made.values():
        data = shop.store.get(file.key)
        assert hashlib.sha256(data).hexdigest() == file.sha256
        assert len(data) == file.size


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("On/Off: «a»  \x00 b", "On Off a b"),
        ("../../etc/passwd", "etc passwd"),
        ("Cafe\u0301 noir", "Café noir"),
        ("हिन्दी में", "हिन्दी में"),
        ("?!", ""),
        ("漢" * 100, "漢" * 66),
        ("a" * 199 + " b", "a" * 199),
    ],
)
def test_a_title_becomes_a_name_that_file_systems_take(title: str, name: str) -> None:
    assert files.readable(title) == name


def test_a_book_whose_title_is_no_name_for_a_file_is_called_a_book(shop: Shop) -> None:
    made = shop.press(About("?!")).package(shop.records)
    assert {file.name for file in made.values()} == {"book.m4b", "book.srt", "book.json"}


def test_the_marks_of_the_whole_book_begin_where_their_chapters_do(shop: Shop) -> None:
    made = shop.press().package(shop.records)
    with opened(shop, made["m4b"]) as book:
        begins = [c["start"] * float(c["time_base"]) * 1000 for c in book.chapters()]
    first, second = read_marks(shop.store.get(made["json"].key))
    assert (first.start_ms, first.end_ms) == (500, 1500)
    assert second.start_ms == pytest.approx(begins[1] + 500, abs=2)
    assert second.end_ms - second.start_ms == 1000
    assert second.start_ms >= SECONDS[0] * 1000


def test_a_cover_goes_into_the_book(shop: Shop) -> None:
    shop.store.put("cover", cover())
    about = About("T", cover="cover")
    with opened(shop, shop.press(about).package(shop.records)["m4b"]) as book:
        assert [stream.codec_context.name for stream in book.streams.video] == ["mjpeg"]
    with opened(shop, shop.press().package(shop.records)["m4b"]) as book:
        assert not book.streams.video


def test_a_book_packaged_twice_is_the_same_in_every_byte(shop: Shop) -> None:
    first = {kind: file.sha256 for kind, file in shop.press().package(shop.records).items()}
    assert first == {kind: f.sha256 for kind, f in shop.press().package(shop.records).items()}


def test_a_chapter_without_speech_is_left_out_of_the_book_but_listed(shop: Shop) -> None:
    silent = ItemRecord(2, "i2", "Chapter 2", error="nothing to speak")
    press = shop.press()
    made = press.package([*shop.records, silent])
    with opened(shop, made["m4b"]) as book:
        assert len(list(book.chapters())) == 2
    listed = shop.manifest(press, [*shop.records, silent], made)
    assert listed["items"][2] == {
        "index": 2,
        "id": "i2",
        "title": "Chapter 2",
        "level": 1,
        "error": "nothing to speak",
    }


@pytest.mark.parametrize("output", [Output("m4a"), Output("flac")])
def test_separate_files_make_no_package(output: Output, shop: Shop) -> None:
    assert shop.press(output=output).package(shop.records) == {}


def test_a_book_of_which_nothing_was_spoken_makes_no_package(shop: Shop) -> None:
    assert shop.press().package([ItemRecord(0, "i0", "", error="nothing to speak")]) == {}


@pytest.mark.parametrize(
    ("title", "own", "expected"),
    [("Given", "Found", "Given"), ("", "Found", "Found"), ("", "", "j")],
)
def test_a_title_is_the_clients_else_the_documents_else_the_jobs_id(
    title: str, own: str, expected: str, shop: Shop
) -> None:
    assert shop.press(About(own), title=title).title == expected


def test_the_manifest_says_what_was_made_of_what(shop: Shop) -> None:
    press = shop.press()
    listed = shop.manifest(press, shop.records, press.package(shop.records))
    assert (listed["job"], listed["revision"], listed["kind"]) == ("j", 3, "book")
    assert (listed["schema"], listed["title"], listed["author"]) == (1, ABOUT.title, ABOUT.author)
    assert listed["voices"] == [
        {"id": "tone", "digest": "d" * 64, "licence": ""},
        {"id": "low", "digest": "e" * 64, "licence": "CC0-1.0"},
    ]
    assert [row["index"] for row in listed["items"]] == [0, 1]
    assert listed["items"][1]["files"]["m4a"]["key"] == "c1/m4a"
    assert set(listed["package"]) == {"m4b", "srt", "json"}


def test_a_manifest_is_an_item_a_line_in_the_words_of_the_book(shop: Shop) -> None:
    records = [ItemRecord(n, f"i{n}", f"第{n}章") for n in range(3)]
    shop.manifest(shop.press(), records, {})
    rows = (shop.folder / "manifest.json").read_text(encoding="utf-8").splitlines()
    titles = [json.loads(row.rstrip(","))["title"] for row in rows[1:4]]
    assert titles == [record.title for record in records]
    assert "第1章" in rows[2]


def test_a_manifest_of_nothing_is_still_json(shop: Shop) -> None:
    assert shop.manifest(shop.press(), [], {})["items"] == []
