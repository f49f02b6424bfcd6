"""Workers as Celery apps: `celery -A workers.piper worker` is `farm worker --family piper`.

Devices and children are those of the settings: FARM_DEVICES, FARM_PER_DEVICE.
"""
