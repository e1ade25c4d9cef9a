"""The routes: which path answers what, and how a request is read and an answer written."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from hf_embeddings.json_text import as_given, json_text
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.serving.embeddings import embed
from hf_embeddings.serving.engine import Engine
from hf_embeddings.serving.fields import read_json_object
from hf_embeddings.serving.guard import Tell
from hf_embeddings.serving.limits import Limits
from hf_embeddings.serving.metrics import CONTENT_TYPE, Metrics
from hf_embeddings.serving.refusal import Refusal
from hf_embeddings.serving.reranking import rerank
from hf_embeddings.serving.searching import MOST_RESULTS, Searching

LONG_BODY = 64 << 10  # bytes; what is longer is parsed aside
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'"
)
_Answering = Callable[[Request, dict[str, Any]], Awaitable[Response]]


@dataclass(frozen=True)
class Served:
    """What a server has to offer."""

    name: str  # of the model, as clients call it
    facts: dict[str, object]  # of the model: position type, dimension and the like
    engine: Engine
    searching: Searching | None = None  # of an index


class Answers:
    """The answers to all routes."""

    def __init__(self, served: Served, limits: Limits, metrics: Metrics, tell_error: Tell) -> None:
        self.served, self.limits, self.metrics, self.tell_error = served, limits, metrics, tell_error
        self._began = int(time.time())
        self._page = files("hf_embeddings.serving").joinpath("page.html").read_bytes()

    def routes(self) -> list[Route]:
        """Return the routes; those of an index where one is served."""
        posts: dict[str, _Answering] = {"/v1/embeddings": self.embeddings, "/rerank": self.rerank}
        posts |= {"/v1/rerank": self.rerank}
        gets: dict[str, _Answering] = {"/v1/models": self.models, "/v1/models/{name:path}": self.model}
        gets |= {"/health": self.health, "/metrics": self.write_metrics}
        routes = [self._route("POST", path, answer) for path, answer in posts.items()]
        if self.served.searching:
            gets |= {"/": self.page, "/map": self.map}
            routes.append(self._route("GET", "/search", self.search_of_page))
            routes.append(self._route("POST", "/search", self.search))
        return [*routes, *(self._route("GET", path, answer) for path, answer in gets.items())]

    def application(self) -> Starlette:
        """Return the application."""
        return Starlette(routes=self.routes(), exception_handlers={HTTPException: self._unknown})

    async def embeddings(self, request: Request, values: dict[str, Any]) -> Response:
        """POST /v1/embeddings."""
        self._check_model(values)
        text, tokens = await embed(self.served.engine, self.served.name, values)
        request.scope["state"]["tokens"] = tokens
        return Response(text, media_type="application/json")

    async def rerank(self, request: Request, values: dict[str, Any]) -> Response:
        """POST /rerank."""
        self._check_model(values)
        answer, tokens, method = await rerank(self.served.engine, self.served.name, values)
        request.scope["state"]["tokens"] = tokens
        return JSONResponse(answer, headers={"X-Scored-By": method.partition(":")[0]})

    async def search(self, request: Request, values: dict[str, Any]) -> Response:
        """POST /search."""
        assert self.served.searching, "or there is no such route"
        self._check_model(values)
        answer, request.scope["state"]["tokens"] = await self.served.searching.answer(values)
        return _json(answer)

    async def search_of_page(self, request: Request, values: dict[str, Any]) -> Response:
        """GET /search, which the page asks; it shows the text of an error."""
        assert self.served.searching, "or there is no such route"
        query, k = request.query_params.get("q", "").strip(), request.query_params.get("k", "10")
        try:
            if not query:
                raise Refusal("q: got no query, expected some words")
            if not k.isdecimal() or not int(k[:9]):
                raise Refusal(f"k {k!r:.20}: expected a whole number from 1 to {MOST_RESULTS}")
            where = [text for text in request.query_params.getlist("where") if text]
            answer, tokens = await self.served.searching.search(query, min(int(k[:9]), MOST_RESULTS), where)
            request.scope["state"]["tokens"] = tokens
            return _json(answer)
        except Refusal as refusal:
            return JSONResponse({"error": str(refusal)}, refusal.status, refusal.headers)

    async def map(self, request: Request, values: dict[str, Any]) -> Response:
        """GET /map, which the page asks."""
        assert self.served.searching, "or there is no such route"
        return _json(self.served.searching.map())

    async def page(self, request: Request, values: dict[str, Any]) -> Response:
        """GET /: the page."""
        return Response(self._page, media_type="text/html", headers={"Content-Security-Policy": _POLICY})

    async def models(self, request: Request, values: dict[str, Any]) -> Response:
        """GET /v1/models."""
        return JSONResponse({"object": "list", "data": [self._model()]})

    async def model(self, request: Request, values: dict[str, Any]) -> Response:
        """GET /v1/models/NAME."""
        self._check_model({"model": request.path_params["name"]})
        return JSONResponse(self._model())

    async def health(self, request: Request, values: dict[str, Any]) -> Response:
        """GET /health."""
        return JSONResponse({"status": "ok"})

    async def write_metrics(self, request: Request, values: dict[str, Any]) -> Response:
        """GET /metrics."""
        batcher = self.served.engine.batcher
        counts = batcher.counts
        text = self.metrics.write({
            "waiting_tokens": ("gauge", "Tokens that wait for the model.", batcher.waiting),
            "batches_total": ("counter", "Batches that the model was given.", counts.batches),
            "batch_texts_total": ("counter", "Texts in these batches.", counts.texts),
            "batch_tokens_total": ("counter", "Tokens in these batches.", counts.tokens),
            "model_seconds_total": ("counter", "Seconds that the model took.", counts.seconds),
        })  # fmt: skip
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    def _model(self) -> dict[str, object]:
        facts = {"object": "model", "created": self._began, "owned_by": "hf-embeddings"}
        return {"id": self.served.name, **facts, **self.served.facts}

    def _check_model(self, values: dict[str, Any]) -> None:
        """Refuse another model than the one served; none need be named."""
        name = values.get("model", self.served.name)
        if name != self.served.name:
            raise Refusal(
                f"model {as_given(name)}: not served here, expected {self.served.name!r}",
                status=404,
                param="model",
                code="model_not_found",
            )

    def _route(self, method: str, path: str, answer: _Answering) -> Route:
        async def endpoint(request: Request) -> Response:
            request.scope.setdefault("state", {})["route"] = path.partition("{")[0]
            try:
                values = await self._read_object(request) if method == "POST" else {}
                if method == "GET":
                    await self._read_body(request)
                return await _unless_left(request, answer(request, values))
            except ClientDisconnect:
                return Response(status_code=499)
            except Refusal as refusal:
                if refusal.status == 500:
                    self.tell_error({"route": path, "error": str(refusal)})
                return JSONResponse(refusal.body(), refusal.status, refusal.headers)
            except Exception as error:  # a fault of the model, or of ours: one request fails, the server lives
                message = f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]
                self.tell_error({"route": path, "error": message})
                return JSONResponse(Refusal(f"the model failed ({message})", status=500).body(), 500)

        return Route(path, endpoint, methods=[method])

    async def _read_object(self, request: Request) -> dict[str, Any]:
        """Return the object in the body of a request.

        Raises:
            Refusal: as `_read_body`; or it is of another type, or no object of JSON.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" or "content-encoding" in request.headers:
            encoding = request.headers.get("content-encoding", "")
            got = f"{kind or 'none'}" + (f" in {encoding}" if encoding else "")
            message = f"Content-Type: got {got!r:.60}, expected 'application/json' without a Content-Encoding"
            raise _closing(Refusal(message, status=415))
        body = await self._read_body(request)
        if len(body) > LONG_BODY:
            return await self.served.engine.aside(read_json_object, body)
        return read_json_object(body)

    async def _read_body(self, request: Request) -> bytes:
        """Return the body of a request.

        Raises:
            Refusal: it is too long or too slow.
        """
        most = self.limits.body_bytes
        too_long = Refusal(f"body: got more than {most:,} bytes, expected fewer; send several requests", status=413)
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > most:
            raise _closing(too_long)
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                async for part in request.stream():
                    body += part
                    if len(body) > most:
                        raise _closing(too_long)
        except TimeoutError:
            message = f"body: did not arrive within {self.limits.body_seconds:g} s"
            raise _closing(Refusal(message, status=408)) from None
        return bytes(body)

    async def _unknown(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        what = f"{request.method} {request.url.path}"
        if status == 405:
            methods = {name for route in self.routes() if _leads(route, request) for name in route.methods or ()}
            allowed = ", ".join(sorted(methods))
            refusal = Refusal(f"{what!r:.200}: expected {allowed}", status=status, headers={"Allow": allowed})
            return JSONResponse(refusal.body(), status, refusal.headers)
        paths = sorted({route.path.replace("{name:path}", "NAME") for route in self.routes()})
        return JSONResponse(Refusal(f"{what!r:.200}: expected one of {', '.join(paths)}", status=status).body(), status)


def _leads(route: Route, request: Request) -> bool:
    """Tell whether a path is that of a route, whatever the method."""
    return route.matches(request.scope)[0] is not Match.NONE


def model_facts(model: Any) -> dict[str, object]:  # noqa: ANN401  an Encoder or a CrossEncoder
    """Return what there is to say of a model: its type, positions, sizes and arithmetic."""
    config = model.model.config
    positions = getattr(config, "position_embedding_type", None)
    facts: dict[str, object] = {"model_type": config.model_type}
    if config.model_type == "triembed":
        facts["position_type"] = positions
    if isinstance(model, Encoder):
        facts["dimension"] = model.dimension
    return facts | {"max_length": model.max_length, "precision": model.precision}


def _json(value: dict[str, Any]) -> Response:
    return Response(json_text(value), media_type="application/json")


def _closing(refusal: Refusal) -> Refusal:
    """Return a refusal after which the connection is closed: what is left of the body is not read."""
    refusal.headers["Connection"] = "close"
    return refusal


async def _unless_left(request: Request, answer: Awaitable[Response]) -> Response:
    """Return an answer, or stop working on it when the client closes the connection.

    Raises:
        ClientDisconnect: it has.
    """
    working = asyncio.ensure_future(answer)
    watching = asyncio.ensure_future(request.receive())
    watching.add_done_callback(lambda done: None if done.cancelled() else working.cancel())
    try:
        return await working
    except asyncio.CancelledError:
        if watching.done() and not watching.cancelled():
            raise ClientDisconnect from None
        working.cancel()
        raise
    finally:
        watching.cancel()
