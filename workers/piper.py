"""The Piper family's app, for those who run Celery themselves."""

from farm.config import read_settings
from farm.tasks.worker import create_worker

app = create_worker(read_settings())
