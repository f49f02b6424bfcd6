from __future__ import annotations

import io
import subprocess
import time
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
import soundfile

from farm import retention
from farm.api.azure.formats import FORMATS
from farm.api.azure.records import LABEL, definition
from tests.api.azures import BOTH, TEXT, Client, error, listed, plain, speak, ssml
from tests.api.conftest import Api, wait_for


@pytest.fixture
def azure(api: Api) -> Client:
    return Client(api.url, api.key("ann")[1])


def test_a_client_of_azure_gets_its_audio_by_changing_only_url_and_key(azure: Client) -> None:
    payload = plain(
        TEXT,
        description="Simple synthesis",
        customVoices={},
        properties={"outputFormat": "riff-24khz-16bit-mono-pcm"},
    )
    answer = azure.submit("my-job.01", payload)
    assert answer.status_code == 201
    created = answer.json()
    assert created["id"] == "my-job.01"
    assert created["status"] in ("NotStarted", "Running", "Succeeded")
    shown = azure.ended("my-job.01")
    assert shown["status"] == "Succeeded"
    data = httpx.get(shown["outputs"]["result"], timeout=30).content
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert sorted(archive.namelist()) == ["0001.debug.json", "0001.wav", "summary.json"]
        audio, rate = soundfile.read(io.BytesIO(archive.read("0001.wav")))
        size = archive.getinfo("0001.wav").file_size
    assert rate == 24_000
    assert audio.max() > 0.1
    properties = shown["properties"]
    assert properties["sizeInBytes"] == size
    assert properties["durationInMilliseconds"] == round(len(audio) / rate * 1000)
    assert (properties["succeededAudioCount"], properties["failedAudioCount"]) == (1, 0)
    assert properties["billingDetails"]["neuralCharacters"] == len(TEXT)


def test_an_answer_has_azures_fields_and_no_others(azure: Client) -> None:
    azure.submit("fields", plain(TEXT, description="mine"))
    shown = azure.ended("fields")
    assert shown.keys() == {
        "id", "internalId", "status", "createdDateTime", "lastActionDateTime", "inputKind",
        "description", "synthesisConfig", "customVoices", "properties", "outputs",
    }  # fmt: skip
    assert shown["synthesisConfig"] == {"voice": "tone"}
    assert (shown["inputKind"], shown["description"], shown["customVoices"]) == (
        "PlainText",
        "mine",
        {},
    )
    given = {name: shown["properties"][name] for name in list(shown["properties"])[:6]}
    assert given == {
        "timeToLiveInHours": 168,
        "outputFormat": "riff-24khz-16bit-mono-pcm",
        "concatenateResult": False,
        "decompressOutputFiles": False,
        "wordBoundaryEnabled": False,
        "sentenceBoundaryEnabled": False,
    }
    begun, last = (datetime.fromisoformat(shown[f"{n}DateTime"]) for n in ("created", "lastAction"))
    assert begun <= last
    assert abs(last.timestamp() - time.time()) < 60


def test_an_unfinished_synthesis_tells_no_results(api: Api, azure: Client) -> None:
    api.workers.going.clear()
    created = azure.submit("waits", plain(TEXT)).json()
    assert created["status"] == "NotStarted"
    assert "outputs" not in created
    assert "succeededAudioCount" not in created["properties"]
    api.workers.going.set()
    assert azure.ended("waits")["internalId"] == created["internalId"]


def test_operation_location_tells_the_status(azure: Client) -> None:
    answer = azure.submit("polled", plain(TEXT))
    azure.ended("polled")
    found = httpx.get(answer.headers["operation-location"], headers=azure.headers).json()
    assert found == {"id": answer.headers["operation-id"], "status": "Succeeded"}


