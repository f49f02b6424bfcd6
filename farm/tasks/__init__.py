"""The only home of Celery: an app, a sender and one task per stage, each a thin skin.

`app` is all that a client loads; `worker` loads the stages too.
"""
