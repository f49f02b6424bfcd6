"""What all routes work with: the farm, the voices at hand, the keys."""

from __future__ import annotations

from farm import contents, lifecycle
from farm.access import KeyFile
from farm.config import Settings
from farm.contents import Record
from farm.errors import NotFound
from farm.farm import Farm
from farm.jobs import Spec
from farm.ledger.limits import Limits
from farm.studio import Studio
from farm.submission import inside, outside
from farm.tasks.app import create_celery, create_farm


class Service:
    """One API process's hold on a running farm. Nothing connects before the first request."""

    def __init__(self, settings: Settings, farm: Farm | None = None) -> None:
        """Serve the farm of these settings, by a hold on it that is there already or a new one."""
        self.settings = settings
        self.farm = farm or create_farm(settings, create_celery(settings))
        self.studio = Studio(settings, self.farm.store)
        self.keys = KeyFile(settings.keys_path)
        self.limits = Limits(self.farm.ledger)

    def job(self, owner: str, name: str, *, admin: bool = False) -> Spec:
        """Return a job by what its owner calls it; an admin may name anybody's as the farm does.

        Raises:
            NotFound: he has no such job; whether another has one is not told.
        """
        id_ = name if admin and "~" in name else inside(owner, name)
        try:
            spec = self.farm.spec(id_)
        except NotFound as error:
            raise NotFound(f"no job {name!r}") from error
        if spec.owner != owner and not admin:
            raise NotFound(f"no job {name!r}")
        return spec

    def record(self, spec: Spec) -> Record:
        """Return what clients are shown of a job."""
        found = contents.record(self.farm, spec.id)
        return {**found, "job": outside(spec.id)}

    def revision(self, spec: Spec) -> int:
        """Return a job's latest revision."""
        return lifecycle.current(self.farm, spec.id)
