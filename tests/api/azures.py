"""A client of Azure's batch synthesis, written as Microsoft's sample is: httpx, no library."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import httpx

from tests.api.conftest import wait_for

VERSION = "2024-04-01"
TEXT = "The rainbow has seven colors."
BOTH = {"wordBoundaryEnabled": True, "sentenceBoundaryEnabled": True}


class Client:
    """What a client of Azure does: a base URL, a key header, and these calls."""

    def __init__(self, endpoint: str, key: str) -> None:
        self.endpoint = endpoint
        self.headers = {"Ocp-Apim-Subscription-Key": key}

    def url(self, path: str) -> str:
        return f"{self.endpoint}/texttospeech/{path}api-version={VERSION}"

    def submit(self, id_: str, payload: Any) -> httpx.Response:
        headers = {**self.headers, "Content-Type": "application/json"}
        url = self.url(f"batchsyntheses/{id_}?")
        return httpx.put(url, content=json.dumps(payload), headers=headers, timeout=30)

    def get(self, id_: str) -> httpx.Response:
        return httpx.get(self.url(f"batchsyntheses/{id_}?"), headers=self.headers, timeout=30)

    def list(self, skip: int = 0, size: int = 100) -> httpx.Response:
        url = self.url(f"batchsyntheses?skip={skip}&maxpagesize={size}&")
        return httpx.get(url, headers=self.headers, timeout=30)

    def delete(self, id_: str) -> httpx.Response:
        return httpx.delete(self.url(f"batchsyntheses/{id_}?"), headers=self.headers, timeout=30)

    def ended(self, id_: str) -> dict[str, Any]:
        """Poll as the sample does."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.get(id_).raise_for_status().json()
            return found if found["status"] in ("Succeeded", "Failed") else None

        shown: dict[str, Any] = wait_for(look)
        return shown

    def made(self, id_: str, payload: Any) -> tuple[dict[str, Any], zipfile.ZipFile]:
        """Submit, wait, and fetch the ZIP without a key."""
        answer = self.submit(id_, payload)
        assert answer.status_code == 201, answer.text
        shown = self.ended(id_)
        data = httpx.get(shown["outputs"]["result"], timeout=30).raise_for_status().content
        return shown, zipfile.ZipFile(io.BytesIO(data))


def plain(*texts: str, voice: str = "tone", **more: Any) -> dict[str, Any]:
    config = {"voice": voice, **more.pop("config", {})}
    inputs = [{"content": text} for text in texts]
    return {"inputKind": "PlainText", "synthesisConfig": config, "inputs": inputs, **more}


def speak(inner: str) -> str:
    return (
        "<speak version='1.0' xmlns='http://www.w3.org/2001/10/synthesis' xml:lang='en-US'>"
        f"{inner}</speak>"
    )


def ssml(*documents: str, **more: Any) -> dict[str, Any]:
    return {"inputKind": "SSML", "inputs": [{"content": each} for each in documents], **more}


def listed(archive: zipfile.ZipFile, name: str) -> Any:
    return json.loads(archive.read(name))


def error(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The error of an answer, in Azure's shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["x-ms-error-code"] == code
    found: dict[str, Any] = answer.json()["error"]
    assert found["code"] == code
    assert answer.json().keys() == {"error"}
    return found
