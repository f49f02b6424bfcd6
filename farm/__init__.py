"""A task-queue batch synthesis farm for speech."""

__version__ = "0.1.0"
