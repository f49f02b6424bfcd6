"""`farm voices revoke`, against a real Redis and a real store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from farm import keys, lifecycle, revising, revocation, voices
from farm.audio import Audio
from farm.engines import Engine
from farm.errors import Conflict, StoreUnavailable, UnknownVoice
from farm.storage import Store
from tests.cli.conftest import Command
from tests.running import LOW, Running, tone

Data = Callable[..., Any]

LOWS = json.dumps({"id": "a", "text": "Low voices. Speak slowly.", "voice": "low"})


MIXED = '<speak>One voice. <voice name="low">And another.</voice></speak>'


def segments(store: Store, digest: str) -> list[str]:
    return [key for key in store.list("segments/") if f"/{digest}/" in key]


@pytest.fixture
def ann(home: Path) -> Path:
    """A cloned voice of this host, as far as its files go; its YAML."""
    folder = home / "voices"
    (folder / "ann").mkdir(parents=True)
    for name in ("d_vector.npy", "reference-1.wav"):
        (folder / "ann" / name).write_bytes(name.encode())
    fields = {
        "engine": "tone",
        "language": "en",
        "files": {"d_vector": "ann/d_vector.npy"},
        "references": ["ann/reference-1.wav"],
        "consent": "Ann Smith, 2026-11-22",
    }
    (folder / "ann.yaml").write_text(yaml.safe_dump(fields))
    return folder / "ann.yaml"


def done(farm: Running, job: str = "done") -> str:
    """A batch that was spoken with the voice `low`."""
    farm.submit(LOWS, job, "batch")
    assert farm.finish(job) == "completed"
    return job


def test_what_a_voice_spoke_is_erased_and_what_was_made_of_it_is_listed(
    farm: Running, data: Data
) -> None:
    done(farm)
    farm.submit("Another voice.", "other")
    assert farm.finish("other") == "completed"
    store, kept = farm.farm.store, segments(farm.farm.store, tone().digest)
    assert len(segments(store, LOW.digest)) == 2
    found = data("voices", "revoke", "low")
    assert segments(store, LOW.digest) == []
    assert segments(store, tone().digest) == kept != []
    assert (found["segments"], found["cancelled"]) == (2, [])
    files = [(row["job"], row["name"].rpartition(".")[2]) for row in found["outputs"]]
    assert ("done", "wav") in files
    for row in found["outputs"]:
        assert store.exists(row["key"])


#: Five lines: in one of them another voice speaks, in another one both do.
FIVE = "\n".join(
    json.dumps({"id": f"line-{number}", **what})
    for number, what in enumerate(
        [
            {"text": "One."},
            {"text": "Two.", "voice": "low"},
            {"text": "Three."},
            {"text": "Four."},
            {"ssml": MIXED},
        ]
    )
)


def listed(found: Any) -> set[str]:
    return {row["name"] for row in found["outputs"]}


def test_of_a_batch_the_files_are_listed_in_which_the_voice_speaks(
    farm: Running, data: Data
) -> None:
    farm.submit(FIVE, "five", "batch")
    assert farm.finish("five") == "completed"
    assert listed(data("voices", "revoke", "low")) == {"line-1.wav", "line-4.wav"}


def test_what_an_older_farm_made_and_every_package_are_listed(farm: Running, data: Data) -> None:
    farm.submit(FIVE, "five", "batch")
    assert farm.finish("five") == "completed"
    key = keys.manifest("five", 1)
    manifest = json.loads(farm.farm.store.get(key))
    manifest["package"] = {"zip": manifest["items"][0]["files"]["wav"] | {"name": "five.zip"}}
    del manifest["items"][2]["voices"]
    farm.farm.store.put(key, json.dumps(manifest).encode())
    wanted = {"five.zip", "line-1.wav", "line-2.wav", "line-4.wav"}
    assert listed(data("voices", "revoke", "low")) == wanted


def test_jobs_that_use_it_are_cancelled_others_go_on(farm: Running, data: Data) -> None:
    farm.submit(LOWS, "running", "batch")
    farm.until("chunk")
    alone = replace(farm.spec("alone"), voices={"tone": tone()})
    lifecycle.submit(farm.farm, alone, b"Another voice.")
    assert data("voices", "revoke", "low")["cancelled"] == ["running"]
    assert farm.show("running")["state"] == "cancelled"
    assert farm.finish("alone") == "completed"


def test_new_work_with_it_is_refused(farm: Running, data: Data) -> None:
    done(farm)
    data("voices", "revoke", "low")
    revising.retry(farm.farm, "done")
    assert farm.finish("done") == "failed"
    assert farm.show("done")["error"] == "voice 'low' was revoked: choose another"
    assert segments(farm.farm.store, LOW.digest) == []
    assert LOW.digest not in farm.farm.engines


def test_a_chunk_that_was_being_spoken_leaves_nothing(farm: Running) -> None:
    class Slow(Engine):
        """Speaks, and has its voice revoked before it is done."""

        sample_rate = 8_000

        def __init__(self) -> None:
            self.speaker = farm.farm.engines[LOW.digest]

        def speak(self, wanted: Any) -> list[Audio]:
            revocation.revoke(farm.farm, "low", "2026-11-22")
            return self.speaker.speak(wanted)

    farm.farm.engines[LOW.digest] = Slow()
    farm.submit(LOWS, "j", "batch")
    farm.drain()
    assert farm.show("j")["state"] == "cancelled"
    assert segments(farm.farm.store, LOW.digest) == []


def test_the_voice_is_erased_in_the_store_on_the_host_and_in_its_cache(
    farm: Running, ann: Path, data: Data, home: Path
) -> None:
    store = farm.farm.store
    voice = voices.publish(voices.read(ann), store)
    voices.fetch(voice, store, home / "cache" / "voices")
    elsewhere = home.parent / "other-host"
    voices.fetch(voice, store, elsewhere)
    found = data("voices", "revoke", "ann")
    assert [*store.list("voices/ann/")] == ["voices/ann/revoked.json"]
    assert found["objects"] == 2
    assert not (ann.parent / "ann").exists()
    assert not (home / "cache" / "voices" / "ann").exists()
    assert str(home / "cache" / "voices" / "ann") in found["erased"]
    assert voices.sweep(store, elsewhere) == ["ann"]
    assert not (elsewhere / "ann").exists()
    assert voices.sweep(store, elsewhere / "none") == []
    assert voices.read(ann).consent == "Ann Smith, 2026-11-22"


class Counting:
    """A store that counts the keys it lists."""

    def __init__(self, store: Store) -> None:
        self.store, self.listed = store, Counter[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def list(self, prefix: str, **more: Any) -> Iterator[str]:
        for key in self.store.list(prefix, **more):
            self.listed[prefix.partition("/")[0]] += 1
            yield key


def test_what_others_spoke_and_jobs_made_is_not_listed_to_find_a_voices_segments(
    farm: Running,
) -> None:
    done(farm)
    store = farm.farm.store
    for scope in ("ann", "ann-2", "ann0", "bob", "shared"):
        for number in range(9):
            store.put(keys.segment(scope, "f" * 64, f"{number:064}"), b"another voice's")
            store.put(keys.job(f"{scope}-job", "rev", f"{number}"), b"what a job made")
        store.put(keys.segment(scope, LOW.digest, "0" * 64), b"this voice's")
    counting: Any = Counting(store)
    farm.farm.store = counting
    assert revocation.revoke(farm.farm, "low", "2026-11-22").segments == 2 + 5
    assert segments(store, LOW.digest) == []
    assert len(segments(store, "f" * 64)) == 5 * 9
    assert counting.listed["segments"] == 5 + 2 + 5
    assert counting.listed["jobs"] == 6


def test_a_store_that_does_not_answer_keeps_no_worker_from_its_work(
    farm: Running, caplog: pytest.LogCaptureFixture
) -> None:
    class Away:
        def exists(self, key: str) -> bool:
            raise StoreUnavailable(f"no answer about {key!r}")

    (farm.farm.cache / "ann").mkdir(parents=True)
    away: Any = Away()
    farm.farm.store = away
    revocation.begin_sweep(farm.farm).join(10)
    assert "revoked voices may still be in" in caplog.text
    assert (farm.farm.cache / "ann").exists()


def test_several_processes_may_forget_a_voice_at_once(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / "ann" / f"{number}").mkdir(parents=True)
        (tmp_path / "ann" / f"{number}" / "model.onnx").touch()
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(lambda _: voices.forget("ann", tmp_path), range(4))]
    assert any(found)
    assert not (tmp_path / "ann").exists()


def test_a_revoked_voice_cannot_be_used_published_or_replaced(
    farm: Running, ann: Path, data: Data, command: Command, tmp_path: Path
) -> None:
    data("voices", "revoke", "ann")
    shown = data("voices", "show", "ann")
    assert shown["revoked"]
    assert "was revoked on" in shown["error"]
    with pytest.raises(UnknownVoice, match="'ann' was revoked on"):
        command("say", "Hello", "--voice", "ann", "-o", tmp_path / "x.wav")
    model = tmp_path / "ann.onnx"
    for path in (model, tmp_path / "ann.onnx.json"):
        path.write_bytes(b"x")
    with pytest.raises(Conflict, match=r"'ann' was revoked on .*: choose another id"):
        command("voices", "add", model, "--replace")
    ann.write_text("engine: tone\nlanguage: en\n")  # as if it came from another host
    with pytest.raises(UnknownVoice, match="'ann' was revoked: choose another"):
        voices.publish(voices.read(ann), farm.farm.store)


def test_what_is_published_while_it_is_revoked_does_not_stay(farm: Running, ann: Path) -> None:
    class Meddler:
        """A store in which a voice is revoked as soon as its first file is there."""

        def __getattr__(self, name: str) -> Any:
            return getattr(farm.farm.store, name)

        def put_file(self, key: str, path: Path) -> None:
            farm.farm.store.put_file(key, path)
            revocation.revoke(farm.farm, "ann", "2026-11-22")

    store: Any = Meddler()
    with pytest.raises(UnknownVoice, match="was revoked"):
        voices.publish(voices.read(ann), store)
    assert [*farm.farm.store.list("voices/ann/")] == ["voices/ann/revoked.json"]


@pytest.mark.usefixtures("ann")
def test_it_may_be_done_again(farm: Running, data: Data) -> None:
    first, second = data("voices", "revoke", "ann"), data("voices", "revoke", "ann")
    assert first["erased"]
    assert second["erased"] == []
    assert (second["segments"], second["objects"]) == (0, 0)
    assert farm.farm.store.exists("voices/ann/revoked.json")


def test_files_of_a_voice_in_another_folder_that_tell_who_it_is_go_too(
    farm: Running, ann: Path, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more" / "ann").mkdir(parents=True)
    for path in (ann, *(ann.parent / "ann").iterdir()):
        path.rename(tmp_path / "more" / path.relative_to(ann.parent))
    (tmp_path / "more" / "ann" / "notes.txt").write_text("not of the voice")
    monkeypatch.setenv("FARM_VOICES", json.dumps([str(tmp_path / "more")]))
    assert len(data("voices", "revoke", "ann")["erased"]) == 3  # with the emptied folder
    left = [path.name for path in (tmp_path / "more" / "ann").iterdir()]
    assert left == ["notes.txt"]
    assert farm.farm.store.exists("voices/ann/revoked.json")


@pytest.mark.usefixtures("farm")
def test_unknown_voices_and_the_built_in_are_refused(command: Command) -> None:
    with pytest.raises(UnknownVoice, match="unknown voice 'nobody'"):
        command("voices", "revoke", "nobody")
    with pytest.raises(Conflict, match="'slt' ships with the farm"):
        command("voices", "revoke", "slt")


def test_a_person_reads_what_was_done(farm: Running, command: Command) -> None:
    done(farm)
    lines = command("voices", "revoke", "low").stdout.splitlines()
    assert lines[0] == "revoked low; jobs cancelled: none"
    assert lines[1] == "erased 2 segments and 0 files of the voice in the store"
    assert lines[2] == "outputs that were made with it are still there:"
    assert lines[3].split()[:2] == ["done", "1"]


def test_the_manifest_names_the_consent(farm: Running) -> None:
    agreed = tone("agreed", "a" * 64, consent="Ann Smith, 2026-11-22")
    farm.farm.engines[agreed.digest] = farm.farm.engines[tone().digest]
    known = {"agreed": agreed, "tone": tone()}
    spec = replace(farm.spec("j"), voice="agreed", voices=known)
    lifecycle.submit(farm.farm, spec, b"A sentence.")
    assert farm.finish("j") == "completed"
    manifest = json.loads(farm.farm.store.get(keys.manifest("j", 1)))
    rows = {row["id"]: row for row in manifest["voices"]}
    assert rows["agreed"]["consent"] == "Ann Smith, 2026-11-22"
    assert "consent" not in rows["tone"]
