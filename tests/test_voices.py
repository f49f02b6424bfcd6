"""The voice catalogue, over real files, a real store and real processes."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml

from farm import voices
from farm.engines import load
from farm.errors import EngineError, InvalidInput, StoreUnavailable, Unavailable, UnknownVoice
from farm.jobs import Segment, Voice
from farm.schema import from_json, to_json
from farm.storage.local import LocalStore
from tests.engines.tiny_piper import SAMPLE_RATE, make_voice


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the voices `tiny` (Piper) and `beep` (tone)."""
    make_voice(tmp_path / "voices" / "tiny")
    write(tmp_path / "voices", "tiny", **TINY)
    write(tmp_path / "voices", "beep", engine="tone", language="en", licence="CC0")
    return tmp_path / "voices"


TINY = {
    "engine": "piper",
    "licence": "MIT",
    "files": {"model": "tiny/tiny.onnx", "config": "tiny/tiny.onnx.json"},
    "rtf": 0.02,
}


def write(folder: Path, name: str, **fields: Any) -> Path:
    """Write a voice's YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    return folder / f"{name}.yaml"


def tiny(folder: Path, **changed: Any) -> voices.VoiceFile:
    """Read the Piper voice anew, its YAML changed."""
    return voices.read(write(folder, "tiny", **TINY | changed))


def test_a_catalogue_reads_every_voice_of_its_folders(folder: Path) -> None:
    known = voices.catalogue([folder])
    assert [*known] == ["beep", "tiny"]
    assert known["tiny"].files["model"] == folder / "tiny" / "tiny.onnx"
    assert (known["tiny"].licence, known["tiny"].rtf) == ("MIT", 0.02)
    assert (known["tiny"].owner, known["tiny"].visibility) == ("", "shared")


def test_voices_of_a_folder_are_in_the_order_of_their_names(folder: Path) -> None:
    write(folder, "beep-low", engine="tone", language="en")
    assert [*voices.catalogue([folder])] == ["beep", "beep-low", "tiny"]


def test_the_earlier_folder_goes_before(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "mine", "beep", engine="tone", language="fr")
    known = voices.catalogue([tmp_path / "mine", folder, tmp_path / "none"])
    assert known["beep"].language == "fr"
    assert "tiny" in known


def test_an_unknown_voice_is_refused_with_the_valid_ones(folder: Path) -> None:
    known = voices.catalogue([folder])
    assert voices.find(known, "beep") is known["beep"]
    with pytest.raises(UnknownVoice, match="unknown voice 'bep': choose one of beep, tiny"):
        voices.find(known, "bep")
    with pytest.raises(UnknownVoice, match="choose one of none; add one with 'farm voices add'"):
        voices.find({}, "bep")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "engine: Field required"),
        ({"engine": "vocaloid"}, "engine: 'vocaloid' is none of fastspeech2, piper, "),
        ({"engine": "tone", "rtf": "fast"}, "rtf: Input should be a valid number"),
        ({"engine": "tone", "rtf": 0}, "rtf: Input should be greater than 0"),
        ({"engine": "tone", "license": "MIT"}, "license: Extra inputs are not permitted"),
        ({"engine": "tone", "visibility": "all"}, "visibility: Input should be 'shared' or 'priv"),
        ({"engine": "tone", "parameters": {"a": [1]}}, r"parameters\.a"),
        ({"engine": "tone", "files": {"model": "../m.onnx"}}, r"files\.model: key '../m.onnx'"),
        ({"engine": "tone", "files": {"model": "/m.onnx"}}, r"files\.model: key '/m.onnx'"),
        ({"engine": "tone", "files": {"a": "x/m", "b": "y/m"}}, "files: two of .* the same name"),
        ({"engine": "tone", "id": "../x"}, "id: voice '../x' is not valid"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(
    tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    write(tmp_path, "odd", **fields)
    with pytest.raises(InvalidInput, match=f"odd.yaml: {reason}"):
        voices.catalogue([tmp_path])


@pytest.mark.parametrize("content", [b"engine: [", b"\xff\xfe", b"- a list", b"", b"\t"])
def test_a_broken_yaml_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.yaml").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"^[^\n]*odd\.yaml: [^\n]+$"):
        voices.catalogue([tmp_path])


def test_a_pinned_voice_takes_rate_and_language_from_its_model(folder: Path) -> None:
    voice = voices.pin(voices.find(voices.catalogue([folder]), "tiny"))
    assert (voice.sample_rate, voice.language) == (SAMPLE_RATE, "en-US")
    assert (voice.engine, voice.family, voice.rtf) == ("piper", "piper", 0.02)
    assert voice.files == {"model": "tiny.onnx", "config": "tiny.onnx.json"}
    assert len(voice.digest) == 64


def test_a_voice_without_files_says_rate_and_language_itself(folder: Path) -> None:
    known = voices.catalogue([folder])
    assert (voices.pin(known["beep"]).sample_rate, voices.pin(known["beep"]).language) == (
        16_000,
        "en",
    )
    high = write(folder, "high", engine="tone", language="en", parameters={"sample_rate": 48_000})
    assert voices.pin(voices.read(high)).sample_rate == 48_000


def test_a_yaml_may_correct_the_language_of_a_model(folder: Path) -> None:
    assert voices.pin(tiny(folder, language="en-GB")).language == "en-GB"


def test_the_digest_follows_what_decides_the_sound_and_nothing_else(folder: Path) -> None:
    before = voices.pin(tiny(folder)).digest
    assert voices.pin(tiny(folder, licence="GPL", rtf=0.5, owner="ann")).digest == before
    assert voices.pin(tiny(folder, parameters={"noise_scale": 0})).digest != before
    assert voices.pin(tiny(folder)).digest == before
    make_voice(folder / "tiny", noisy=True)
    assert voices.pin(tiny(folder)).digest != before


def test_the_digest_does_not_depend_on_how_a_number_or_a_list_is_written(folder: Path) -> None:
    one = voices.pin(tiny(folder, parameters={"a": 1, "b": 2.0}))
    two = voices.pin(tiny(folder, parameters={"b": 2, "a": 1.0}))
    assert one.digest == two.digest


def test_a_pinned_voice_survives_json(folder: Path) -> None:
    voice = voices.pin(tiny(folder, parameters={"a": 1, "b": 0.5, "speaker": "7"}))
    assert from_json(Voice, to_json(voice)) == voice


def test_a_file_that_is_not_there_is_named_by_its_role(folder: Path) -> None:
    file = tiny(folder)
    (folder / "tiny" / "tiny.onnx").unlink()
    with pytest.raises(InvalidInput, match=r"tiny.yaml: files.model: '.*tiny.onnx' is no file"):
        voices.pin(file)


def test_a_link_that_leads_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("{}")
    config = folder / "tiny" / "tiny.onnx.json"
    config.unlink()
    config.symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidInput, match=r"files.config: .* leads out of the voice's folder"):
        voices.pin(tiny(folder))


def test_weights_kept_in_another_file_are_refused(folder: Path) -> None:
    path = folder / "tiny" / "tiny.onnx"
    onnx.save(
        onnx.load(path),
        path,
        save_as_external_data=True,
        location="tiny.data",
        size_threshold=0,
    )
    with pytest.raises(InvalidInput, match=r"keeps weights in \['tiny.data'\]"):
        voices.pin(tiny(folder))
    files = TINY["files"] | {"weights": "tiny/tiny.data"}  # type: ignore[operator]
    assert voices.pin(tiny(folder, files=files)).files["weights"] == "tiny.data"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is no JSON"),
        ("[]", "holds no fields"),
        ('{"espeak": {"voice": "en"}}', "audio.sample_rate: None is no rate"),
        ('{"audio": {"sample_rate": "x"}, "language": {"code": "en"}}', "'x' is no rate"),
        ('{"audio": {"sample_rate": 16000}}', "language: neither given nor in"),
    ],
)
def test_a_broken_config_is_named(folder: Path, content: str, reason: str) -> None:
    (folder / "tiny" / "tiny.onnx.json").write_text(content)
    with pytest.raises(InvalidInput, match=reason):
        voices.pin(tiny(folder))


def test_a_broken_model_is_named_before_it_is_published(folder: Path, store: LocalStore) -> None:
    (folder / "tiny" / "tiny.onnx").write_bytes(b"nothing")
    with pytest.raises(InvalidInput, match=r"files.model: .* is no ONNX model"):
        voices.publish(tiny(folder), store)
    assert [*store.list("")] == []


def test_a_published_voice_is_fetched_and_speaks_on_another_host(
    folder: Path, store: LocalStore, cache: Path
) -> None:
    voice = voices.publish(tiny(folder), store)
    base = f"voices/tiny/{voice.digest}"
    assert [*store.list("voices/")] == [
        f"{base}/{name}" for name in ("tiny.onnx", "tiny.onnx.json", "voice.json")
    ]
    assert from_json(Voice, store.get(f"{base}/voice.json")) == voice
    where = voices.fetch(voice, store, cache)
    assert where == cache / "tiny" / voice.digest
    engine = load(voice, where, "cpu")
    assert engine.speak([Segment("d", "Hello", "tiny")])[0].seconds > 0.1


def test_a_voice_without_files_is_published_and_fetched_too(
    folder: Path, store: LocalStore, cache: Path
) -> None:
    voice = voices.publish(voices.catalogue([folder])["beep"], store)
    assert voices.fetch(voice, store, cache).is_dir()
    assert voices.fetch(voice, store, cache).is_dir()


def test_publishing_again_writes_nothing(folder: Path, store: LocalStore) -> None:
    file = tiny(folder)
    voice = voices.publish(file, store)
    before = {key: (store.root / key).stat().st_ino for key in store.list("")}
    assert voices.publish(file, store) == voice
    assert {key: (store.root / key).stat().st_ino for key in store.list("")} == before


def test_a_publication_that_broke_off_is_finished(
    folder: Path, store: LocalStore, cache: Path
) -> None:
    voice = voices.pin(tiny(folder))
    store.put(f"voices/tiny/{voice.digest}/tiny.onnx", b"half")
    assert voices.publish(tiny(folder), store) == voice
    assert voices.fetch(voice, store, cache).is_dir()


def test_files_that_change_while_they_are_published_are_noticed(folder: Path) -> None:
    class Meddler(LocalStore):
        def put_file(self, key: str, path: Path, **options: Any) -> bool:
            wrote = super().put_file(key, path, **options)
            make_voice(folder / "tiny", noisy=True)
            return wrote

    store = Meddler(folder / "store")
    with pytest.raises(Unavailable, match="files of voice 'tiny' changed while it was published"):
        voices.publish(tiny(folder), store)
    assert not any(key.endswith("voice.json") for key in store.list(""))


def test_a_fetched_voice_is_not_fetched_again(folder: Path, store: LocalStore, cache: Path) -> None:
    voice = voices.publish(tiny(folder), store)
    where = voices.fetch(voice, store, cache)
    nothing = LocalStore(folder / "empty")
    assert voices.fetch(voice, nothing, cache) == where


def test_a_spoiled_cache_is_fetched_again(folder: Path, store: LocalStore, cache: Path) -> None:
    voice = voices.publish(tiny(folder), store)
    where = voices.fetch(voice, store, cache)
    good = (where / "tiny.onnx").read_bytes()
    (where / "tiny.onnx").write_bytes(b"spoiled")
    assert (voices.fetch(voice, store, cache) / "tiny.onnx").read_bytes() == good
    (where / "tiny.onnx.json").unlink()
    assert (voices.fetch(voice, store, cache) / "tiny.onnx.json").exists()


def test_a_voice_that_is_not_what_its_digest_says_is_not_loaded(
    folder: Path, store: LocalStore, cache: Path
) -> None:
    voice = voices.publish(tiny(folder), store)
    store.put(f"voices/tiny/{voice.digest}/tiny.onnx", b"something else")
    with pytest.raises(EngineError, match=r"not what its digest .* says: delete it there and"):
        voices.fetch(voice, store, cache)
    assert [*(cache / "tiny").iterdir()] == []


def test_a_voice_that_the_store_lacks_is_named(
    folder: Path, store: LocalStore, cache: Path
) -> None:
    voice = voices.pin(tiny(folder))
    with pytest.raises(EngineError, match=r"voice 'tiny' .* is not in the store: publish it again"):
        voices.fetch(voice, store, cache)
    assert [*(cache / "tiny").iterdir()] == []


@pytest.mark.parametrize(
    "change", [{"id": "../x"}, {"digest": "../x"}, {"files": {"model": "../../x"}}]
)
def test_names_that_lead_out_of_the_cache_are_refused(
    folder: Path, store: LocalStore, cache: Path, change: dict[str, Any]
) -> None:
    voice = dataclasses.replace(voices.publish(tiny(folder), store), **change)
    with pytest.raises(InvalidInput, match="is not valid"):
        voices.fetch(voice, store, cache)


def test_a_cache_that_cannot_be_written_is_one_clear_line(folder: Path, store: LocalStore) -> None:
    voice = voices.publish(tiny(folder), store)
    with pytest.raises(StoreUnavailable, match=r"cannot write '/dev/null/tiny/.*Not a directory"):
        voices.fetch(voice, store, Path("/dev/null"))


def test_a_voice_of_this_host_is_kept_in_the_cache_without_a_store(
    folder: Path, cache: Path
) -> None:
    file = tiny(folder)
    voice = voices.pin(file)
    where = voices.keep(file, voice, cache)
    assert where == cache / "tiny" / voice.digest
    assert sorted(path.name for path in where.iterdir()) == ["tiny.onnx", "tiny.onnx.json"]
    (where / "made of it").touch()
    assert voices.keep(file, voice, cache) == where
    assert (where / "made of it").exists(), "copied once"
    (where / "tiny.onnx").write_bytes(b"spoiled")
    voices.keep(file, voice, cache)
    assert (where / "tiny.onnx").read_bytes() == (folder / "tiny" / "tiny.onnx").read_bytes()


def test_who_may_read_a_file_of_a_voice_may_read_it_in_the_cache(folder: Path, cache: Path) -> None:
    file = tiny(folder)
    (folder / "tiny" / "tiny.onnx").chmod(0o400)
    where = voices.keep(file, voices.pin(file), cache)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in where.iterdir()}
    assert modes["tiny.onnx"] == "0o400"


def test_what_a_killed_process_left_in_the_cache_is_removed_by_another(
    folder: Path, cache: Path
) -> None:
    file = tiny(folder)
    voice = voices.pin(file)
    left, filling = (cache / "tiny" / f".fetch-{name}" for name in ("left", "filling"))
    for each in (left, filling):
        each.mkdir(parents=True)
        (each / "tiny.onnx").write_bytes(b"half")
    old = time.time() - 2 * 86_400
    os.utime(left, (old, old))
    where = voices.keep(file, voice, cache)
    assert sorted((cache / "tiny").iterdir()) == sorted([filling, where])


def test_files_that_change_while_they_are_kept_are_noticed(folder: Path, cache: Path) -> None:
    file = tiny(folder)
    voice = voices.pin(file)
    make_voice(folder / "tiny", noisy=True)
    with pytest.raises(Unavailable, match="files of voice 'tiny' changed while they were copied"):
        voices.keep(file, voice, cache)
    assert [*(cache / "tiny").iterdir()] == []


def test_processes_and_threads_that_fetch_at_once_do_not_disturb_each_other(
    folder: Path, store: LocalStore, cache: Path
) -> None:
    voice = voices.publish(tiny(folder), store)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_fetch, args=(voice, store, cache)) for _ in range(3)]
    for child in children:
        child.start()
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(_fetch, voice, store, cache) for _ in range(4)]:
            done.result()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    for each in cache.iterdir():
        assert [path.name for path in (each / "tiny").iterdir()] == [voice.digest]


def _fetch(voice: Voice, store: LocalStore, cache: Path) -> None:
    for number in range(20):
        where = voices.fetch(voice, store, cache / str(number))
        assert (where / "tiny.onnx.json").exists()
