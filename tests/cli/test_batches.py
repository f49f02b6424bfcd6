from __future__ import annotations

import json
import threading
import tracemalloc
from pathlib import Path

from farm import keys
from farm.cli.batches import fetch
from farm.storage.local import LocalStore
from tests.running import running


class Far(LocalStore):
    """A store that hands out a file only when two are asked for at once."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.meeting = threading.Barrier(2, timeout=20)

    def get_file(self, key: str, path: Path) -> None:
        if path.suffix == ".wav":
            self.meeting.wait()
        super().get_file(key, path)


def test_the_files_of_a_batch_are_fetched_several_at_a_time(redis_url: str, tmp_path: Path) -> None:
    lines = "".join(json.dumps({"id": f"n{n}", "text": f"Line {n}."}) + "\n" for n in range(4))
    with running(redis_url, tmp_path, Far(tmp_path / "store")) as farm:
        farm.submit(lines, kind="batch")
        assert farm.finish() == "completed"
        (tmp_path / "out").mkdir()
        assert fetch(farm.farm, farm.show(), tmp_path / "out") == (4, 0)
    written = (tmp_path / "out" / "results.jsonl").read_text()
    rows = [json.loads(row) for row in written.splitlines()]
    assert [row["file"] for row in rows] == ["n0.wav", "n1.wav", "n2.wav", "n3.wav"]
    assert all((tmp_path / "out" / row["file"]).stat().st_size > 44 for row in rows)


def test_of_many_lines_few_are_held(redis_url: str, tmp_path: Path) -> None:
    class Quick(LocalStore):
        def get_file(self, key: str, path: Path) -> None:
            if path.suffix != ".flac":
                super().get_file(key, path)

    items = [
        {"index": n, "id": f"n{n}", "files": {"flac": {"key": "k", "name": "a.flac", "seconds": 1}}}
        for n in range(20_000)
    ]
    told = {"job": "j", "package": {}}
    manifest = (
        json.dumps(told)[:-1] + ', "items": [\n' + ",\n".join(map(json.dumps, items)) + "\n]}"
    )
    with running(redis_url, tmp_path, Quick(tmp_path / "store")) as farm:
        farm.submit("{}", kind="batch")
        farm.farm.store.put(keys.manifest("j", 1), manifest.encode())
        del items, manifest
        tracemalloc.start()
        try:
            assert fetch(farm.farm, farm.show(), tmp_path) == (20_000, 0)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 10_000_000  # 4 MB, most of it to copy the manifest; held, they take 57 MB
    assert len((tmp_path / "results.jsonl").read_bytes().splitlines()) == 20_000
