"""What every store promises, over a folder and two real S3 servers."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
import re
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from farm.errors import InvalidInput, NotFound
from farm.storage import Store
from farm.storage.s3 import S3Store

MEGABYTE = 1 << 20


def test_what_was_put_is_got(store: Store) -> None:
    assert store.put("a/b/c.json", b"{}") is True
    assert store.get("a/b/c.json") == b"{}"
    assert store.size("a/b/c.json") == 2
    assert store.exists("a/b/c.json")


def test_an_empty_object_is_an_object(store: Store) -> None:
    store.put("empty", b"")
    assert store.exists("empty")
    assert store.get("empty") == b""


def test_a_second_put_replaces_the_first(store: Store) -> None:
    store.put("a", b"first, and longer")
    assert store.put("a", b"second") is True
    assert store.get("a") == b"second"


def test_put_if_absent_keeps_the_first(store: Store) -> None:
    assert store.put("a", b"first", if_absent=True) is True
    assert store.put("a", b"second", if_absent=True) is False
    assert store.get("a") == b"first"


def test_a_put_that_need_not_be_durable_is_read_back_at_once(store: Store) -> None:
    assert store.put("a", b"one", if_absent=True, durable=False) is True
    assert store.put("a", b"two", if_absent=True, durable=False) is False
    assert store.get("a") == b"one"


def test_of_eight_writers_at_once_exactly_one_wins(store: Store) -> None:
    asks_first = isinstance(store, S3Store) and not store.supports_if_absent()
    for turn in range(5):
        contents = [f"{turn} {writer}".encode() * 1000 for writer in range(8)]

        def put(content: bytes, key: str = f"race/{turn}") -> bool:
            return store.put(key, content, if_absent=True)

        with ThreadPoolExecutor(8) as pool:
            won = [c for c, wrote in zip(contents, pool.map(put, contents), strict=True) if wrote]
        assert len(won) == 1 or (asks_first and won)
        assert store.get(f"race/{turn}") in won


def test_what_is_missing_is_not_found(store: Store, tmp_path: Path) -> None:
    assert not store.exists("nothing")
    for read in (
        lambda: store.get("nothing"),
        lambda: store.open("nothing"),
        lambda: store.size("nothing"),
        lambda: store.get_file("nothing", tmp_path / "file"),
    ):
        with pytest.raises(NotFound, match="no object 'nothing' in"):
            read()
    assert not (tmp_path / "file").exists()


def test_a_folder_of_keys_is_no_object(store: Store) -> None:
    store.put("a/b", b"1")
    assert not store.exists("a")
    with pytest.raises(NotFound):
        store.get("a")


def test_a_deleted_object_is_gone_and_deleting_it_again_does_nothing(store: Store) -> None:
    store.put("a/b/c", b"1")
    store.delete("a/b/c")
    store.delete("a/b/c")
    store.delete("never/there")
    assert not store.exists("a/b/c")
    assert list(store.list("")) == []


def test_files_of_forty_megabytes_go_in_and_out_unharmed(store: Store, tmp_path: Path) -> None:
    block = bytes(range(256)) * 4096
    (tmp_path / "big").write_bytes(b"".join(block[n:] + block[:n] for n in range(40)))
    assert store.put_file("big", tmp_path / "big") is True
    assert store.size("big") == 40 * MEGABYTE
    store.get_file("big", tmp_path / "deep" / "copy")
    assert _sha256(tmp_path / "deep" / "copy") == _sha256(tmp_path / "big")
    with store.open("big") as stream:
        assert stream.read(MEGABYTE) == block
        assert stream.read(3) == block[1:4]


def test_a_large_file_if_absent_keeps_the_first(store: Store, tmp_path: Path) -> None:
    for name in (b"1", b"2"):
        (tmp_path / name.decode()).write_bytes(name * (17 * MEGABYTE))
    assert store.put_file("big", tmp_path / "1", if_absent=True) is True
    assert store.put_file("big", tmp_path / "2", if_absent=True) is False
    with store.open("big") as stream:
        assert stream.read(1) == b"1"


def test_storing_a_file_that_is_not_there_is_not_found(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        store.put_file("a", tmp_path / "none")
    with pytest.raises(InvalidInput, match="cannot read"):
        store.put_file("a", tmp_path)


def test_a_stream_reads_lines(store: Store) -> None:
    store.put("lines", b"one\ntwo\nthree")
    with store.open("lines") as stream:
        assert list(stream) == [b"one\n", b"two\n", b"three"]


def test_keys_are_listed_by_prefix_in_order(store: Store) -> None:
    keys = ["a", "b-c", "b.d", "b/c", "b/d/e", "b/d=f", "b0", "c"]
    for key in reversed(keys):
        store.put(key, b"")
    assert list(store.list("")) == sorted(keys)
    assert list(store.list("b")) == ["b-c", "b.d", "b/c", "b/d/e", "b/d=f", "b0"]
    assert list(store.list("b/")) == ["b/c", "b/d/e", "b/d=f"]
    assert list(store.list("b/d")) == ["b/d/e", "b/d=f"]
    assert list(store.list("b/d/e")) == ["b/d/e"]
    assert list(store.list("zz/")) == []


def test_old_objects_are_listed_by_the_time_of_their_last_write(store: Store) -> None:
    for key in ("b/2", "b/1", "c"):
        store.put(key, b"")
    assert list(store.list_older("b/", time.time() + 60)) == ["b/1", "b/2"]
    assert list(store.list_older("b/", time.time() - 60)) == []


# moto serves no presigned addresses while it checks signatures.
@pytest.mark.parametrize("store", ["local", "nanio"], indirect=True)
def test_an_address_serves_the_object(store: Store) -> None:
    store.put("some folder/a+b=c.flac", b"audio")
    with urllib.request.urlopen(store.url("some folder/a+b=c.flac", seconds=60)) as answer:
        assert answer.read() == b"audio"


BAD_KEYS = ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", ".tmp-1", "a/.b", "a\\b",
            "a\nb", "ä", "a" * 201, "a?b", "a/" * 450 + "a"]  # fmt: skip


def test_a_key_that_could_leave_the_store_is_refused_everywhere(
    store: Store, tmp_path: Path
) -> None:
    for key in BAD_KEYS:
        for use in (store.get, store.exists, store.delete, store.url, store.open, store.size):
            with pytest.raises(InvalidInput, match=re.escape(repr(key))):
                use(key)
        with pytest.raises(InvalidInput, match="is not valid"):
            store.put(key, b"")
        with pytest.raises(InvalidInput, match="is not valid"):
            store.put_file(key, Path(__file__), if_absent=True)
        with pytest.raises(InvalidInput, match="is not valid"):
            store.get_file(key, tmp_path / "file")


def test_a_prefix_that_could_leave_the_store_is_refused(store: Store) -> None:
    for prefix in ("/", "..", "../", "a//", ".tmp-", "a/../"):
        with pytest.raises(InvalidInput, match="is not valid"):
            list(store.list(prefix))


def test_a_store_works_in_another_process_and_after_a_fork(store: Store) -> None:
    store.put("parent", b"here")
    here = pickle.loads(pickle.dumps(store))
    child = multiprocessing.get_context("fork").Process(target=_copy, args=(store, "forked"))
    child.start()
    _copy(here, "pickled")
    child.join(60)
    assert store.get("forked") == store.get("pickled") == b"here, too"


def _copy(store: Store, key: str) -> None:
    store.put(key, store.get("parent") + b", too")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
