"""The only home of Celery: an app, a sender and one task per stage, each a thin skin."""

from farm.tasks.app import create_celery, create_farm
from farm.tasks.worker import run_worker

__all__ = ["create_celery", "create_farm", "run_worker"]
