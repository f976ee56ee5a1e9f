"""How an application is served: where it listens, and how it ends."""

from __future__ import annotations

import signal
import socket
import sys
from ipaddress import ip_address
from types import FrameType
from typing import Any


def listening(host: str, port: int) -> socket.socket:
    """A socket at an address of this machine; port 0 for any that is free.

    Raises:
        ValueError: if nothing can listen there.
    """
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((str(place[0]), port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise ValueError(f"--host {host} --port {port}: {error}; expected a free address of this machine") from None


def address_of(host: str, listener: socket.socket) -> str:
    """What to open in a browser, without a slash at its end."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def warn_of_strangers(host: str, address: str, remedy: str) -> None:
    """Says so where others than this machine can reach an address that asks for no key."""
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        print(f"no key: whoever reaches {address} can use it; {remedy}", file=sys.stderr, flush=True)


def run(app: Any, listener: socket.socket, patience_seconds: int) -> None:
    """Serves until SIGTERM or Ctrl-C, answers what waits then, and returns.

    Args:
        app: of ASGI.
        listener: where requests come in.
        patience_seconds: with what waits at the end.
    """
    import uvicorn

    settings = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=patience_seconds
    )
    # At the first signal the server takes no more and ends what it has begun. It then raises the signal once more,
    # which would end the process as a failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _all_is_answered)
    uvicorn.Server(settings).run(sockets=[listener])


def _all_is_answered(number: int, frame: FrameType | None) -> None:
    """Leaves nothing to do."""
