"""Who is let in: the host that was asked for, and the key. And what every request leaves behind: a count, a line.

A page elsewhere cannot reach the server through its reader's browser: not by giving its own name this address, as the
host is compared; not by a form, as bodies must be application/json; and no other origin is allowed unless named.
"""

import base64
import binascii
import hmac
import time
from collections.abc import Callable, Collection, Sequence

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hf_embeddings.serving.connections import host_of
from hf_embeddings.serving.metrics import Metrics
from hf_embeddings.serving.refusal import Refusal

ANYWHERE = {"0.0.0.0", "::"}
OPEN_PATHS = ("/health",)  # without a key: what watches a service has none
Tell = Callable[[dict[str, object]], None]


class Guard:
    """The outermost application."""

    def __init__(
        self, app: ASGIApp, *, names: Collection[str], keys: Sequence[str], metrics: Metrics, tell: Tell
    ) -> None:
        """Wrap an application.

        Args:
            app: what answers.
            names: hosts that are served; any, where one of them stands for all addresses.
            keys: of which a request needs one; none: it needs none.
            metrics: where requests are counted.
            tell: takes what there is to say of each request, without what was asked.
        """
        self.app, self.metrics, self.tell = app, metrics, tell
        self._names = None if ANYWHERE & set(names) else set(names)
        self._keys = [key.encode() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        began, status = time.perf_counter(), 499  # of a client that has left, before there is an answer

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-content-type-options", b"nosniff")]
            await send(message)

        try:
            self._check(scope)
        except Refusal as refusal:
            await JSONResponse(refusal.body(), refusal.status, refusal.headers)(scope, receive, sending)
        else:
            await self.app(scope, receive, sending)
        state, seconds = scope.get("state", {}), time.perf_counter() - began
        route, tokens = state.get("route", "other"), state.get("tokens", 0)
        self.metrics.count(route, status, seconds, tokens)
        line = {"method": scope["method"], "route": route, "status": status, "seconds": round(seconds, 4)}
        self.tell({**line, "tokens": tokens})

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = host_of(headers.get("host", ""))
        if self._names is not None and host not in self._names:
            raise Refusal(f"host {host!r:.60}: not served here", status=403)
        is_preflight = scope["method"] == "OPTIONS"  # which browsers send without a key; it has no answer but headers
        if not self._keys or is_preflight or scope["path"] in OPEN_PATHS:
            return
        given = key_of(headers.get("authorization", ""))
        if not any([hmac.compare_digest(given, key) for key in self._keys]):  # a list: all are compared, in equal time
            raise Refusal(
                "no such API key, expected one as Authorization: Bearer KEY",
                status=401,
                code="invalid_api_key",
                headers={"WWW-Authenticate": 'Basic realm="hf-embeddings"'},  # so that a browser asks for it
            )


def key_of(header: str) -> bytes:
    """Return the key in an Authorization header: `Bearer KEY`, or as a browser sends it, the password of `Basic`."""
    kind, _, value = header.partition(" ")
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return value.strip().encode("utf-8", "surrogateescape") if kind.lower() == "bearer" else b""
