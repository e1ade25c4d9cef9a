"""`hf-embeddings serve`: a local web page that searches an index."""

import sys
from typing import Annotated

import typer

from hf_embeddings.cli.output import Precision
from hf_embeddings.cli.search import Approximate, open_graph


def serve(
    folder: Annotated[str, typer.Argument(metavar="INDEX", help="Folder of an index.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on, IPv4 or IPv6; any but 127.0.0.1 and ::1 lets the network in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8765,
    approximate: Approximate = False,
    precision: Precision = "auto",
) -> None:
    """Serve a page with a search box, results and a map of the corpus, until Ctrl-C."""
    from hf_embeddings.search.records import find_records

    find_records(folder)
    from hf_embeddings.search.index import Index
    from hf_embeddings.search.query_encoder import load_encoder
    from hf_embeddings.search.server import LOOPBACK, SearchServer

    with Index(folder) as index:
        nearest = open_graph(index).nearest if approximate else None
        try:
            encoder = load_encoder(index, precision=precision)
            server = SearchServer(index, encoder, host=host, port=port, nearest=nearest)
        except OSError as error:
            raise ValueError(
                f"{host}:{port}: cannot listen there ({error.strerror}); choose another --host or --port"
            ) from None
        with server:
            print(f"{folder} at {server.url} (Ctrl-C stops it)", flush=True)
            if not server.names & set(LOOPBACK):
                print(f"open to everyone who can reach {host}: there is no password", file=sys.stderr)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print("ended", file=sys.stderr)
