"""Single segments of a job spoken otherwise: other words, or another reading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from farm import contents, planning, reading, revising
from farm.errors import NotFound, blaming
from farm.farm import Farm
from farm.jobs import Edit, Spec


def edit(farm: Farm, spec: Spec, edits: Sequence[Edit]) -> int:
    """Run an ended job again with changes of single segments; return the new revision.

    Raises:
        NotFound: a segment that is meant is not in the job's plan.
        InvalidInput: a text cannot be spoken as one segment.
        Conflict: as `revising.retry`.
    """
    lexicons = reading.lexicons(farm.store, spec)
    for number, each in enumerate(edits):
        with blaming(f"edits.{number}"):
            rows = contents.segments(farm, spec.id, each.item)
            segment = _segment(rows, each.item, each.start)
            planning.check_edit(each, segment["language"], lexicons)
    return revising.retry(farm, spec.id, edits)


def retake(farm: Farm, spec: Spec, item: int, start: int) -> int:
    """Have one segment read once more, another way; return the new revision. Raises as `edit`."""
    with blaming("index", item):
        rows = contents.segments(farm, spec.id, item)
    with blaming("start", start):
        take = _segment(rows, item, start)["take"]
    return revising.retry(farm, spec.id, [Edit(item, start, take=take + 1)])


def _segment(rows: Iterable[contents.Record], item: int, start: int) -> contents.Record:
    segment = next((each for each in rows if each["start"] == start), None)
    if segment is None:
        raise NotFound(f"item {item} has no segment that begins at {start}")
    return segment
