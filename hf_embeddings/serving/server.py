"""A server: the socket, the event loop, and the end, after which no request is left without its answer."""

import asyncio
import contextlib
import functools
import signal
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

import uvicorn
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from hf_embeddings.serving.app import Answers, Served
from hf_embeddings.serving.connections import Connection, Room, listening_socket
from hf_embeddings.serving.guard import Guard, Tell
from hf_embeddings.serving.limits import Limits
from hf_embeddings.serving.metrics import Metrics

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def tell_nobody(facts: dict[str, object]) -> None:
    """Say nothing: what is asked for is nobody's business."""


class Server:
    """Serves a model or an index; `run()` blocks until `stop()` or a signal, `url` is where."""

    def __init__(
        self,
        served: Served,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: Limits | None = None,
        keys: Sequence[str] = (),
        origins: Sequence[str] = (),
        tell: Tell = tell_nobody,
        tell_error: Tell = tell_nobody,
    ) -> None:
        """Bind to a host, by default this machine's own, such as `::1` for its IPv6; port 0 takes a free one.

        Args:
            served: what it offers; `close` ends its threads.
            host: a name, or an address of IPv4 or IPv6.
            port: to listen on.
            limits: what it takes of its clients.
            keys: of which a request needs one; none: it needs none.
            origins: pages of other servers that may ask, such as `https://example.org`.
            tell: takes facts of each request.
            tell_error: takes facts of each fault.

        Raises:
            OSError: the address is taken or not this machine's.
        """
        host = host.strip("[]").lower()
        self.served, self.limits, self.metrics = served, limits or Limits(), Metrics()
        self.room = Room(self.limits)
        self.names = {host, *(LOOPBACK if host in LOOPBACK else ())}
        self.socket = listening_socket(host, port)
        self.port = int(self.socket.getsockname()[1])
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"
        app: ASGIApp = Answers(served, self.limits, self.metrics, tell_error).application()
        if origins:
            headers = ["Authorization", "Content-Type"]
            app = CORSMiddleware(app, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=headers)
        protocol: Any = functools.partial(Connection, room=self.room)  # uvicorn calls it, as a class
        config = uvicorn.Config(
            Guard(app, names=self.names, keys=keys, metrics=self.metrics, tell=tell),
            http=protocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_keep_alive=int(self.limits.idle_seconds) + 1,  # ours comes first
            timeout_graceful_shutdown=int(self.limits.stop_seconds),
        )
        self._uvicorn = _Quiet(config)

    def run(self) -> None:
        """Serve until told to stop; then answer the requests that have arrived."""
        asyncio.run(self._uvicorn.serve(sockets=[self.socket]))

    def stop(self) -> None:
        """Tell it to stop, from another thread."""
        self._uvicorn.should_exit = True

    def close(self) -> None:
        """Close the socket, and end the threads of the model."""
        self.socket.close()
        if self.served.searching:
            self.served.searching.close()
        self.served.engine.close()

    @contextlib.contextmanager
    def running(self) -> Iterator["Server"]:
        """Run in a thread while the block lasts."""
        thread = threading.Thread(target=self.run, name="server")
        thread.start()
        try:
            yield self
        finally:
            self.stop()
            thread.join()


class _Quiet(uvicorn.Server):
    """The server of uvicorn, which ends by a signal as a command that has done its work does."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at the first signal; leave at once at the second."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._stop) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.should_exit:
            raise KeyboardInterrupt
        self.should_exit = True
