"""The hub of models: what a repository holds, and its files, through `huggingface_hub`.

The library's own settings decide: `HF_ENDPOINT` (a mirror), `HF_HUB_OFFLINE` (only what was
downloaded before), `HF_HOME`, `HF_TOKEN`, `HF_HUB_DISABLE_PROGRESS_BARS`. Downloads that broke off
are resumed; files stay in its cache, from which several homes of a farm are served.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from farm.errors import FarmError, InvalidInput, NotFound, Unavailable
from farm.voices.pinning import sha256

#: `owner/name`, perhaps a folder in it, perhaps a revision.
_ADDRESS = re.compile(r"([\w.-]+/[\w.-]+)((?:/[\w.+-]+)*)(?:@([\w./-]+))?", re.ASCII)


@dataclass(frozen=True)
class Address:
    """Where in the hub something is."""

    repo: str
    """`owner/name`."""
    folder: str = ""
    """Empty: the whole repository."""
    revision: str = "main"
    """A branch, a tag or a commit."""

    def __str__(self) -> str:
        """Write it as it is given on the command line."""
        return "/".join(filter(None, [self.repo, self.folder])) + f"@{self.revision}"


@dataclass(frozen=True)
class Listing:
    """What a folder of a repository holds, and the folders below it."""

    address: Address
    commit: str
    """What its revision was when it was listed."""
    files: Mapping[str, str]
    """Path in the repository to its SHA-256, empty where the hub does not say."""

    @property
    def pinned(self) -> Address:
        """The same for ever."""
        return replace(self.address, revision=self.commit)


def address(text: str) -> Address:
    """Read `owner/name[/folder][@revision]`.

    Raises:
        InvalidInput: it is not written so.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or ".." in text:
        raise InvalidInput(f"{text!r} is no repository: give owner/name[/folder][@revision]")
    repo, folder, revision = match.groups()
    return Address(repo, folder.strip("/"), revision or "main")


def listing(where: Address) -> Listing:
    """List a folder of a repository; offline, as much of it as was downloaded before.

    Raises:
        NotFound: there is no such repository, revision or folder, or it is not public; or offline
            nothing of it is here.
        Unavailable: the hub does not answer.
    """
    # Imported here, because the other commands need no hub and start sooner without it.
    from huggingface_hub import HfApi, RepoFile, constants

    if constants.HF_HUB_OFFLINE:
        return _cached(where)
    with mapped(where):
        hub = HfApi()
        commit = hub.model_info(where.repo, revision=where.revision).sha or where.revision
        found = hub.list_repo_tree(
            where.repo, where.folder or None, recursive=True, revision=commit
        )
        files = {
            entry.path: entry.lfs.sha256 if entry.lfs else ""
            for entry in found
            if isinstance(entry, RepoFile)
        }
    return Listing(where, commit, files)


def _cached(where: Address) -> Listing:
    from huggingface_hub import snapshot_download

    with mapped(where):
        folder = Path(snapshot_download(where.repo, revision=where.revision, local_files_only=True))
    below = folder / where.folder
    files = {str(path.relative_to(folder)): "" for path in below.rglob("*") if path.is_file()}
    if not files:
        raise NotFound(f"offline, and nothing of {str(where)!r} was downloaded before")
    return Listing(where, folder.name, files)


def download(where: Listing, name: str) -> Path:
    """Return a file of a listing in the hub's cache, downloaded if need be, and verified.

    Raises:
        NotFound: there is no such file; or offline it is not here.
        Unavailable: the hub does not answer, or sent something else than it listed.
    """
    from huggingface_hub import hf_hub_download

    address = where.address
    with mapped(address):
        path = Path(hf_hub_download(address.repo, name, revision=address.revision))
    if where.commit not in path.parts:
        raise Unavailable(f"{str(address)!r} changed while it was downloaded: try again")
    wanted, found = where.files.get(name, ""), sha256(path)
    if wanted and found != wanted:
        path.resolve().unlink()  # or it would be taken for good the next time
        raise Unavailable(
            f"{name!r} of {str(address)!r} arrived with the SHA-256 {found}, "
            f"but the hub lists {wanted}: try again"
        )
    return path


def licence(where: Listing) -> str:
    """Return the licence that a repository's card states; empty: it states none.

    Raises:
        Unavailable: the hub does not answer.
    """
    from huggingface_hub.repocard import metadata_load

    try:
        card = download(where, "README.md")
    except NotFound:
        return ""
    # Any: a card holds what its author wrote.
    stated: dict[str, Any] = metadata_load(card) or {}
    return str(stated.get("license_name") or stated.get("license") or "")


@contextmanager
def mapped(where: Address) -> Iterator[None]:
    """Turn the hub's errors into the farm's.

    Raises:
        NotFound: there is no such thing in the hub, or it is not public.
        Unavailable: the hub does not answer.
    """
    import httpx2
    from huggingface_hub import constants, errors

    what = repr(str(where))
    try:
        yield
    except FarmError:
        raise
    except errors.GatedRepoError as error:
        mend = "accept its terms in a browser, then set HF_TOKEN"
        raise NotFound(f"{what} is not open to everybody: {mend}") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        if constants.HF_HUB_OFFLINE:
            raise NotFound(f"offline, and {what} was not downloaded before") from error
        raise Unavailable(f"the hub, for {what}: {_line(error)}") from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise NotFound(f"no repository {what} in the hub, or it is not public") from error
    except errors.EntryNotFoundError as error:
        raise NotFound(f"{what}: {_line(error)}") from error
    except errors.HFValidationError as error:
        raise InvalidInput(f"{what}: {_line(error)}") from error
    except (httpx2.HTTPError, OSError) as error:
        raise Unavailable(f"the hub, for {what}: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
