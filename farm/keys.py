"""Where everything is in the object store.

    open/<job>                                   unfinished; holds the revision
    jobs/<job>/spec.json                         the job as accepted, voices pinned
    jobs/<job>/input/<name>                      the text, lines or document
    jobs/<job>/current                           the latest revision
    jobs/<job>/rev/<n>/cancel, .../pause         what its owner asked for
    jobs/<job>/rev/<n>/plan/source/00000.json    a page's passages
    jobs/<job>/rev/<n>/plan/pages/00000.json     a page's parts: what is spoken, in order
    jobs/<job>/rev/<n>/plan/<family>/00000.jsonl a page's chunks, one a line
    jobs/<job>/rev/<n>/plan/about.json           title, author, cover; written first
    jobs/<job>/rev/<n>/plan/head.json            numbers of pages and items; written last
    jobs/<job>/rev/<n>/attempt/<id>/...          items, records of runs, the package
    jobs/<job>/rev/<n>/manifest.json             every output with sha256 and length
    jobs/<job>/rev/<n>/failures.jsonl            what could not be spoken
    jobs/<job>/rev/<n>/status.json               the terminal record
    segments/<scope>/<voice digest>/<aa>/<digest>.flac
    voices/<voice>/<digest>/...                  see farm.voices

Ids in keys are checked by `farm.jobs.check_id` where they enter the farm.
"""

from __future__ import annotations

OPEN = "open/"


def open_marker(job: str) -> str:
    """Say that a job is unfinished."""
    return f"{OPEN}{job}"


def job(job: str, *steps: str) -> str:
    """Key of something that all revisions of a job share."""
    return "/".join(("jobs", job, *steps))


def spec(job_id: str) -> str:
    """Key of the job as accepted."""
    return job(job_id, "spec.json")


def revision(job_id: str, rev: int, *steps: str) -> str:
    """Key of something of one revision."""
    return job(job_id, "rev", str(rev), *steps)


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


def manifest(job_id: str, rev: int) -> str:
    """Key of the list of a revision's outputs."""
    return revision(job_id, rev, "manifest.json")


def status(job_id: str, rev: int) -> str:
    """Key of a revision's terminal record."""
    return revision(job_id, rev, "status.json")


def segment(scope: str, voice_digest: str, digest: str) -> str:
    """Key of a segment's audio."""
    return f"segments/{scope}/{voice_digest}/{digest[:2]}/{digest}.flac"
