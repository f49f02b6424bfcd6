"""Where an address of a client leads, and whether the farm may go there."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from farm.errors import InvalidInput, Unavailable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Gives the numeric addresses of a host and port, best first; `OSError`, `ValueError`: none.
Lookup = Callable[[str, int], list[str]]

#: Characters of an address.
URL_CHARACTERS = 2_000

_PORTS = {"http": 80, "https": 443}
#: The resolver did not answer, which says nothing about the name.
_NOT_NOW = (socket.EAI_AGAIN, socket.EAI_FAIL)

#: Where IPv6 of the public network is; mapped, translated (NAT64) and local forms lie elsewhere.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
#: What `is_global` of Python 3.11 takes for public, or what leads on to an address within.
_SPECIAL: tuple[Network, ...] = (
    ipaddress.IPv4Network("168.63.129.16/32"),  # Azure's own, reached by its machines only
    ipaddress.IPv4Network("192.0.0.0/24"),  # protocol assignments; metadata of Oracle's cloud
    ipaddress.IPv4Network("192.88.99.0/24"),  # 6to4 relays
    ipaddress.IPv6Network("2001::/23"),  # protocol assignments, Teredo
    ipaddress.IPv6Network("2002::/16"),  # 6to4: an IPv4 address inside
    ipaddress.IPv6Network("3fff::/20"),  # documentation
)


@dataclass(frozen=True)
class Target:
    """An address that was checked, and where it leads."""

    scheme: str
    host: str
    """A name, or an IP address without brackets."""
    port: int
    path: str
    """With the query."""
    addresses: tuple[str, ...]

    @property
    def authority(self) -> str:
        """The host, and the port where it is not the usual one (`Host`, RFC 9110)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole address, without a fragment."""
        return f"{self.scheme}://{self.authority}{self.path}"


def look_up(host: str, port: int) -> list[str]:
    """Return the numeric addresses of a host, best first, as the system resolves it.

    Raises:
        OSError, ValueError: it does not.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in found))


def reach(url: str, allowed: Iterable[Network], look_up: Lookup) -> Target:
    """Look up where an address leads, and refuse what is neither public nor allowed.

    Raises:
        InvalidInput: it is no address of http or https, has a password, no such host, or leads
            to a place that is not public.
        Unavailable: the name cannot be looked up just now.
    """
    scheme, host, port, path = _parts(url)
    target = Target(scheme, host, port, path, ())
    try:
        found = look_up(host, port)
    except (OSError, ValueError) as error:
        if isinstance(error, socket.gaierror) and error.errno in _NOT_NOW:
            raise Unavailable(f"{host!r} cannot be looked up just now") from error
        raise InvalidInput(f"{host!r}: there is no such host") from error
    within = [ipaddress.ip_address(text) for text in found]
    if not found or not all(
        public(address) or any(address in network for network in allowed) for address in within
    ):
        # Which address it is would tell a client what names mean within.
        raise InvalidInput(
            f"{target.authority!r} leads to an address that is not public; where it is meant to, "
            "the operator allows its network in FARM_WEBHOOK_NETWORKS"
        )
    return replace(target, addresses=tuple(found))


def public(address: Address) -> bool:
    """Whether an address belongs to one host of the public network (IANA's special registries)."""
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    special = any(address in network for network in _SPECIAL)
    return address.is_global and not address.is_multicast and not special


def _parts(url: str) -> tuple[str, str, int, str]:
    """Return scheme, host, port and path with query."""
    try:
        parts = parse_url(url[: URL_CHARACTERS + 1])
    except LocationParseError:
        parts = parse_url("")
    if parts.auth is not None:
        raise InvalidInput("an address with a user or a password in it is not taken")
    if parts.scheme not in _PORTS or not parts.host or len(url) > URL_CHARACTERS:
        shown = "" if "@" in url else f" {url[:200]!r}"  # before an '@' there may be a password
        raise InvalidInput(
            f"address{shown} is not valid: give one of http or https with a host, "
            f"{URL_CHARACTERS} characters at most"
        )
    host = parts.host.removeprefix("[").removesuffix("]")
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    return parts.scheme, host, port, parts.request_uri
