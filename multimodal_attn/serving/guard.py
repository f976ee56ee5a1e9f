"""What every request passes before it is read: key, place, size and time."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Collection, MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from multimodal_attn.serving.limits import Limits
from multimodal_attn.serving.worker import OverloadedError, Worker


class Guard:
    """Refuses requests without the key, too many, too large, or too slow, in JSON that says what was expected.

    Args:
        app: that answers the others.
        worker: whose places are given away.
        limits: of size and time.
        key: that requests must have; None for none.
        decoding: paths that need a place.
        open_paths: that need no key.
    """

    def __init__(
        self,
        app: ASGIApp,
        worker: Worker,
        limits: Limits,
        key: str | None,
        decoding: Collection[str],
        open_paths: Collection[str],
    ) -> None:
        self.app, self.worker, self.limits = app, worker, limits
        self.key = None if key is None else key.encode()
        self.decoding, self.open_paths = frozenset(decoding), frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Of ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["path"] not in self.open_paths and not self._has_key(headers):
            response = _error(401, "no key, or another; expected the header Authorization: Bearer KEY")
            response.headers["WWW-Authenticate"] = "Bearer"
            await response(scope, receive, send)
        elif scope["path"] in self.decoding and scope["method"] == "POST":
            await self._decode(scope, receive, send, headers)
        else:
            await self.app(scope, _counted(receive, 0), send)  # nothing else takes a body

    def _has_key(self, headers: Headers) -> bool:
        if self.key is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # In a time that does not tell how much of it was right.
        right = hmac.compare_digest(given.strip().encode("latin-1", "replace"), self.key)
        return right and scheme.lower() == "bearer"

    async def _decode(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        told, most = headers.get("content-length", ""), self.limits.max_bytes
        if told.isdigit() and int(told) > most:
            await _error(413, _too_large(self.limits))(scope, receive, send)
            return
        begun = False

        async def noting(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            with self.worker.place():
                async with asyncio.timeout(self.limits.timeout_seconds):
                    await self.app(scope, _counted(receive, most, _too_large(self.limits)), noting)
        except OverloadedError as error:
            response = _error(503, str(error))
            response.headers["Retry-After"] = str(error.retry_seconds)
            await response(scope, receive, send)
        except TimeoutError:
            if begun:
                raise
            reason = f"no answer within {self.limits.timeout_seconds:g} s; expected fewer requests, or a smaller one"
            await _error(504, reason)(scope, receive, send)


def _counted(receive: Receive, most: int, reason: str = "expected no content") -> Receive:
    """Gives a request's content on, up to so many bytes, whatever its header says of its length."""
    total = 0

    async def counting() -> MutableMapping[str, Any]:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > most:
            raise HTTPException(413, reason)
        return message

    return counting


def _too_large(limits: Limits) -> str:
    return f"more than {limits.max_megabytes:g} MB; expected at most that"


def _error(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status)
