"""The API on a loopback port, with a farm behind it whose work a thread of this process does."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from farm import dispatch
from farm.access import Key, KeyFile, Scope
from farm.api.create import create_app
from farm.api.running import Streaming
from farm.api.service import Service
from farm.config import Settings
from farm.control import Control
from farm.errors import Unavailable
from farm.farm import Farm
from farm.jobs import State
from farm.ledger import Ledger, Ref
from farm.serving import ports
from farm.storage.local import LocalStore

#: Voices of the tone engine: everybody's, and Bob's own.
VOICES = {
    "tone": "engine: tone\nlanguage: en\nlicence: CC0-1.0\nparameters: {sample_rate: 8000}\n",
    "low": "engine: tone\nlanguage: en\nparameters: {sample_rate: 16000}\n",
    "bobs": "engine: tone\nlanguage: en\nowner: bob\nvisibility: private\n"
    "parameters: {sample_rate: 8000, pitch: 110}\n",
}
#: Seconds that anything may take on a busy machine.
PATIENCE_S = 30.0


class Workers:
    """Does the farm's work, one unit after another, in a thread; can be held."""

    def __init__(self, farm: Farm) -> None:
        self.farm = farm
        self.units: queue.Queue[Ref | None] = queue.Queue()
        self.going = threading.Event()
        self.going.set()
        farm.send = lambda ref, _: self.units.put(ref)
        self._threads = [threading.Thread(target=self._work), threading.Thread(target=self._look)]
        self._over = threading.Event()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        self.going.set()
        self.units.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (ref := self.units.get()) is not None:
            self.going.wait()
            if not self._over.is_set():
                dispatch.perform(self.farm, str(ref))

    def _look(self) -> None:
        control = Control(self.farm)
        while not self._over.wait(0.5):
            with suppress(Unavailable):  # a test stops Redis
                control.tick()


class Api:
    """A served API, and a client of it without a key."""

    def __init__(self, url: str, service: Service, workers: Workers) -> None:
        self.url, self.service, self.workers = url, service, workers
        self.farm = service.farm
        self.anyone = httpx.Client(base_url=url, timeout=PATIENCE_S)
        self._clients = [self.anyone]

    def key(self, owner: str = "ann", *scopes: Scope, **more: Any) -> tuple[Key, str]:
        """Make a key, of all scopes but `admin` where none is named."""
        file = KeyFile(self.service.settings.keys_path)
        return file.add(owner=owner, scopes=scopes or ("submit", "read"), **more)

    def client(self, owner: str = "ann", *scopes: Scope, **more: Any) -> httpx.Client:
        """A client with a new key of an owner."""
        _, text = self.key(owner, *scopes, **more)
        headers = {"Authorization": f"Bearer {text}"}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE_S)
        self._clients.append(client)
        return client

    def finish(self, client: httpx.Client, job: str) -> dict[str, Any]:
        """Wait for the end of a job; its record."""

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = client.get(f"/v1/jobs/{job}").raise_for_status().json()
            return found if State(found["state"]).terminal else None

        record: dict[str, Any] = wait_for(ended)
        return record

    def close(self) -> None:
        for client in self._clients:
            client.close()


def wait_for(look: Callable[[], Any]) -> Any:
    """Look until something is found; fail after `PATIENCE_S`."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"nothing after {PATIENCE_S} s")


@contextmanager
def serving(redis_url: str, folder: Path, **settings: Any) -> Iterator[Api]:
    """Serve the API of a farm in a folder."""
    home = folder / "home"
    (home / "voices").mkdir(parents=True, exist_ok=True)
    for name, text in VOICES.items():
        (home / "voices" / f"{name}.yaml").write_text(text)
    given = {"home": home, "broker_url": SecretStr(redis_url), "voice": "tone", **settings}
    farm = Farm(LocalStore(home / "store"), Ledger(redis_url), home / "cache", lambda *_: None)
    workers = Workers(farm)
    app = create_app(Settings(**given), farm)
    server, taken = Streaming(app), ports.listen(ports.LOOPBACK, 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
    workers.start()
    thread.start()
    wait_for(lambda: server.started)
    api = Api(ports.url(taken), app.state.service, workers)
    try:
        yield api
    finally:
        api.close()
        server.should_exit = True
        thread.join()
        workers.stop()
        farm.ledger.redis.close()


@pytest.fixture
def api(redis_url: str, tmp_path: Path) -> Iterator[Api]:
    """An API of its own for each test."""
    with serving(redis_url, tmp_path) as api:
        yield api
