"""A hub of models on this machine: as much of its HTTP interface as downloads need.

Listings, `resolve` with ETag and byte ranges, the error codes that clients decide on; every file
counts as a large one, so the hub states its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c" * 40
_API = re.compile(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+)(?:/(.*))?)?")
_RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


class Hub:
    """What the hub holds, and what was asked of it."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.url = ""
        self.requests: list[tuple[str, str, str]] = []
        """Method, path and byte range of each request."""
        self.breaks: list[int] = []
        """After so many bytes a download breaks off; each is used once, 0 means never."""
        self.lies: set[str] = set()
        """Files whose content is not what the hub states."""
        self.gated: set[str] = set()

    def add(self, repo: str, files: dict[str, bytes]) -> None:
        """Hold a repository."""
        self.repos[repo] = files

    def downloads(self, name: str) -> list[str]:
        """Byte ranges in which a file was asked for, `` for the whole."""
        return [r for m, path, r in self.requests if m == "GET" and path.endswith(f"/{name}")]


@contextmanager
def serving() -> Iterator[Hub]:
    """Give a hub that answers at `url`."""
    hub = Hub()

    class Handler(_Handler):
        held = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    held: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.held.requests.append((self.command, path, self.headers.get("Range", "")))
        if match := _API.fullmatch(path):
            self._listing(*match.groups())
        elif match := _RESOLVE.fullmatch(path):
            self._file(*match.groups())
        else:
            self._refuse("RepoNotFound", 404)

    def _refuse(self, code: str, status: int) -> None:
        self._send(status, b'{"error": "no"}', {"X-Error-Code": code})

    def _files(self, repo: str, revision: str) -> dict[str, bytes] | None:
        if repo not in self.held.repos:
            self._refuse("RepoNotFound", 404)
        elif revision not in ("main", COMMIT):
            self._refuse("RevisionNotFound", 404)
        else:
            return self.held.repos[repo]
        return None

    def _listing(
        self, repo: str, kind: str | None, revision: str | None, folder: str | None
    ) -> None:
        files = self._files(repo, revision or "main")
        if files is None:
            return
        if kind != "tree":
            about = {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": [], "tags": []}
            self._send(200, json.dumps(about).encode(), {})
            return
        below = PurePosixPath(folder or ".")
        rows = [
            _row(name, data) for name, data in files.items() if below in PurePosixPath(name).parents
        ]
        if rows:
            self._send(200, json.dumps(rows).encode(), {"Content-Type": "application/json"})
        else:
            self._refuse("EntryNotFound", 404)

    def _file(self, repo: str, revision: str, name: str) -> None:
        files = self._files(repo, revision)
        if files is None:
            return
        if repo in self.held.gated:
            self._refuse("GatedRepo", 403)
            return
        if name not in files:
            self._refuse("EntryNotFound", 404)
            return
        data, tag = files[name], hashlib.sha256(files[name]).hexdigest()
        headers = {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        headers |= {"X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{tag}"'}
        if name in self.held.lies:
            data = data[::-1]
        begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if begin is None:
            self._send(200, data, headers)
            return
        first = int(begin.group(1))
        headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        self._send(206, data[first:], headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.held.breaks.pop(0) if self.held.breaks and "ETag" in headers else 0
        self.wfile.write(body[:cut] if cut else body)
        if cut:
            self.close_connection = True


def _row(name: str, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    lfs = {"oid": digest, "size": len(data), "pointerSize": 134}
    return {"type": "file", "path": name, "size": len(data), "oid": digest[:40], "lfs": lfs}
