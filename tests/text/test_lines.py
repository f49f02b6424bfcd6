"""A batch's lines: each bad one is named with its fault, and never stops the rest."""

import io
import json
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farm.text.lines import LONGEST_LINE, BadLine, Line, read_lines

GOOD = b'{"id": "ok", "text": "Hello."}\n'


def read(data: bytes, *formats: str) -> list[Line | BadLine]:
    return list(read_lines(io.BytesIO(data), formats))


def test_a_line_has_defaults_for_what_it_does_not_say() -> None:
    assert read(GOOD) == [Line(1, "ok", "Hello.", "", 0.0, "")]


def test_a_line_may_say_voice_speed_and_format() -> None:
    data = b'{"id":"a-1","text":"\xe4\xbd\xa0\xe5\xa5\xbd","voice":"slt","speed":2,"format":"mp3"}'
    assert read(data, "mp3", "flac") == [Line(1, "a-1", "你好", "slt", 2.0, "mp3")]


def test_a_null_field_counts_as_left_out() -> None:
    data = b'{"id": "a", "text": "b", "voice": null, "speed": null, "format": null}'
    assert read(data) == [Line(1, "a", "b")]


def test_blank_lines_are_skipped_and_line_numbers_are_an_editors() -> None:
    found = read(b"\n" + GOOD + b"  \r\n" + b'{"id": "b", "text": "c"}')
    assert [(line.number, line.id) for line in found] == [(2, "ok"), (4, "b")]


def test_a_byte_order_mark_before_the_first_line_is_no_part_of_it() -> None:
    assert read(b"\xef\xbb\xbf" + GOOD) == [Line(1, "ok", "Hello.")]


@pytest.mark.parametrize(
    ("raw", "known", "says"),
    [
        (b"{", "", "not JSON"),
        (b"hello", "", "not JSON"),
        (b"[1, 2]", "", "not an object but a list"),
        (b'"text"', "", "not an object but a string"),
        (b"null", "", "not an object but null"),
        (b'{"id": "a", "text": "\xff"}', "", "not UTF-8"),
        (b"[" * 100_000, "", "not JSON"),
        (b"9" * 5_000, "", "not JSON"),
        (b'{"text": "b"}', "", "'id' is missing"),
        (b'{"id": 7, "text": "b"}', "", "'id' is a number; it must be a string"),
        (b'{"id": "../etc", "text": "b"}', "", "'../etc' is not valid"),
        (b'{"id": "' + b"x" * 500_000 + b'", "text": "b"}', "", "500000 characters; 128 at most"),
        (b'{"id": "\\ud800", "text": "b"}', "", "half a character"),
        (b'{"id": "a"}', "a", "'text' is missing"),
        (b'{"id": "a", "text": ["b"]}', "a", "'text' is a list; it must be a string"),
        (b'{"id": "a", "text": " \\n "}', "a", "'text' is empty"),
        (b'{"id": "a", "text": "\\ud83d"}', "a", "half a character"),
        (
            b'{"id": "a", "text": "b", "volume": 3}',
            "",
            "unknown field 'volume'; valid: id, text, ssml",
        ),
        (b'{"id": "a", "text": "b", "voice": 3}', "a", "'voice' is a number"),
        (b'{"id": "a", "text": "b", "voice": "../x"}', "a", "voice '../x' is not valid"),
        (b'{"id": "a", "text": "b", "speed": "fast"}', "a", "'speed' is a string"),
        (b'{"id": "a", "text": "b", "speed": true}', "a", "'speed' is true or false"),
        (b'{"id": "a", "text": "b", "speed": 4.5}', "a", "speed 4.5 is outside 0.25 to 4.0"),
        (b'{"id": "a", "text": "b", "speed": 0}', "a", "speed 0 is outside"),
        (b'{"id": "a", "text": "b", "speed": NaN}', "a", "speed nan is outside"),
        (b'{"id": "a", "text": "b", "format": "wma"}', "a", "'wma'; valid: flac, mp3"),
    ],
)
def test_a_bad_line_is_named_with_its_fault_and_the_rest_goes_on(
    raw: bytes, known: str, says: str
) -> None:
    bad, good = read(raw + b"\n" + GOOD, "mp3", "flac")
    assert isinstance(bad, BadLine)
    assert (bad.number, bad.id) == (1, known)
    assert says in bad.error
    assert bad.error.startswith("line 1: ")
    assert "\n" not in bad.error
    assert len(bad.error) < 300
    assert good == Line(2, "ok", "Hello.")


