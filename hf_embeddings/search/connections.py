"""A small HTTP server that no client can block: a bounded number of connections, idle ones closed first; also IPv6."""

import socket
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any

MOST_CONNECTIONS = 200  # at once; one more closes the one that waits longest, however many files the system allows
IDLE_SECONDS = 10.0  # for the next bytes of a request, and for a client to take an answer


class BoundedServer(ThreadingHTTPServer):
    """A thread for each connection, and never more than `MOST_CONNECTIONS` of them."""

    daemon_threads = True
    request_queue_size = 128  # connections that the system keeps for a burst
    most_connections = MOST_CONNECTIONS

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        """Bind to a host: a name, or an address of IPv4 or IPv6; port 0 takes a free one.

        Raises:
            OSError: the address is taken, or not this machine's.
        """
        self._waiting: dict[Any, None] = {}  # sockets whose request is not read yet, the oldest first
        self._answering: dict[Any, None] = {}
        self._changing = Lock()
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # A name such as localhost has addresses of both kinds: that of IPv4 is the one that all clients try.
        self.address_family, *_, address = min(addresses, key=lambda entry: entry[0] != socket.AF_INET)
        super().__init__((str(address[0]), port), handler)
        self.host = f"[{host}]" if ":" in host else host
        self.url = f"http://{self.host}:{self.server_port}/"

    def server_bind(self) -> None:
        """Bind, to IPv4 and IPv6 where the address is that of all interfaces."""
        if self.server_address[0] == "::" and socket.has_dualstack_ipv6():
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  as socketserver has it
        """Make room, then start the thread of a connection."""
        with self._changing:
            if len(self._waiting) + len(self._answering) >= self.most_connections:
                oldest = next(iter(self._waiting or self._answering))
                with suppress(OSError):  # it has gone by itself
                    oldest.shutdown(socket.SHUT_RDWR)  # its thread reads the end of the request, and closes it
                self._forget(oldest)
            self._waiting[request] = None
        super().process_request(request, client_address)

    def answering(self, request: Any) -> None:  # noqa: ANN401
        """Take note that the request of a connection has arrived."""
        with self._changing:
            if request in self._waiting:
                self._forget(request)
                self._answering[request] = None

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        """Close a connection."""
        with self._changing:
            self._forget(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Say nothing of clients that left; anything else is our own fault, and is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def _forget(self, request: Any) -> None:  # noqa: ANN401
        self._waiting.pop(request, None)
        self._answering.pop(request, None)


def host_of(header: str) -> str:
    """Return the host in a Host header, without its port: `[::1]:8765` is of `::1`."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower()
