"""The Piper family's app, for those who run Celery themselves."""

from farm.config import read_settings
from farm.tasks import create_celery

app = create_celery(read_settings())
