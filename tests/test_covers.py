"""Covers of books in the files of their chapters."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import av
import pytest

from tests.audio.signals import picture
from tests.test_assembly import WORDS, Desk, desk, item, spec

__all__ = ["desk"]


@pytest.mark.parametrize(
    ("output", "covered"),
    [
        ({}, {"mp3", "m4a"}),
        ({"package": "m4b"}, {"mp3"}),
        ({"readalong": True}, {"mp3"}),
    ],
)
def test_files_that_stand_for_themselves_carry_the_cover(
    output: dict[str, Any], covered: set[str], desk: Desk
) -> None:
    job = spec("book", formats=("flac", "mp3", "opus", "m4a"), **output)
    source, cover = item(*WORDS), picture()
    pairs = desk.plan(source, job)
    desk.speak(pairs)
    record = desk.assemble(source, pairs, replace(desk.bench(job), cover=cover))
    found = set()
    for kind in record.files.keys() & {"wav", "flac", "mp3", "opus", "m4a"}:
        with av.open(io.BytesIO(desk.made(record, kind)), "r") as container:
            for stream in container.streams.video:
                packet = next(packet for packet in container.demux(stream) if packet.size)
                assert bytes(packet) == cover
                found.add(kind)
    assert found == covered
