"""The error tree: what to do about a failure follows from its branch.

    FarmError
    ├── JobError            the caller's fault: HTTP 4xx, never retried
    │   ├── InvalidInput    a document, a line or a text that cannot be read
    │   ├── UnknownVoice    no such voice, or it does not speak the language
    │   ├── NotFound        no such job, object or file
    │   └── Conflict        not possible in the present state
    ├── EngineError         this segment cannot be spoken; its neighbours can
    │   └── EngineFailed    for the engine raised what nobody foresaw
    └── Unavailable         the world's fault: retried with backoff, HTTP 503
        ├── TooNew          a newer farm's work
        ├── StoreUnavailable
        │   └── Damaged     an object is not what was put there, however often it is read
        ├── LedgerUnavailable
        ├── OutOfMemory     the batch did not fit; the caller may halve it
        └── DeviceLost      the device is of no use to this process any more

Vendor errors are mapped to this tree once, where the vendor is called.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class FarmError(Exception):
    """The root of everything the farm raises on purpose; its text is one line for a person."""


class JobError(FarmError):
    """The caller's fault. Never retried.

    Where one field of a request is to blame, `field` is its name; `value` is what it was, `valid`
    what it may be, where that can be told.
    """

    def __init__(
        self, said: str, *, field: str = "", value: object = None, valid: object = None
    ) -> None:
        """Say it in one line, and what it is about."""
        super().__init__(said)
        self.field, self.value, self.valid = field, value, valid


@contextmanager
def blaming(field: str, value: object = None) -> Iterator[None]:
    """Have a caller's error that is raised in the block name this field, if it names none.

    Without a value it keeps its own.
    """
    try:
        yield
    except JobError as error:
        if not error.field:
            error.field = field
            error.value = error.value if value is None else value
        raise


class InvalidInput(JobError):
    """A document, a line or a text cannot be read."""


class UnknownVoice(JobError):
    """There is no such voice, or it does not speak the language."""


class NotFound(JobError):
    """There is no such job, object or file."""


class Conflict(JobError):
    """The request does not fit the present state."""


class EngineError(FarmError):
    """This segment cannot be spoken. Recorded with its text; never fails its neighbours."""


class EngineFailed(EngineError):
    """The engine raised what nobody foresaw: its cause says what and where."""


class Unavailable(FarmError):
    """The world's fault: a service, a device or a disk. Retried with backoff and a cap."""


class TooNew(Unavailable):
    """A newer farm's work; one of its workers does it."""


class StoreUnavailable(Unavailable):
    """The object store did not answer, refused, or is full."""


class Damaged(StoreUnavailable):
    """An object is not what was put there, however often it is read: `key` says which."""

    def __init__(self, key: str, reason: str) -> None:
        """Name the object, and say what is wrong with it."""
        super().__init__(f"{key!r} in the store is damaged: {reason}")
        self.key = key


class LedgerUnavailable(Unavailable):
    """Redis did not answer, or refused to write."""


class OutOfMemory(Unavailable):
    """The batch did not fit on the device; the caller may halve it."""


class DeviceLost(Unavailable):
    """The device failed, and with it everything this process has on it: the process must end."""
