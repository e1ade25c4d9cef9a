"""`hf-embeddings search`: the documents of an index that are nearest in meaning to a query."""

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from hf_embeddings.cli.output import AsJson, Precision
from hf_embeddings.json_text import json_text
from hf_embeddings.printable import one_line

if TYPE_CHECKING:
    from hf_embeddings.search.approximate import Graph
    from hf_embeddings.search.encoder import Encoder
    from hf_embeddings.search.index import Index
    from hf_embeddings.search.reranker import Reranker

Where = Annotated[
    list[str] | None, typer.Option(help="Condition on the metadata: field=value, also != >= <= > < and ~ (contains).")
]

Approximate = Annotated[
    bool, typer.Option("--approximate", help="Search by a graph of near neighbours, which is built once (faiss).")
]


def search(
    folder: Annotated[
        str, typer.Argument(metavar="INDEX", help="Folder of an index; or qdrant: or milvus:LOCATION#COLLECTION.")
    ],
    queries: Annotated[list[str], typer.Argument(metavar="QUERY", help="What to look for, in words.")],
    k: Annotated[int, typer.Option("-k", help="How many results.")] = 10,
    where: Where = None,
    approximate: Approximate = False,
    rerank: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Cross-encoder that scores the nearest 5 x K documents again.")
    ] = None,
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Find the documents nearest in meaning to each query."""
    from hf_embeddings.search.records import Condition, find_records
    from hf_embeddings.search.stores import is_store

    check_question(folder, queries, k, approximate)
    conditions = [Condition.parse(text) for text in where or []]
    if not is_store(folder):
        find_records(folder)
    from hf_embeddings.search.index import Index
    from hf_embeddings.search.query_encoder import load_encoder
    from hf_embeddings.search.reranker import DEPTH
    from hf_embeddings.search.results import as_json as json_values
    from hf_embeddings.search.results import render_hits
    from hf_embeddings.search.stores import open_store, search_store

    reranker = load_reranker(rerank)
    with contextlib.closing(open_store(folder) if is_store(folder) else Index(folder)) as place:
        encoder = load_encoder(place, precision=precision)
        vectors = encoder.encode(queries, prompt="query")
        wanted = k if reranker is None else k * DEPTH
        if isinstance(place, Index):
            nearest = open_graph(place).nearest if approximate else None
            results = place.search(vectors, wanted, conditions, nearest=nearest)
        else:
            results = search_store(place, vectors, wanted, conditions)
    if reranker is not None:
        results = [reranker.rerank(query, hits, k) for query, hits in zip(queries, results, strict=True)]
    _tell_unspelled(encoder, queries)
    if as_json:
        print(json_text({query: json_values(hits) for query, hits in zip(queries, results, strict=True)}, indent=2))
        return
    for query, hits in zip(queries, results, strict=True):
        print((f"{query}\n\n" if len(queries) > 1 else "") + render_hits(hits) + "\n")


def check_question(folder: str, queries: list[str], k: int, approximate: bool) -> None:
    """Look at what is asked before anything is loaded.

    Raises:
        ValueError: there is no query, no result is wanted, or a database is to be searched by our graph.
    """
    from hf_embeddings.search.stores import is_store

    if k < 1:
        raise ValueError(f"-k {k}: expected 1 or more")
    if blank := [query for query in queries if not query.strip()]:
        raise ValueError(f"query {blank[0]!r}: expected some words")
    if approximate and is_store(folder):
        raise ValueError(f"--approximate: is for an index on disk; {folder} has a search of its own, leave it out")


def load_reranker(name: str | None) -> "Reranker | None":
    """Return the cross-encoder of `--rerank`, if one is given."""
    from hf_embeddings.search.reranker import Reranker

    return None if name is None else Reranker(name)


def _tell_unspelled(encoder: "Encoder", queries: list[str]) -> None:
    from hf_embeddings.search.results import UNSPELLED

    for query in encoder.unknown(queries):
        print(one_line(f"{query}: {UNSPELLED}"), file=sys.stderr)


def open_graph(index: "Index") -> "Graph":
    """Return the graph of an index, built or extended with a progress bar where that is due."""
    from hf_embeddings.progress import Phase
    from hf_embeddings.search.approximate import Graph

    with Phase("graph of near neighbours", index.rows, unit="rows", passing=True) as progress:
        return Graph(index, progress.advance)


def remove(
    folder: Annotated[str, typer.Argument(metavar="INDEX", help="Folder of an index.")],
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Documents to remove.")] = None,
    where: Where = None,
    compact: Annotated[bool, typer.Option("--compact", help="Rewrite the files without what was removed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove documents from an index, by id or by their metadata."""
    from hf_embeddings.search.records import Condition, find_records

    find_records(folder)
    conditions = [Condition.parse(text) for text in where or []]
    from hf_embeddings.search.index import Index

    with Index(folder) as index:
        is_removal = bool(ids or where) or not compact
        removed_count = index.remove(ids or [], conditions) if is_removal else 0
        freed_count = index.compact() if compact else 0
        passages_left = len(index)
    if as_json:
        print(
            json_text({"removed_passages": removed_count, "rewritten_without": freed_count, "passages": passages_left})
        )
    else:
        print(f"{folder}: {removed_count:,} passages removed, {passages_left:,} left")
