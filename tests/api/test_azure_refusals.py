from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from farm.api.bounds import BODY_BYTES as ANY_BODY
from farm.text.lines import LONGEST_LINE
from tests.api.azures import TEXT, VERSION, Client, error, listed, plain, speak, ssml
from tests.api.conftest import Api, serving


@pytest.fixture
def azure(api: Api) -> Client:
    return Client(api.url, api.key("ann")[1])


@pytest.fixture(scope="module")
def refusing(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a server that is shared by tests whose requests leave nothing behind."""
    # Not the database of the other farms here: its control process would keep theirs out.
    with serving(f"{redis_server}?db=1", tmp_path_factory.mktemp("refusing")) as api:
        yield Client(api.url, api.key("ann")[1])


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"inputs": []}, "inputs", "at least 1"),
        ({"inputs": [{"content": "a"}] * 10_001}, "inputs", "10000"),
        ({"inputs": [{"content": ""}]}, "inputs.0.content", "at least 1"),
        ({"inputs": [{"content": " \n"}]}, "inputs.0.content", "nothing in it to speak"),
        ({"inputs": [{"content": "\ud800"}]}, "inputs.0.content", ""),
        ({"inputs": [{"content": "a" * LONGEST_LINE}]}, "inputs.0.content", str(LONGEST_LINE)),
        ({"inputKind": "Html"}, "inputKind", ""),
        ({"synthesisConfig": None}, "synthesisConfig.voice", "needs a voice"),
        ({"customVoices": {"mine": "502ac834"}}, "customVoices", "does not honour"),
        ({"displayName": "old"}, "displayName", ""),
    ],
)
def test_a_request_that_cannot_be_honoured_is_refused_by_its_field(
    refusing: Client, change: dict[str, Any], field: str, words: str
) -> None:
    found = error(refusing.submit("refused", {**plain(TEXT), **change}), 400, "BadRequest")
    assert found["target"] == field
    assert field in found["message"]
    assert words in found["message"]
    error(refusing.get("refused"), 404, "NotFound")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("style", "chat"),
        ("role", "Girl"),
        ("speakerProfileId", "x"),
        ("styleDegree", 1.5),
        ("backgroundAudio", {"src": "https://example.com/a.mp3"}),
        ("rate", "quick"),
        ("rate", "500%"),
        ("pitch", "+20Hz"),
        ("volume", "noisy"),
        ("volume", 101),
    ],
)
def test_a_way_of_speaking_that_the_farm_lacks_is_refused(
    refusing: Client, name: str, value: Any
) -> None:
    answer = refusing.submit("refused", plain(TEXT, config={name: value}))
    assert error(answer, 400, "BadRequest")["target"].startswith(f"synthesisConfig.{name}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("outputFormat", "raw-16khz-16bit-mono-truesilk"),
        ("timeToLiveInHours", 745),
        ("timeToLiveInHours", 0),
        ("timeToLiveInHours", "12"),
        ("wordBoundaryEnabled", "true"),
        ("decompressOutputFiles", True),
        ("destinationContainerUrl", "https://example.blob.core.windows.net/x?sas"),
        ("destinationPath", "a/b"),
        ("timeToLive", "PT12H"),
    ],
)
def test_a_property_that_the_farm_cannot_honour_is_refused(
    refusing: Client, name: str, value: Any
) -> None:
    answer = refusing.submit("refused", plain(TEXT, properties={name: value}))
    found = error(answer, 400, "BadRequest")
    assert found["target"].startswith(f"properties.{name}")
    if name == "outputFormat":
        assert "riff-24khz-16bit-mono-pcm" in found["message"]


def test_fields_that_are_null_or_empty_are_as_if_they_were_not_there(azure: Client) -> None:
    nothing = {"style": None, "rate": None, "backgroundAudio": None, "role": ""}
    options = {"outputFormat": "", "destinationContainerUrl": None, "concatenateResult": None}
    payload = plain(TEXT, config=nothing, properties=options, description=None, customVoices=None)
    shown, _ = azure.made("nulls", payload)
    assert shown["properties"]["outputFormat"] == "riff-24khz-16bit-mono-pcm"


@pytest.mark.parametrize("voice", ["en-US-JennyNeural", "bobs"])
def test_a_voice_that_the_caller_has_not_is_refused_and_the_valid_ones_are_named(
    refusing: Client, voice: str
) -> None:
    for payload in (plain(TEXT, voice=voice), ssml(speak(f"<voice name='{voice}'>Hi.</voice>"))):
        message = error(refusing.submit("unvoiced", payload), 400, "BadRequest")["message"]
        assert voice in message
        assert "tone" in message


def test_ssml_of_which_some_text_has_no_voice_is_refused(refusing: Client) -> None:
    good = speak("<voice name='tone'>Hello.</voice>")
    found = error(refusing.submit("voiceless", ssml(good, speak("Hello."))), 400, "BadRequest")
    assert found["target"] == "inputs.1.content"
    assert "voice" in found["message"]


def test_ssml_that_cannot_be_read_fails_alone_unless_there_is_no_other(azure: Client) -> None:
    good = speak("<voice name='tone'>Hello.</voice>")
    shown, archive = azure.made("malformed", ssml("<speak>", good))
    assert shown["properties"]["failedAudioCount"] == 1
    assert "well-formed" in listed(archive, "summary.json")["results"][0]["error"]["message"]
    message = error(azure.submit("alone", ssml("<speak>")), 400, "BadRequest")["message"]
    assert "well-formed" in message


@pytest.mark.parametrize("id_", ["ab", "x" * 65, "-abc", "abc-", "a b c", "a%2Fb"])
def test_an_id_that_azure_would_not_take_is_refused(refusing: Client, id_: str) -> None:
    assert refusing.submit(id_, plain(TEXT)).status_code in (400, 404)
    assert refusing.list().json() == {"value": []}


@pytest.mark.parametrize("query", ["", "?api-version=2023-01-01"])
def test_every_request_names_the_version(refusing: Client, query: str) -> None:
    for path in ("batchsyntheses", "batchsyntheses/any", "operations/any"):
        answer = httpx.get(
            f"{refusing.endpoint}/texttospeech/{path}{query}", headers=refusing.headers
        )
        found = error(answer, 400, "BadRequest")
        assert found["target"] == "api-version"
        if query:
            assert VERSION in found["message"]


@pytest.mark.parametrize("query", ["skip=-1", "maxpagesize=0", "maxpagesize=101", "skip=x"])
def test_a_page_that_cannot_be_is_refused(refusing: Client, query: str) -> None:
    url = refusing.url(f"batchsyntheses?{query}&")
    found = error(httpx.get(url, headers=refusing.headers), 400, "BadRequest")
    assert found["target"] == query.split("=")[0]


def test_errors_of_keys_and_methods_have_azures_shape(api: Api, azure: Client) -> None:
    nobody = Client(api.url, "farm_wrong")
    error(nobody.get("any"), 401, "Unauthorized")
    reader = Client(api.url, api.key("ann", "read")[1])
    error(reader.submit("any", plain(TEXT)), 403, "Forbidden")
    error(reader.delete("any"), 403, "Forbidden")
    answer = httpx.post(azure.url("batchsyntheses/any?"), headers=azure.headers)
    error(answer, 405, "MethodNotAllowed")


def test_a_body_of_more_than_two_megabytes_is_refused(refusing: Client) -> None:
    answer = refusing.submit("large", plain(*["word " * 50_000] * 9))
    assert "2097152" in error(answer, 413, "RequestEntityTooLarge")["message"]
    assert ANY_BODY > 9 * 5 * 50_000


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b"\xff"])
def test_a_body_that_is_no_request_is_refused(refusing: Client, body: bytes) -> None:
    headers = {**refusing.headers, "Content-Type": "application/json"}
    answer = httpx.put(refusing.url("batchsyntheses/bad?"), content=body, headers=headers)
    error(answer, 400, "BadRequest")
