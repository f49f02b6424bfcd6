"""Where everything is in the object store.

    open/<job>~<n>                               revision n is unfinished
    names/<owner>/<name>                         the job that an owner calls so; holds its id
    index/<owner>/<time>-<job>                   an owner's jobs; the newest sort first
    due/<time>-<job>                             when a job expires, or is deleted
    jobs/<job>/spec.json                         the job as accepted, voices pinned
    jobs/<job>/input/<name>                      the text, lines or document; its lexicons, cover
    jobs/<job>/current                           the latest revision
    jobs/<job>/rev/<n>/cancel, .../pause         what its owner asked for
    jobs/<job>/rev/<n>/edits.json                segments that it speaks otherwise
    jobs/<job>/rev/<n>/plan/source/00000.json    a page's passages
    jobs/<job>/rev/<n>/plan/pages/00000.json     a page's parts: what is spoken, in order
    jobs/<job>/rev/<n>/plan/<family>/00000.jsonl a page's chunks, one a line
    jobs/<job>/rev/<n>/plan/about.json           title, author, cover; written first
    jobs/<job>/rev/<n>/plan/head.json            numbers of pages and items; written last
    jobs/<job>/rev/<n>/attempt/<id>/...          items, the package
    jobs/<job>/rev/<n>/attempt/<id>/runs/<first item>-<last item>.jsonl
    jobs/<job>/rev/<n>/manifest.json             every output with sha256 and length
    jobs/<job>/rev/<n>/failures.jsonl            what could not be spoken
    jobs/<job>/rev/<n>/status.json               the terminal record
    segments/<scope>/<voice digest>/<aa>/<digest>.flac
    voices/<voice>/<digest>/<file>               a voice's files; voice.json there is written last
    voices/<voice>/revoked.json                  nothing more is spoken with it; stands for ever

Ids in keys are checked by `farm.jobs.check_id` where they enter the farm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

OPEN = "open/"
DUE = "due/"
SEGMENTS = "segments/"

#: Milliseconds that no job is ever accepted at: times are counted down from it in the index.
_LAST_MS = 10**13 - 1


def open_marker(job: str, rev: int) -> str:
    """Say that a job's revision is unfinished."""
    return f"{OPEN}{job}~{rev}"


def opened(key: str) -> tuple[str, int]:
    """Return the job and the revision that a marker is about."""
    job, _, rev = key.removeprefix(OPEN).rpartition("~")
    return job, int(rev)


def name(owner: str, called: str) -> str:
    """Key of the id of the job that an owner calls so."""
    return f"names/{owner}/{called}"


def called(job: str) -> str:
    """Return what the owner of a job calls it: ids are `[<owner>~]<name>~<nonce>`, or the name."""
    return job.split("~")[-2] if "~" in job else job


def index(owner: str, created: float = 0.0, job_id: str = "") -> str:
    """List an owner's jobs, the newest first; without a job: what they all begin with."""
    begins = f"index/{owner}/"
    return f"{begins}{_LAST_MS - round(created * 1000):013d}-{job_id}" if job_id else begins


def indexed(key: str) -> str:
    """Name the job that a key of an index is about."""
    return key.rpartition("/")[2][14:]


def due(at: float, job_id: str = "") -> str:
    """Say that something is to be done about a job at a time (Unix seconds), or just after it."""
    return f"{DUE}{math.ceil(at):012d}-{job_id}"


def job(job: str, *steps: str) -> str:
    """Key of something that all revisions of a job share."""
    return "/".join(("jobs", job, *steps))


def spec(job_id: str) -> str:
    """Key of the job as accepted."""
    return job(job_id, "spec.json")


def revision(job_id: str, rev: int, *steps: str) -> str:
    """Key of something of one revision."""
    return job(job_id, "rev", str(rev), *steps)


def edits(job_id: str, rev: int) -> str:
    """Key of the wishes about single segments that a revision is planned with."""
    return revision(job_id, rev, "edits.json")


def plan(job_id: str, rev: int, kind: str, page: int) -> str:
    """Key of a page of the plan: `source`, `pages`, or a family's chunks."""
    suffix = "json" if kind in ("source", "pages") else "jsonl"
    return revision(job_id, rev, "plan", kind, f"{page:05d}.{suffix}")


def about(job_id: str, rev: int) -> str:
    """Key of what the document says of itself."""
    return revision(job_id, rev, "plan", "about.json")


def head(job_id: str, rev: int) -> str:
    """Key of the plan's head."""
    return revision(job_id, rev, "plan", "head.json")


def attempt(job_id: str, rev: int, attempt_id: str, *steps: str) -> str:
    """Key of something that one life of a revision made."""
    return revision(job_id, rev, "attempt", attempt_id, *steps)


def run(items: Sequence[int]) -> str:
    """Name, within an attempt, the record of what was made of some items."""
    return f"runs/{min(items):06d}-{max(items):06d}.jsonl"


def run_span(key: str) -> range:
    """Return what a record of a run may be about: items from its first to its last."""
    first, _, last = key.rpartition("/")[2].removesuffix(".jsonl").partition("-")
    return range(int(first), int(last) + 1)


def manifest(job_id: str, rev: int) -> str:
    """Key of the list of a revision's outputs."""
    return revision(job_id, rev, "manifest.json")


def status(job_id: str, rev: int) -> str:
    """Key of a revision's terminal record."""
    return revision(job_id, rev, "status.json")


def spoken(scope: str, voice_digest: str) -> str:
    """What the keys of everything begin with that was spoken with a voice."""
    return f"{SEGMENTS}{scope}/{voice_digest}/"


def segment(scope: str, voice_digest: str, digest: str) -> str:
    """Key of a segment's audio."""
    return f"{spoken(scope, voice_digest)}{digest[:2]}/{digest}.flac"
