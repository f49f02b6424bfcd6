"""Ports that servers listen at."""

from __future__ import annotations

import ipaddress
import socket

from farm.errors import Conflict

#: The address that no other machine reaches.
LOOPBACK = "127.0.0.1"


def listen(host: str, port: int) -> socket.socket:
    """Take a port before anything is loaded; 0: a free one.

    Raises:
        Conflict: another process has the port, or there is no such address here.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, address = found[0][0], found[0][4]
        return socket.create_server((str(address[0]), port), family=family)
    except OSError as error:
        raise Conflict(f"cannot listen at {host}:{port}: {error.strerror or error}") from error


def listen_near(port: int) -> socket.socket:
    """Take a port on loopback, or a free one where that is taken."""
    try:
        return listen(LOOPBACK, port)
    except Conflict:
        return listen(LOOPBACK, 0)


def url(taken: socket.socket) -> str:
    """Return the address of a server that listens there."""
    host, port = taken.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def on_loopback(taken: socket.socket) -> bool:
    """Whether only this machine reaches a port."""
    return ipaddress.ip_address(taken.getsockname()[0]).is_loopback
