"""Publishing voices to the store, fetching them to a host, and keeping them there.

In the store: `voices/<id>/<digest>/<file>`, and `voice.json` there once all files are;
`voices/<id>/revoked.json` where nothing may be spoken with a voice any more.
In a host's cache: `<id>/<digest>/<file>`, whole or not there.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from farm.errors import EngineError, NotFound, Unavailable, UnknownVoice
from farm.jobs import ID, Voice, check_id
from farm.schema import to_json
from farm.storage import Store, check_key
from farm.storage.atomic import mapped
from farm.voices.files import VoiceFile
from farm.voices.pinning import check, content_digest, named

#: How the names begin of folders that are being filled.
_FRESH = ".fetch-"
#: Seconds after which a folder that is still being filled is nobody's: a file of it takes less.
_LEFT_S = 86_400.0


def publish(file: VoiceFile, store: Store) -> Voice:
    """Put a voice into the store, if it is not there yet, and return it pinned.

    Raises:
        InvalidInput: see `pin`.
        UnknownVoice: a voice of this id was revoked.
        Unavailable: its files changed meanwhile; or the store, see `Store`.
    """
    voice = named(file)
    refuse_revoked(voice, store)
    if store.exists(_key(voice, "voice.json")):
        return voice  # what has this digest was checked then
    check(file)
    for path in file.files.values():
        store.put_file(_key(voice, path.name), path)
    if named(file).digest != voice.digest:
        raise Unavailable(f"the files of voice {voice.id!r} changed while it was published")
    store.put(_key(voice, "voice.json"), to_json(voice), if_absent=True)
    if store.exists(revocation(voice.id)):  # meanwhile: what was erased must not come back
        erase(voice.id, store)
        refuse_revoked(voice, store)
    return voice


def fetch(voice: Voice, store: Store, cache: Path) -> Path:
    """Return a folder with a voice's files below `cache`, downloaded if need be, and verified.

    Several processes may do so at once.

    Raises:
        EngineError: the store lacks the voice, or holds other content than its digest says.
        StoreUnavailable: the store, or the disk of the cache.
    """
    return _cached(voice, cache, lambda fresh: _download(voice, store, fresh))


def keep(file: VoiceFile, voice: Voice, cache: Path) -> Path:
    """Do as `fetch` with a voice of this host, pinned, which need not be in the store.

    Raises:
        Unavailable: its files changed meanwhile.
        StoreUnavailable: the disk of the cache.
    """

    def copy(fresh: Path) -> None:
        for path in {*file.files.values()}:
            with mapped("copy", path):
                shutil.copy(path, fresh / path.name)  # and who may read it
        if not _whole(voice, fresh):
            raise Unavailable(f"the files of voice {voice.id!r} changed while they were copied")

    return _cached(voice, cache, copy)


def refuse_revoked(voice: Voice, store: Store) -> None:
    """Raise `UnknownVoice` where nothing may be spoken with a voice any more."""
    if store.exists(revocation(voice.id)):
        raise UnknownVoice(f"voice {voice.id!r} was revoked: choose another", value=voice.id)


def revocation(voice: str) -> str:
    """Key of the note that a voice is revoked, which stands for ever."""
    return f"{prefix(voice)}revoked.json"


def prefix(voice: str) -> str:
    """What the keys of everything stored of a voice begin with."""
    return f"voices/{check_id(voice, 'voice')}/"


def erase(voice: str, store: Store) -> int:
    """Remove all of a voice from the store but the note that it is revoked; return how many."""
    found = [key for key in store.list(prefix(voice)) if key != revocation(voice)]
    for key in found:
        store.delete(key)
    return len(found)


def forget(voice: str, cache: Path) -> bool:
    """Remove all of a voice from a host's cache; return whether something was there."""
    folder = cache / check_id(voice, "voice")
    if not folder.is_dir():
        return False
    with mapped("remove", folder):
        while folder.is_dir():
            with suppress(FileNotFoundError):  # another process removes it, too
                shutil.rmtree(folder)
    return True


def sweep(store: Store, cache: Path) -> list[str]:
    """Remove the revoked voices from a host's cache; return their ids."""
    there = sorted(path.name for path in cache.iterdir()) if cache.is_dir() else []
    revoked = [each for each in there if ID.fullmatch(each) and store.exists(revocation(each))]
    return [each for each in revoked if forget(each, cache)]


def _key(voice: Voice, name: str) -> str:
    return f"{prefix(voice.id)}{voice.digest}/{name}"


def _cached(voice: Voice, cache: Path, fill: Callable[[Path], object]) -> Path:
    """Return a voice's folder below `cache`; where it is not whole, a filled one is put there."""
    folder = cache / check_id(voice.id, "voice") / check_id(voice.digest, "digest")
    if _whole(voice, folder):
        return folder
    with mapped("write", folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clear(folder.parent)
        fresh = Path(tempfile.mkdtemp(prefix=_FRESH, dir=folder.parent))
    try:
        fill(fresh)
        with mapped("write", folder):
            _move_in(voice, fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _clear(folder: Path) -> None:
    """Remove what processes left that were killed while they filled a folder."""
    for left in folder.glob(f"{_FRESH}*"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _LEFT_S:
                shutil.rmtree(left, ignore_errors=True)


def _download(voice: Voice, store: Store, folder: Path) -> None:
    for name in voice.files.values():
        if "/" in check_key(name):
            raise EngineError(f"voice {voice.id!r} names a file {name!r} in another folder")
        try:
            store.get_file(_key(voice, name), folder / name)
        except NotFound as error:
            raise EngineError(
                f"voice {voice.id!r} {voice.digest[:12]} is not in the store: publish it again"
            ) from error
    if not _whole(voice, folder):
        raise EngineError(
            f"voice {voice.id!r} in the store is not what its digest {voice.digest[:12]} says: "
            "delete it there and publish it again"
        )


def _whole(voice: Voice, folder: Path) -> bool:
    """Whether a folder holds exactly the content that a voice's digest names."""
    paths = {role: folder / name for role, name in voice.files.items()}
    if not folder.is_dir() or not all(path.is_file() for path in paths.values()):
        return False
    return content_digest(voice.engine, voice.parameters, paths) == voice.digest


def _move_in(voice: Voice, fresh: Path, folder: Path) -> None:
    """Give a verified folder its name, unless another process was first and did it well."""
    fresh.chmod(0o755)
    for _ in range(2):
        try:
            fresh.rename(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if _whole(voice, folder):
                return
            shutil.rmtree(folder, ignore_errors=True)
        else:
            return