def test_boundaries_lie_in_the_audio_in_order_and_cover_the_words(azure: Client) -> None:
    text = "Once upon a time there was a farm. It spoke all day long."
    shown, archive = azure.made("bounds", plain(text, properties=BOTH))
    words, sentences = (listed(archive, f"0001.{kind}.json") for kind in ("word", "sentence"))
    assert [word["Text"] for word in words] == text.replace(".", "").split()
    assert [sentence["Text"] for sentence in sentences] == [
        "Once upon a time there was a farm.",
        "It spoke all day long.",
    ]
    length = shown["properties"]["durationInMilliseconds"]
    for rows in (words, sentences):
        assert all(row.keys() == {"Text", "AudioOffset", "Duration"} for row in rows)
        ends = [row["AudioOffset"] + row["Duration"] for row in rows]
        begins = [row["AudioOffset"] for row in rows]
        assert all(end <= begin for end, begin in zip(ends, begins[1:], strict=False))
        assert begins[0] >= 0
        assert ends[-1] <= length + 1
    for word in words[-5:]:
        assert sentences[1]["AudioOffset"] <= word["AudioOffset"]


def test_the_summary_names_every_file_of_every_input(azure: Client) -> None:
    shown, archive = azure.made("summed", plain("One.", "Two, and more.", properties=BOTH))
    summary = listed(archive, "summary.json")
    assert (summary["jobID"], summary["status"]) == ("summed", "Succeeded")
    assert [row["contents"] for row in summary["results"]] == [["One."], ["Two, and more."]]
    for number, row in enumerate(summary["results"], start=1):
        name = f"{number:04d}"
        assert row["status"] == "Succeeded"
        assert row["audioFileName"] == f"{name}.wav"
        assert row["wordBoundaryFileName"] == f"{name}.word.json"
        assert row["sentenceBoundaryFileName"] == f"{name}.sentence.json"
        assert row["properties"]["sizeInBytes"] == str(archive.getinfo(f"{name}.wav").file_size)
    lengths = [int(r["properties"]["durationInMilliseconds"]) for r in summary["results"]]
    assert shown["properties"]["durationInMilliseconds"] == sum(lengths)


def test_info_zip_finds_the_archive_sound(azure: Client, tmp_path: Path) -> None:
    shown, _ = azure.made("sound", plain("One.", "Two.", properties=BOTH))
    path = tmp_path / "results.zip"
    path.write_bytes(httpx.get(shown["outputs"]["result"]).content)
    tested = subprocess.run(["unzip", "-t", path], capture_output=True, text=True, check=True)
    assert "No errors detected" in tested.stdout


@pytest.mark.parametrize("text", ["...", "* * *"])
def test_an_input_without_words_has_all_its_files(azure: Client, text: str) -> None:
    shown, archive = azure.made("wordless", plain(text, properties=BOTH))
    assert shown["status"] == "Succeeded"
    assert listed(archive, "0001.word.json") == listed(archive, "0001.sentence.json") == []
    audio, _ = soundfile.read(io.BytesIO(archive.read("0001.wav")))
    assert len(audio) > 0
    assert not audio.any()
    assert listed(archive, "summary.json")["results"][0]["status"] == "Succeeded"


def test_ssml_without_words_has_all_its_files(azure: Client) -> None:
    silent = speak("<voice name='tone'>...<break time='1s'/></voice>")
    _, archive = azure.made("silent", ssml(silent, properties=BOTH))
    assert listed(archive, "0001.word.json") == listed(archive, "0001.sentence.json") == []
    assert listed(archive, "summary.json")["results"][0]["contents"] == [silent]


def test_ssml_is_spoken_by_the_voices_that_it_names(azure: Client) -> None:
    both = speak("<voice name='tone'>Good morning.</voice><voice name='low'>Good night.</voice>")
    more = speak("<voice name='low'><s>Never mind <emphasis>me</emphasis>.</s></voice>")
    shown, archive = azure.made("voices", ssml(both, more, properties=BOTH))
    assert "synthesisConfig" not in shown
    spoken = [row["Text"] for row in listed(archive, "0001.sentence.json")]
    assert spoken == ["Good morning.", "Good night."]
    assert shown["properties"]["succeededAudioCount"] == 2


