"""`hf-embeddings serve`: a model or an index over HTTP."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_embeddings.cli.output import Precision
from hf_embeddings.cli.search import Approximate, open_graph
from hf_embeddings.json_text import json_text
from hf_embeddings.printable import one_line

if TYPE_CHECKING:
    from hf_embeddings.search.index import Index
    from hf_embeddings.serving.app import Served
    from hf_embeddings.serving.limits import Limits
    from hf_embeddings.serving.server import Server

KEY_VARIABLE = "HF_EMBEDDINGS_API_KEY"


def serve(
    folder: Annotated[str, typer.Argument(metavar="DIR_OR_INDEX", help="Model directory, or folder of an index.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on, IPv4 or IPv6; any but 127.0.0.1 and ::1 lets the network in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8765,
    name: Annotated[
        str | None, typer.Option(help="What clients call the model; default: the name of its directory.")
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option(help=f"File with the API key, or several, one a line; default: that in {KEY_VARIABLE}, if any."),
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="Origin of web pages that may ask, such as https://example.org.")
    ] = None,
    approximate: Approximate = False,
    precision: Precision = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="Log as JSON lines: the start, each request (not its text), each fault.")
    ] = False,
) -> None:
    """Serve embeddings as OpenAI's API has them, reranking and, of an index, search and its page, until Ctrl-C."""
    from hf_embeddings.pip_extras import require
    from hf_embeddings.search.records import DATABASE

    is_index = (Path(folder) / DATABASE).is_file()
    if not is_index and not (Path(folder) / "config.json").is_file():
        raise ValueError(f"{folder}: no index there (no {DATABASE}) and no model (no config.json), expected one")
    if approximate and not is_index:
        raise ValueError("--approximate: is for an index, got a model directory; leave it out")
    keys = read_keys(api_key_file)
    require("serve", "starlette", "uvicorn")
    from hf_embeddings.serving.limits import Limits

    if not is_index:
        _run(_load_model(folder, name, precision, Limits()), folder, host, port, keys, allow_origin or [], as_json)
        return
    from hf_embeddings.search.index import Index

    with Index(folder) as index:
        served = _load_index(index, name, precision, Limits(), approximate)
        _run(served, folder, host, port, keys, allow_origin or [], as_json)


def read_keys(file: Path | None) -> list[str]:
    """Return the API keys: those in a file, else that in the environment, else none.

    Raises:
        ValueError: there is a file or a variable without a key, or a key that no header can hold.
    """
    from hf_embeddings.files.reading import read_text

    if file is None and KEY_VARIABLE not in os.environ:
        return []
    place = KEY_VARIABLE if file is None else str(file)
    text = os.environ[KEY_VARIABLE] if file is None else read_text(file, most=65536)
    keys = [line.strip() for line in text.splitlines() if line.strip()]
    if not keys:
        raise ValueError(f"{place}: holds no API key, expected one a line")
    if any(not key.isascii() or not key.isprintable() or " " in key for key in keys):
        raise ValueError(f"{place}: a key has spaces or other characters than ASCII, expected one a line without")
    return keys


def _load_model(folder: str, name: str | None, precision: str, limits: "Limits") -> "Served":
    from hf_embeddings.search.cross_encoder import CrossEncoder, is_cross_encoder
    from hf_embeddings.search.encoder import Encoder
    from hf_embeddings.serving.app import Served, model_facts
    from hf_embeddings.serving.engine import Engine, loading_alone

    with loading_alone():
        model = (CrossEncoder if is_cross_encoder(folder) else Encoder).load(folder, precision=precision)
    return Served(name or Path(folder).resolve().name, model_facts(model), Engine(model, limits))


def _load_index(index: "Index", name: str | None, precision: str, limits: "Limits", approximate: bool) -> "Served":
    from hf_embeddings.search.query_encoder import load_encoder
    from hf_embeddings.serving.app import Served, model_facts
    from hf_embeddings.serving.engine import Engine, loading_alone
    from hf_embeddings.serving.searching import Searching

    nearest = open_graph(index).nearest if approximate else None
    with loading_alone():
        encoder = load_encoder(index, precision=precision)
    engine = Engine(encoder, limits)
    name = name or Path(index.settings.model).name
    return Served(name, model_facts(encoder), engine, Searching(index, engine, nearest))


def _run(
    served: "Served", folder: str, host: str, port: int, keys: list[str], origins: list[str], as_json: bool
) -> None:
    from hf_embeddings.serving.server import Server, tell_nobody

    try:
        server = Server(
            served,
            host=host,
            port=port,
            keys=keys,
            origins=origins,
            tell=_log_json if as_json else tell_nobody,
            tell_error=_log_json if as_json else _print_fault,
        )
    except OSError as error:
        raise ValueError(
            f"{host}:{port}: cannot listen there ({error.strerror}); choose another --host or --port"
        ) from None
    try:
        _announce(server, folder, as_json, has_key=bool(keys))
        server.run()
        if not as_json:
            print("ended", file=sys.stderr)
    finally:
        server.close()


def _announce(server: "Server", folder: str, as_json: bool, *, has_key: bool) -> None:
    from hf_embeddings.serving.server import LOOPBACK

    facts = server.served.facts
    if as_json:
        _log_json({"source": folder, "url": server.url, "model": server.served.name, **facts})
    else:
        kind = facts.get("position_type") or facts["model_type"]
        vectors = f"{facts['dimension']} dimensions" if "dimension" in facts else "a cross-encoder"
        words = f"{kind}, {vectors}, {facts['max_length']} tokens, {facts['precision']}"
        print(f"{folder} at {server.url} (model {server.served.name}: {words}; Ctrl-C stops it)", flush=True)
    if not has_key and not server.names & set(LOOPBACK):
        print("open to everyone who can reach the address: there is no API key (--api-key-file)", file=sys.stderr)


def _log_json(facts: dict[str, object]) -> None:
    print(json_text(facts), flush=True)


def _print_fault(facts: dict[str, object]) -> None:
    print(one_line(f"error: {facts['route']}: {facts['error']}"), file=sys.stderr, flush=True)
