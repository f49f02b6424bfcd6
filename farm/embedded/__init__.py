"""The farm on one machine: Redis, control, workers, the API and Flower as supervised children.

    server.py       the Redis server of a home
    supervisor.py   starts the children, and again those that die
    joining.py      how commands find a running farm, or start one

The supervisor is a process of its own, so that commands can come and go: it lives as long as any
command holds a share of `clients.lock` (a lock dies with its process, however that ends), or
until it is told to stop. One supervisor per home folder, by `supervisor.lock`; a second command
joins the running farm through `connection.json`.
"""

from farm.embedded.joining import connected, held, stays
from farm.embedded.server import START_S, redis_executable
from farm.embedded.supervisor import Supervisor

__all__ = ["START_S", "Supervisor", "connected", "held", "redis_executable", "stays"]
