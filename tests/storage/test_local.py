"""What only a folder can get wrong."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from farm.errors import InvalidInput, NotFound, StoreUnavailable
from farm.storage import open_store
from farm.storage.atomic import TEMPORARY, make_folder, write_atomically
from farm.storage.local import LocalStore
from farm.storage.s3 import S3Store


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def test_opening_a_store_touches_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "none")
    assert list(store.list("")) == []
    assert not (tmp_path / "none").exists()


def test_a_store_in_a_relative_folder_stays_there_when_the_process_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = LocalStore(Path("here"))
    monkeypatch.chdir("/")
    store.put("a", b"1")
    assert (tmp_path / "here" / "a").read_bytes() == b"1"


def test_a_writer_killed_in_the_middle_leaves_the_old_object(store: LocalStore) -> None:
    store.put("a", b"old")
    script = (
        "import os, signal, sys; from pathlib import Path;"
        "from farm.storage.atomic import write_atomically;"
        "write_atomically(Path(sys.argv[1]),"
        " lambda f: (f.write(b'new'), f.flush(), os.kill(os.getpid(), signal.SIGKILL)))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(store.root / "a")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert store.get("a") == b"old"
    assert list(store.list("")) == ["a"]
    assert [path.name for path in store.root.glob(f"{TEMPORARY}*")] != []
    assert store.sweep() == 0
    assert store.sweep(older_than_s=-1) == 1
    assert [path.name for path in store.root.iterdir()] == ["a"]


def test_a_write_that_fails_leaves_nothing(store: LocalStore) -> None:
    def fail(_: object) -> None:
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        write_atomically(store.root / "a", fail)
    assert list(store.root.iterdir()) == []


def test_a_full_disk_is_one_clear_line(store: LocalStore) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StoreUnavailable, match=r"^cannot write '/.*/a': No space left on device$"):
        write_atomically(store.root / "a", full)


def test_a_disk_that_refuses_in_the_middle_of_a_write_leaves_nothing(store: LocalStore) -> None:
    script = (
        "import resource, signal, sys; from pathlib import Path;"
        "from farm.storage.local import LocalStore;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000));"
        "LocalStore(Path(sys.argv[1])).put('a', bytes(50_000))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(store.root)], capture_output=True, check=False
    )
    assert re.search(
        rb"StoreUnavailable: cannot write '.*/a': File too large$", done.stderr.strip()
    )
    assert list(store.root.iterdir()) == []


def test_a_folder_that_may_not_be_written_is_one_clear_line() -> None:
    refused = "Permission denied|Operation not permitted|Read-only file system"
    with pytest.raises(StoreUnavailable, match=f"^cannot write '/sys/farm/a': ({refused})$"):
        LocalStore(Path("/sys/farm")).put("a", b"1")


def test_a_file_in_the_way_of_a_folder_is_named(store: LocalStore) -> None:
    store.put("a", b"1")
    with pytest.raises(StoreUnavailable, match=r"cannot write '.*/a/b'"):
        store.put("a/b", b"1")
    assert not store.exists("a/b")
    store.delete("a/b")
    assert list(store.list("a/b/")) == []


def test_an_object_does_not_replace_the_objects_below_it(store: LocalStore) -> None:
    store.put("a/b", b"1")
    with pytest.raises(InvalidInput, match="other objects lie below it"):
        store.put("a", b"1")
    store.delete("a")
    assert store.get("a/b") == b"1"


def test_deleting_leaves_no_empty_folders(store: LocalStore) -> None:
    store.put("a/b/c/d", b"1")
    store.put("a/e", b"1")
    store.delete("a/b/c/d")
    assert [path.name for path in (store.root / "a").iterdir()] == ["e"]


def test_writers_and_deleters_of_one_folder_do_not_disturb_each_other(store: LocalStore) -> None:
    def turn(number: int) -> None:
        store.put(f"a/b/{number}", b"1", durable=False)
        store.delete(f"a/b/{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(turn, range(2000)))
    assert list(store.list("")) == []


def test_without_hard_links_the_first_still_wins(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    store.put("race/folder", b"1")
    contents = [f"{writer}".encode() * 1000 for writer in range(8)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda c: store.put("race/a", c, if_absent=True), contents))
    assert won.count(True) == 1
    assert store.get("race/a") == contents[won.index(True)]


def test_a_listing_goes_on_while_objects_come_and_go(store: LocalStore) -> None:
    for number in range(20):
        store.put(f"a/{number:02}/x", b"", durable=False)
    keys = store.list("")
    assert next(keys) == "a/00/x"
    store.delete("a/01/x")
    store.put("a/02/y", b"")
    assert [*keys][:2] == ["a/02/x", "a/02/y"]


def test_durable_writes_reach_the_disk_and_others_do_not_wait_for_it(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real: Callable[[int], None] = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    store.put("a/b", b"1", durable=False)
    assert synced == []
    store.put("c/d", b"1", if_absent=True)
    assert [name for name in synced if not name.startswith(TEMPORARY)] == ["store", "c"]
    assert len(synced) == 3


def test_a_new_folder_is_made_once_by_many(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*"abcdefgh")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: make_folder(folder), range(50)))
    assert folder.is_dir()


def test_sweeping_spares_what_is_being_written(store: LocalStore) -> None:
    store.put("a/b", b"1")
    fresh, stale = store.root / "a" / f"{TEMPORARY}1", store.root / "a" / f"{TEMPORARY}2"
    fresh.touch()
    stale.touch()
    os.utime(stale, (time.time() - 90_000,) * 2)
    assert store.sweep() == 1
    assert fresh.exists()


@pytest.mark.parametrize(
    ("url", "folder"),
    [("file:///a/b", "/a/b"), ("file:///a%20b", "/a b"), ("file://localhost/a", "/a")],
)
def test_a_file_url_opens_its_folder(url: str, folder: str) -> None:
    store = open_store(url)
    assert isinstance(store, LocalStore)
    assert store.root == Path(folder)


@pytest.mark.parametrize(
    "url",
    ["", "/a/b", "file://", "file:///", "file://host/a", "http://a/b", "s3:///a", "gs://a", "s3://",
     "s3://bucket/a?x=1", "file:///a#b"],
)  # fmt: skip
def test_another_url_is_refused_with_the_choices(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"choose 'file:///absolute/folder' or 's3://bucket/pre"):
        open_store(url)


def test_an_s3_url_opens_its_bucket_and_prefix() -> None:
    store = open_store("s3://books/farm/one/", endpoint_url="http://127.0.0.1:1", region="eu")
    assert isinstance(store, S3Store)
    assert (store.bucket, store.prefix) == ("books", "farm/one/")
    assert (store.endpoint_url, store.region) == ("http://127.0.0.1:1", "eu")


def test_a_local_store_needs_no_boto3() -> None:
    script = (
        "import sys; from farm.storage import open_store; open_store('file:///a/b');"
        "sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_what_is_missing_is_said_without_the_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"^no object 'a' in the store$"):
        LocalStore(tmp_path).get("a")