def test_what_ssml_asks_for_in_vain_is_told_in_the_debug_file(azure: Client) -> None:
    marked = speak("<voice name='tone'>Hello <bookmark mark='here'/>there.</voice>")
    _, archive = azure.made("told", ssml(marked))
    assert any("mark" in warning for warning in listed(archive, "0001.debug.json")["warnings"])


def test_a_failed_input_is_counted_and_explained_and_its_neighbour_is_there(azure: Client) -> None:
    payload = plain("Good.", "Bad [[fail]] one.", properties=BOTH)
    shown, archive = azure.made("half", payload)
    assert shown["status"] == "Succeeded"
    counts = shown["properties"]
    assert (counts["succeededAudioCount"], counts["failedAudioCount"]) == (1, 1)
    good, bad = listed(archive, "summary.json")["results"]
    assert (good["status"], bad["status"]) == ("Succeeded", "Failed")
    assert "asked to fail" in bad["error"]["message"]
    assert "asked to fail" in listed(archive, "0002.debug.json")["error"]
    assert "0002.wav" not in archive.namelist()
    assert listed(archive, "0002.word.json") == []


def test_an_input_that_is_spoken_in_part_has_failed(azure: Client) -> None:
    shown, archive = azure.made("part", plain("Good. Bad [[fail]] one.", "Fine."))
    assert shown["properties"]["failedAudioCount"] == 1
    assert listed(archive, "summary.json")["results"][0]["status"] == "Failed"


def test_a_synthesis_of_which_nothing_was_spoken_has_failed_and_says_why(azure: Client) -> None:
    shown, archive = azure.made("lost", plain("[[fail]] this.", properties=BOTH))
    assert shown["status"] == "Failed"
    assert shown["properties"]["error"]["message"]
    assert shown["properties"]["sizeInBytes"] == 0
    assert listed(archive, "summary.json")["status"] == "Failed"
    assert listed(archive, "0001.sentence.json") == []


@pytest.mark.parametrize("format", ["riff-24khz-16bit-mono-pcm", "audio-24khz-48kbitrate-mono-mp3"])
def test_a_joined_result_is_one_audio_with_the_boundaries_of_all(
    azure: Client, format: str
) -> None:
    options = {**BOTH, "concatenateResult": True, "outputFormat": format}
    shown, archive = azure.made(
        "joined", plain("One two.", "[[fail]].", "Three.", properties=options)
    )
    suffix = "wav" if format.startswith("riff") else "mp3"
    assert [n for n in archive.namelist() if n.endswith((".wav", ".mp3"))] == [f"0001.{suffix}"]
    audio, rate = soundfile.read(io.BytesIO(archive.read(f"0001.{suffix}")))
    length = len(audio) / rate * 1000
    assert shown["properties"]["durationInMilliseconds"] == pytest.approx(length, abs=150)
    assert shown["properties"]["succeededAudioCount"] == 2
    words = listed(archive, "0001.word.json")
    assert [word["Text"] for word in words] == ["One", "two", "Three"]
    sentences = listed(archive, "0001.sentence.json")
    first, second = sentences
    assert second["AudioOffset"] >= first["AudioOffset"] + first["Duration"] + 500
    assert words[2]["AudioOffset"] + words[2]["Duration"] <= length + 1
    spoken, lost = listed(archive, "summary.json")["results"]
    assert spoken["contents"] == ["One two.", "Three."]
    assert lost["contents"] == ["[[fail]]."]


def test_a_gap_in_a_joined_wav_is_silent_and_its_words_are_not(azure: Client) -> None:
    options = {**BOTH, "concatenateResult": True}
    _, archive = azure.made("gaps", plain("One.", "Two.", properties=options))
    audio, rate = soundfile.read(io.BytesIO(archive.read("0001.wav")))
    first, second = listed(archive, "0001.sentence.json")

    def part(begin: float, end: float) -> Any:
        return audio[round(begin * rate / 1000) : round(end * rate / 1000)]

    end = first["AudioOffset"] + first["Duration"]
    assert not part(end + 2, second["AudioOffset"] - 2).any()
    for row in (first, second):
        middle = row["AudioOffset"] + row["Duration"] / 2
        assert abs(part(middle - 20, middle + 20)).max() > 0.1


