"""Workers as Celery apps: `celery -A workers.piper worker` is `farm worker --family piper`."""
