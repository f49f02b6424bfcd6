"""How commands find the farm that runs in a home, start it where none does, and keep it alive."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pydantic import SecretStr

from farm.config import Settings
from farm.embedded.server import START_S
from farm.errors import LedgerUnavailable, Unavailable
from farm.ledger import Ledger
from farm.processes import locked
from farm.storage.atomic import mapped

#: Starts that may fail, such as by a port that another process was quicker to take.
STARTS = 2
#: Begins what a supervisor says in its log.
_STARTED = b"---- started\n"


@contextmanager
def held(settings: Settings) -> Iterator[None]:
    """Keep the home's embedded farm alive during the block; nothing where another is configured."""
    if settings.broker_url.get_secret_value():
        yield
        return
    with ExitStack() as stack:
        clients = settings.home.absolute() / "clients.lock"
        while stack.enter_context(locked(clients, fcntl.LOCK_SH)) is None:
            time.sleep(0.05)  # the supervisor is just looking whether it is alone
        yield


def connected(settings: Settings, wait_s: float = START_S) -> Settings:
    """Return settings of a farm that answers: the configured one, or the home's embedded one.

    An embedded farm that does not run yet is started; `held` keeps it alive.

    Raises:
        Unavailable: the embedded farm did not start, or no farm answered in `wait_s` seconds.
    """
    if settings.broker_url.get_secret_value():
        _await_answer(settings, wait_s)
        return settings
    home = settings.home.absolute()
    found = _connect(home, wait_s)
    update = {
        "home": home,
        "broker_url": SecretStr(found["broker_url"]),
        "store_url": found["store_url"],
    }
    return settings.model_copy(update=update)


def stays(settings: Settings) -> bool:
    """Whether the farm that commands join lives on without them: a configured one, or `farm up`."""
    if settings.broker_url.get_secret_value():
        return True
    try:
        return bool(json.loads((settings.home / "connection.json").read_text()).get("stays"))
    except (OSError, ValueError):
        return False


def _await_answer(settings: Settings, wait_s: float) -> None:
    ledger, end = Ledger(settings.broker_url.get_secret_value()), time.monotonic() + wait_s
    while True:
        try:
            ledger.ping()
        except LedgerUnavailable as error:
            if time.monotonic() > end:
                raise LedgerUnavailable(
                    f"FARM_BROKER_URL: no farm answers there: {error}"
                ) from error
            time.sleep(0.5)
        else:
            return


def _connect(home: Path, wait_s: float) -> dict[str, str]:
    """Return the connection of the home's farm, started if necessary."""
    end, failures = time.monotonic() + wait_s, 0
    started: subprocess.Popen[bytes] | None = None
    while time.monotonic() < end and failures < STARTS:
        found = _published(home)
        if found:
            return found
        if started is None or started.poll() is not None:
            failures += started is not None and started.returncode != 0
            started = _start(home) if failures < STARTS else None
        time.sleep(0.1)
    raise Unavailable(f"the embedded farm did not start: {_last_words(home)}")


def _published(home: Path) -> dict[str, str] | None:
    """Return the connection that a running farm has published."""
    try:
        found: dict[str, str] = json.loads((home / "connection.json").read_text())
        Ledger(found["broker_url"]).ping()
    except (OSError, ValueError, LedgerUnavailable):
        return None  # there is none, or it is ending, or ended without taking the file away
    return found


def _last_words(home: Path) -> str:
    log = home / "logs" / "supervisor.log"
    said = log.read_bytes().rpartition(_STARTED)[2].decode(errors="replace").strip()
    said = said.splitlines()[-1].removeprefix("farm: ") if said else "it said nothing"
    return f"{said}; see {log}"


def _start(home: Path) -> subprocess.Popen[bytes]:
    with mapped("write", home):
        (home / "logs").mkdir(parents=True, exist_ok=True)
        with (home / "logs" / "supervisor.log").open("ab") as output:
            output.write(_STARTED)  # on a full disk this fails, and says so
            output.flush()
            return subprocess.Popen(
                [sys.executable, "-m", "farm.cli", "supervise"],
                env={**os.environ, "FARM_HOME": str(home)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