def hertz(name: str) -> float:
    """The sample rate in one of Azure's names of formats."""
    rate = next(word for word in name.split("-") if word.endswith("hz")).removesuffix("hz")
    return float(rate.removesuffix("k")) * (1000 if rate.endswith("k") else 1)


def test_every_format_is_what_its_name_says(azure: Client) -> None:
    kinds = {
        "riff": ("pcm_s16le", ".wav"),
        "audio": ("mp3", ".mp3"),
        "ogg": ("opus", ".opus"),
    }
    for format in FORMATS:
        azure.submit(format, plain(TEXT * 5, properties={"outputFormat": format}))
    for format in FORMATS:
        kind, suffix = kinds[format.split("-")[0]]
        shown = azure.ended(format)
        data = httpx.get(shown["outputs"]["result"], timeout=30).content
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            audio = archive.read(f"0001{suffix}")
        with av.open(io.BytesIO(audio), "r") as container:
            context = container.streams.audio[0].codec_context
            assert context.name.startswith(kind)
            # Opus is decoded at 48 kHz always.
            assert context.sample_rate == (48_000 if kind == "opus" else hertz(format))
            seconds = float(container.duration or 0) / av.time_base
        assert shown["properties"]["durationInMilliseconds"] == pytest.approx(
            seconds * 1000, abs=150
        )
        if kind == "mp3":
            kilobits = int(format.split("-")[2].removesuffix("kbitrate"))
            assert len(audio) * 8 / seconds / 1000 == pytest.approx(kilobits, rel=0.1)


def test_rate_and_volume_are_heard(azure: Client) -> None:
    lengths, peaks = [], []
    for name, config in (("usual", {}), ("other", {"rate": "+100%", "volume": 50})):
        _, archive = azure.made(name, plain(TEXT, config=config))
        audio, _ = soundfile.read(io.BytesIO(archive.read("0001.wav")))
        lengths.append(len(audio))
        peaks.append(abs(audio).max())
    assert lengths[1] == pytest.approx(lengths[0] / 2, rel=0.02)
    assert peaks[1] == pytest.approx(peaks[0] / 2, rel=0.02)


def test_a_carriage_return_begins_a_paragraph(azure: Client) -> None:
    payload = plain("one part\r\nand another", properties=BOTH)
    _, archive = azure.made("parts", payload)
    assert [r["Text"] for r in listed(archive, "0001.sentence.json")] == ["one part", "and another"]


def test_the_older_name_of_content_and_any_case_of_the_kind_are_taken(azure: Client) -> None:
    payload = {**plain(TEXT), "inputs": [{"text": TEXT}], "inputKind": "plainText"}
    shown, archive = azure.made("older", payload)
    assert shown["inputKind"] == "PlainText"
    assert "0001.wav" in archive.namelist()


def test_the_same_synthesis_has_the_same_bytes(azure: Client) -> None:
    zips = []
    for _ in range(2):
        shown, _ = azure.made("again", plain(TEXT, properties=BOTH))
        zips.append(httpx.get(shown["outputs"]["result"]).content)
        assert azure.delete("again").status_code == 204
    assert zips[0] == zips[1]


def test_the_same_request_finds_its_synthesis_and_another_is_refused(azure: Client) -> None:
    first = azure.submit("twice", plain(TEXT))
    again = azure.submit("twice", plain(TEXT))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json()["internalId"] == first.json()["internalId"]
    error(azure.submit("twice", plain("Something else.")), 409, "Conflict")


