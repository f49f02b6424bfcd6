"""The Celery app: its settings, and how a unit of work becomes a message."""

from __future__ import annotations

import re
from collections.abc import Callable

from celery import Celery
from kombu.exceptions import OperationalError

from farm.calibration import Budgets
from farm.config import Settings
from farm.errors import LedgerUnavailable
from farm.farm import HARD_LIMIT_S, Farm
from farm.ledger import Ledger, Ref
from farm.models import Models
from farm.slots import CPU, Slot
from farm.storage import open_store
from farm.tasks import messages

#: Seconds before Redis hands an unacknowledged message to another worker: several times the
#: longest unit. The ledger's leases bring work back long before; this is the second net.
VISIBILITY_S = 4 * int(HARD_LIMIT_S)
TASK_NAMES = {
    "read": "farm.read",
    "page": "farm.plan",
    "chunk": "farm.synthesize",
    "items": "farm.assemble",
    "package": "farm.package",
}


def create_celery(settings: Settings, *, results: bool = False) -> Celery:
    """Make the app. Nothing connects before the first message.

    With `results` it writes and reads those of tasks. Whoever only sends does without: he would
    subscribe to that of each message, and keep 350 bytes of it for ever.
    """
    # Celery has a name of its own for a Redis on a Unix socket.
    url = re.sub("^unix:", "redis+socket:", settings.broker_url.get_secret_value())
    transport = {
        "visibility_timeout": VISIBILITY_S,
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 30,
        "queue_order_strategy": "farm.tasks.order:NowFirst",
    }
    app = Celery(
        "farm", broker=url, backend=url if results else "disabled://", set_as_current=False
    )
    app.conf.update(
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        task_reject_on_worker_lost=False,  # the ledger's lease brings the work back, counted
        task_acks_on_failure_or_timeout=True,
        task_time_limit=int(HARD_LIMIT_S) + 60,
        task_track_started=True,
        task_send_sent_event=True,
        worker_send_task_events=True,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_soft_shutdown_timeout=10.0,
        worker_hijack_root_logger=False,
        worker_max_tasks_per_child=None,
        worker_max_memory_per_child=settings.most_bytes >> 10,
        visibility_timeout=VISIBILITY_S,
        broker_transport_options=transport,
        result_backend_transport_options=transport,
        broker_connection_retry_on_startup=True,
        redis_socket_timeout=30,
        redis_socket_keepalive=not url.startswith("redis+socket:"),  # refused there
        redis_backend_health_check_interval=30,
        result_expires=settings.result_expires_s,
    )
    return app


def create_farm(settings: Settings, app: Celery, slot: Slot = CPU) -> Farm:
    """Make one process's hold on the farm. Nothing connects before the first call."""
    store = open_store(
        settings.store,
        endpoint_url=settings.s3_endpoint_url,
        region=settings.s3_region,
        public_url=settings.s3_public_url,
    )
    ledger = Ledger(settings.broker_url.get_secret_value())
    calibrated = settings.calibrates(slot.device)
    return Farm(
        store,
        ledger,
        settings.cache / "voices",
        _sender(app),
        id=settings.id,
        slot=slot,
        engines=Models(settings.model_bytes),
        budgets=Budgets(settings.cache / "budgets", slot.card) if calibrated else None,
    )


def _sender(app: Celery) -> Callable[[Ref, str], None]:
    def send(ref: Ref, label: str) -> None:
        """Put a unit's message into its queue; its arguments are for people, but for `ref`."""
        arguments = messages.arguments(ref, label)
        name, said = TASK_NAMES[ref.stage], f"job {ref.job}: {label}"
        try:
            app.send_task(name, kwargs=arguments, queue=ref.queue, argsrepr="", kwargsrepr=said)
        except (OperationalError, OSError) as error:
            raise LedgerUnavailable(f"cannot send {ref}: {error}") from error

    return send
