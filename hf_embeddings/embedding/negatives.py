"""Hard negatives: for each query the wrong texts that are nearest to it, found by exact search of all texts."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from hf_embeddings.analysis.geometry import unit_rows
from hf_embeddings.embedding.rows import Row
from hf_embeddings.progress import Phases
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.scan import quantize, search_exactly

SPARE = 20  # neighbours beyond those wanted: some are right, or too near to the right one
_QUERIES = 64  # searched at once


def mine(rows: Sequence[Row], encoder: Encoder, *, count: int, margin: float, phases: Phases) -> list[Row]:
    """Return rows with `count` wrong texts each; a query that has fewer gets texts of other rows, by its place.

    A text that some row has for the query is right. One whose cosine is above `margin` times that of the right text is
    taken for right, too (positive-aware mining, https://arxiv.org/abs/2407.15831).
    """
    texts = list(dict.fromkeys(row.texts[1] for row in rows))
    place = {text: number for number, text in enumerate(texts)}
    right: dict[str, set[int]] = {}
    for row in rows:
        right.setdefault(row.texts[0], set()).add(place[row.texts[1]])
    with phases("mining negatives", len(texts) + len(rows), unit="texts") as phase:
        vectors = unit_rows(encoder.encode(texts, prompt="document", progress=phase.advance)).astype(np.float32)
        queries = unit_rows(
            encoder.encode([row.texts[0] for row in rows], prompt="query", progress=phase.advance)
        ).astype(np.float32)
    codes, mined = quantize(vectors), []
    for start in range(0, len(rows), _QUERIES):
        some = slice(start, start + _QUERIES)
        neighbours = search_exactly(queries[some], vectors, codes, min(count + SPARE, len(texts)))
        for row, query, (found, scores) in zip(rows[some], queries[some], neighbours, strict=True):
            own = place[row.texts[1]]
            highest = margin * float(query @ vectors[own])
            below = (int(n) for n, score in zip(found, scores, strict=True) if score <= highest)
            wrong = [n for n in below if n not in right[row.texts[0]]]
            following = ((own + step) % len(texts) for step in range(1, len(texts)))
            others = (n for n in following if n not in right[row.texts[0]] and n not in wrong)
            chosen = [*wrong, *islice(others, max(0, count - len(wrong)))][:count]
            mined.append(replace(row, texts=(*row.texts, *(texts[number] for number in chosen))))
    return [row for row in mined if len(row.texts) == 2 + count]