def test_the_list_goes_page_by_page_through_syntheses_only(api: Api, azure: Client) -> None:
    native = api.client("ann")
    for number in range(5):
        azure.submit(f"page-{number}", plain(TEXT)).raise_for_status()
        native.put(f"/v1/jobs/own-{number}", json={"kind": "speech", "text": "Hi."})
    wait_for(lambda: all(r["status"] == "Succeeded" for r in azure.list().json()["value"]))
    assert [row["id"] for row in azure.list().json()["value"]] == [
        f"page-{number}" for number in (4, 3, 2, 1, 0)
    ]
    assert "nextLink" not in azure.list().json()
    page, seen = azure.list(1, 2).json(), []
    while True:
        seen.append([row["id"] for row in page["value"]])
        if "nextLink" not in page:
            break
        page = httpx.get(page["nextLink"], headers=azure.headers).json()
    assert seen == [["page-3", "page-2"], ["page-1", "page-0"]]
    assert "result" in page["value"][0]["outputs"]


def test_nothing_of_another_owner_is_seen_or_deleted(api: Api, azure: Client) -> None:
    azure.made("mine", plain(TEXT))
    bob = Client(api.url, api.key("bob")[1])
    error(bob.get("mine"), 404, "NotFound")
    assert bob.list().json() == {"value": []}
    assert bob.delete("mine").status_code == 204
    assert azure.get("mine").status_code == 200
    assert bob.submit("mine", plain("His own.")).status_code == 201


def test_a_job_of_another_dialect_is_no_synthesis(api: Api, azure: Client) -> None:
    native = api.client("ann")
    own = {"kind": "speech", "text": "Hi.", "labels": {"inputKind": "SSML"}}
    native.put("/v1/jobs/native", json=own).raise_for_status()
    api.finish(native, "native")
    error(azure.get("native"), 404, "NotFound")
    assert azure.list().json() == {"value": []}
    assert azure.delete("native").status_code == 204
    assert native.get("/v1/jobs/native").status_code == 200


def test_a_label_that_only_looks_like_a_request_makes_no_synthesis() -> None:
    assert definition({LABEL: '{"inputKind": "SSML"}'}) is None
    assert definition({LABEL: "mine"}) is None


def test_a_deleted_synthesis_is_gone_with_its_results(azure: Client) -> None:
    shown, _ = azure.made("gone", plain(TEXT))
    assert azure.delete("gone").status_code == 204
    error(azure.get("gone"), 404, "NotFound")
    assert httpx.get(shown["outputs"]["result"]).status_code == 404
    assert azure.delete("gone").status_code == 204
    _, archive = azure.made("gone", plain("Another."))
    assert listed(archive, "summary.json")["results"][0]["contents"] == ["Another."]


def test_a_running_synthesis_can_be_deleted(api: Api, azure: Client) -> None:
    api.workers.going.clear()
    azure.submit("running", plain(TEXT))
    assert azure.delete("running").status_code == 204
    error(azure.get("running"), 404, "NotFound")
    api.workers.going.set()
    assert azure.made("after", plain(TEXT))[0]["status"] == "Succeeded"


def test_a_synthesis_lives_as_long_as_it_was_asked_to(api: Api, azure: Client) -> None:
    azure.made("lives", plain(TEXT, properties={"timeToLiveInHours": 2}))
    now = time.time()
    retention.act(api.farm, now + 7100)
    assert azure.get("lives").status_code == 200
    retention.act(api.farm, now + 7300)
    error(azure.get("lives"), 404, "NotFound")


def test_a_cancelled_synthesis_has_failed_without_results(api: Api, azure: Client) -> None:
    api.workers.going.clear()
    azure.submit("stopped", plain(TEXT))
    api.client("ann").post("/v1/jobs/stopped/cancel").raise_for_status()
    shown = azure.get("stopped").json()
    assert shown["status"] == "Failed"
    assert shown["properties"]["error"]["message"] == "the synthesis was cancelled"
    assert "outputs" not in shown