def test_the_second_line_with_an_id_is_the_bad_one() -> None:
    first, second, third = read(GOOD + GOOD + b'{"id": "ok2", "text": "c"}')
    assert isinstance(first, Line)
    assert isinstance(second, BadLine)
    assert second.id == "ok"
    assert "earlier line" in second.error
    assert isinstance(third, Line)


def test_a_line_that_is_bad_for_another_reason_still_takes_its_id() -> None:
    found = read(b'{"id": "ok", "text": ""}\n' + GOOD)
    assert [type(line) for line in found] == [BadLine, BadLine]


def test_a_line_of_the_longest_length_is_read_and_one_byte_more_is_not() -> None:
    longest = len(GOOD) - 1
    fits, over = (
        list(read_lines(io.BytesIO(data), longest=longest)) for data in (GOOD, b" " + GOOD)
    )
    assert fits == [Line(1, "ok", "Hello.")]
    assert isinstance(over[0], BadLine)


@pytest.mark.parametrize("end", [b"\n" + GOOD, b""])
def test_a_line_of_ten_megabytes_is_named_without_being_held(end: bytes) -> None:
    stream = Endless(b'{"id": "big", "text": "', b"x" * 65_536, 160, end)
    tracemalloc.start()
    found = list(read_lines(stream))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found[0] == BadLine(1, "", f"line 1 is longer than {LONGEST_LINE} bytes; cut its text")
    assert found[1:] == ([Line(2, "ok", "Hello.")] if end else [])
    assert peak < 4 * 2**20


def test_many_lines_do_not_sit_in_memory() -> None:
    class Lines(io.RawIOBase):
        """Makes lines as they are asked for."""

        left = 20_000

        def readline(self, _size: int | None = -1, /) -> bytes:
            self.left -= 1
            if self.left < 0:
                return b""
            return json.dumps({"id": f"line-{self.left}", "text": "word " * 200}).encode() + b"\n"

    tracemalloc.start()
    count = sum(isinstance(line, Line) for line in read_lines(Lines()))  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 5 * 2**20  # The lines are 20 MB; a hash in a growing set takes 170 bytes.


@settings(
    deadline=None,
    derandomize=True,
    max_examples=80,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(st.binary(max_size=60) | st.just(GOOD[:-1])))
def test_any_bytes_give_a_line_or_a_reason_for_each_that_is_not_blank(lines: list[bytes]) -> None:
    data = b"\n".join(lines)
    found = read(data)
    wanted = [
        number
        for number, raw in enumerate(io.BytesIO(data), start=1)
        if (raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw).strip()
    ]
    assert [line.number for line in found] == wanted


class Endless(io.BytesIO):
    """A stream that makes a long line piece by piece, never holding it."""

    def __init__(self, head: bytes, piece: bytes, times: int, end: bytes) -> None:
        super().__init__()
        self._pieces = self._make(head, piece, times, end)
        self._rest = b""

    @staticmethod
    def _make(head: bytes, piece: bytes, times: int, end: bytes) -> Iterator[bytes]:
        yield head
        for _ in range(times):
            yield piece
        yield end

    def readline(self, size: int | None = -1, /) -> bytes:
        most = size if size is not None and size >= 0 else 2**40
        got = bytearray()
        while len(got) < most and not got.endswith(b"\n"):
            if not self._rest:
                self._rest = next(self._pieces, b"")
                if not self._rest:
                    break
            stop = self._rest.find(b"\n") + 1 or len(self._rest)
            take = min(stop, most - len(got))
            got += self._rest[:take]
            self._rest = self._rest[take:]
        return bytes(got)


def test_a_line_holds_ssml_in_place_of_a_text() -> None:
    (line,) = read(
        b'{"id": "a", "voice": "v", "ssml": "<speak><voice name=\'w\'>x</voice></speak>"}'
    )
    assert isinstance(line, Line)
    assert (line.text, line.ssml[:7], line.voices) == ("", "<speak>", ("v", "w"))


def test_broken_ssml_is_for_the_reader_of_the_line_to_find() -> None:
    (line,) = read(b'{"id": "a", "ssml": "<speak>"}')
    assert isinstance(line, Line)
    assert line.voices == ()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (b'"text": "x", "ssml": "<speak/>"', "both 'text' and 'ssml'"),
        (b'"ssml": " "', "'ssml' is empty"),
        (b'"ssml": 5', "'ssml' is a number"),
    ],
)
def test_a_line_has_one_thing_to_speak(fields: bytes, why: str) -> None:
    (line,) = read(b'{"id": "a", ' + fields + b"}")
    assert isinstance(line, BadLine)
    assert why in line.error
