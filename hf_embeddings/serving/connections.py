"""Connections that no client can block: a bounded number, each with a bounded time; on IPv4 and IPv6.

A connection waits while its request has not arrived as a whole up to the end of its headers, and between two requests.
Waiting ones are closed when their time is up and, the oldest first, when there are too many.
"""

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from hf_embeddings.serving.limits import Limits


class Room:
    """The connections of a server."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.open: set[Connection] = set()
        self.waiting: dict[Connection, None] = {}  # the one that waits longest first

    def enter(self, connection: "Connection") -> bool:
        """Make room for a connection; False where all others are being answered."""
        self.open.add(connection)
        if len(self.open) > self.limits.connections:
            if not self.waiting:
                return False
            next(iter(self.waiting)).drop()
        return True

    def leave(self, connection: "Connection") -> None:
        """Forget a connection."""
        self.open.discard(connection)
        self.waiting.pop(connection, None)


class Connection(H11Protocol):
    """A connection of uvicorn with a time for each thing that it waits for."""

    def __init__(self, *arguments: Any, room: Room, **options: Any) -> None:  # noqa: ANN401  those of uvicorn
        super().__init__(*arguments, **options)
        self._room = room
        self._timer: asyncio.TimerHandle | None = None
        self._bytes = 0  # since it waits
        self._unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        if self._room.enter(self):
            self._note()
        else:
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._room.leave(self)
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; what has no end of its headers within bounds is closed."""
        self._bytes += len(data)
        super().data_received(data)
        self._note()
        if self in self._room.waiting and self._bytes > self._room.limits.header_bytes:
            self.drop()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._note()

    def pause_writing(self) -> None:
        """Give a client who does not take its answer some time."""
        super().pause_writing()
        self._start_timer()

    def resume_writing(self) -> None:
        """Go on: the client takes its answer."""
        super().resume_writing()
        if self not in self._room.waiting:
            self._stop_timer()

    def drop(self) -> None:
        """Close it now, whatever is under way."""
        self._room.leave(self)
        self._stop_timer()
        self.transport.abort()

    def _note(self) -> None:
        """Take note of whether it waits for its client."""
        if self.transport.is_closing():
            return
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering:
            self._bytes = 0
            if self._room.waiting.pop(self, self) is None:
                self._stop_timer()
        elif self not in self._room.waiting:
            self._room.waiting[self] = None
            self._start_timer()

    def _start_timer(self) -> None:
        self._stop_timer()
        self._unsent = self.transport.get_write_buffer_size()
        self._timer = self.loop.call_later(self._room.limits.idle_seconds, self._expire)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        """Close it, unless its client is still taking an answer."""
        unsent = self.transport.get_write_buffer_size()
        if 0 < unsent < self._unsent:
            self._start_timer()
        elif unsent:
            self.drop()
        else:
            self.transport.close()


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens: on an address of IPv4 or IPv6, or a name; port 0 takes a free one.

    Raises:
        OSError: the address is taken, or not this machine's.
    """
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A name such as localhost has addresses of both kinds: that of IPv4 is the one that all clients try.
    family, _, _, _, address = min(addresses, key=lambda entry: entry[0] != socket.AF_INET)
    is_dual = address[0] == "::" and socket.has_dualstack_ipv6()  # all interfaces: those of IPv4, too
    made = socket.create_server(address[:2], family=family, backlog=1024, dualstack_ipv6=is_dual)
    # Named as TCP, or asyncio does not switch Nagle's algorithm off, which holds each answer back for 40 ms.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=made.detach())


def host_of(header: str) -> str:
    """Return the host in a Host header, without its port: `[::1]:8765` is of `::1`."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()
