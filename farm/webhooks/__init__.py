"""Tells receivers of the end of jobs: durable before the end is visible, signed, sent again.

    webhooks/<farm>/pending/<id>.json         a delivery that is still to be made
    webhooks/<farm>/dead/<owner>/<id>.json    one that was given up; `replay` makes it pending again
    jobs/<job>/rev/<n>/webhook                the revision's delivery was noted; goes with the job

The id is a function of the job's acceptance and of its end, so whoever notes an end again, after a
crash, notes the same delivery. A delivery leaves `pending` only after a receiver took it, or into
`dead`: it may be made twice, always with the same `webhook-id`, and is never lost.

Headers and signature: the Standard Webhooks specification, version 1, symmetric (HMAC-SHA256).
"""

from farm.webhooks.deliveries import Delivery, dead, forget, note, replay
from farm.webhooks.sending import Deliveries

__all__ = ["Deliveries", "Delivery", "dead", "forget", "note", "replay"]
