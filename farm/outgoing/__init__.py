"""HTTP to addresses that clients give, and never to a place that only this machine can reach.

A client that may name an address could otherwise have the farm ask loopback, the private network
or a cloud's metadata service for it. So a host is looked up once, every address it has must be
public or in a network that the operator allows, and the connection goes to that very address: a
name that leads elsewhere at the second look (DNS rebinding) finds no second look. Redirects are
new addresses, checked anew. Proxies of the environment are not used: they would look up again.
"""

from farm.outgoing.client import Answer, Downloaded, Outgoing
from farm.outgoing.targets import Lookup, Network, Target, public

__all__ = [
    "Answer",
    "Downloaded",
    "Lookup",
    "Network",
    "Outgoing",
    "Target",
    "public",
]
