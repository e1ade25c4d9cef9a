"""A local web page for an index: `/` the page, `/search?q=...` and `/map` what it asks for, as JSON.

The page and its program come from this process alone. Requests that name another host than the one served are refused:
a page elsewhere cannot reach the index through the reader's browser by giving its own name this address.
"""

from http.server import BaseHTTPRequestHandler
from importlib.resources import files
from threading import Lock
from urllib.parse import parse_qs, urlsplit

import numpy as np

from hf_embeddings.json_text import json_text
from hf_embeddings.search.connections import IDLE_SECONDS, BoundedServer, host_of
from hf_embeddings.search.corpus_map import draw_map
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.index import Index
from hf_embeddings.search.index_reader import Nearest
from hf_embeddings.search.records import Condition
from hf_embeddings.search.results import UNSPELLED, as_json

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'"
)
_MOST_RESULTS = 100


class SearchServer(BoundedServer):
    """Serves one index; `serve_forever()` runs it, `url` is where."""

    def __init__(
        self,
        index: Index,
        encoder: Encoder,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        nearest: Nearest | None = None,  # as in Index.search
    ) -> None:
        """Bind to a host, by default this machine's own, such as `::1` for its IPv6; port 0 takes a free one.

        Raises:
            OSError: the address is taken or not this machine's.
        """
        self.index, self.encoder, self.corpus_map, self.nearest = index, encoder, draw_map(index), nearest
        self.page = files("hf_embeddings.search").joinpath("page.html").read_bytes()
        self._encoding = Lock()  # a model is run by one thread at a time
        host = host.strip("[]").lower()
        super().__init__(host, port, _Handler)
        self.names = {host, *(LOOPBACK if host in LOOPBACK else ())}

    def search(self, query: str, k: int, where: list[str]) -> dict[str, object]:
        """Return results with their places on the map, and that of the query."""
        conditions = [Condition.parse(text) for text in where]
        with self._encoding:
            vector = self.encoder.encode([query], prompt="query")
            note = UNSPELLED if self.encoder.unknown([query]) else ""
        with self.index.reading():  # rows are of one state of the index
            (hits,) = self.index.search(vector, min(k, _MOST_RESULTS), conditions, nearest=self.nearest)
            vectors = self.index.vectors_of([hit.row for hit in hits])
        x, y = self.corpus_map.place(vector)[0]
        places = self.corpus_map.place(vectors) if hits else np.empty((0, 2))
        results = [hit | {"x": float(x), "y": float(y)} for hit, (x, y) in zip(as_json(hits), places, strict=True)]
        return {"query": query, "x": float(x), "y": float(y), "note": note, "results": results}


class _Handler(BaseHTTPRequestHandler):
    server: SearchServer
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        self.server.answering(self.connection)
        host = host_of(self.headers.get("Host", ""))
        if host not in self.server.names and not set(self.server.names) & {"0.0.0.0", "::"}:
            self._answer(403, {"error": f"host {host!r}: not served here"})
            return
        request = urlsplit(self.path)
        try:
            if request.path == "/":
                self._send(200, "text/html; charset=utf-8", self.server.page)
            elif request.path == "/map":
                self._answer(200, {"points": self.server.corpus_map.points, "passages": len(self.server.index)})
            elif request.path == "/search":
                parameters = parse_qs(request.query)
                query = parameters.get("q", [""])[0].strip()
                if not query:
                    raise ValueError("q: got no query, expected some words")
                k = parameters.get("k", ["10"])[0]
                if not k.isdecimal() or not int(k):
                    raise ValueError(f"k {k!r}: expected a whole number from 1 to {_MOST_RESULTS}")
                self._answer(
                    200, self.server.search(query, int(k), [text for text in parameters.get("where", []) if text])
                )
            else:
                self._answer(404, {"error": f"{request.path}: expected /, /search or /map"})
        except ValueError as error:
            self._answer(400, {"error": str(error)})

    def _answer(self, status: int, value: dict[str, object]) -> None:
        self._send(status, "application/json", json_text(value).encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing: what is searched for is nobody's business."""
