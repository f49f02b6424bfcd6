"""The Piper family's app, for those who run Celery themselves."""

from farm.config import read_settings
from farm.tasks.worker import create_family

app = create_family(read_settings(), "piper")
