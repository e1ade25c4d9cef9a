"""Search of an index: `/search` for programs and for the page, and the map of the corpus.

Each query is answered from one state of the index, whatever is written meanwhile.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from hf_embeddings.search.index import Index
from hf_embeddings.search.index_reader import Nearest
from hf_embeddings.search.records import Condition
from hf_embeddings.search.results import UNSPELLED, as_json
from hf_embeddings.serving.corpus_map import draw_map
from hf_embeddings.serving.engine import Engine
from hf_embeddings.serving.fields import Fields
from hf_embeddings.serving.refusal import Refusal

MOST_RESULTS = 100
FIELDS = ("query", "k", "where", "model", "truncate")


class Searching:
    """Searches one index."""

    def __init__(self, index: Index, engine: Engine, nearest: Nearest | None = None) -> None:
        """Take an open index, the engine with its encoder, and another way to the nearest rows than the exact one."""
        self.index, self.engine, self.nearest = index, engine, nearest
        self.corpus_map = draw_map(index)
        self._finding = ThreadPoolExecutor(1, thread_name_prefix="index")

    async def answer(self, values: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """Return the results for a request of POST /search, and how many tokens the model read.

        Raises:
            Refusal: a field is wrong.
        """
        fields = Fields(values, FIELDS)
        where = values.get("where") or []
        conditions = [where] if isinstance(where, str) else where
        if not isinstance(conditions, list) or not all(isinstance(one, str) for one in conditions):
            raise Refusal('where: expected conditions such as ["year>=2020"]', param="where")
        return await self.search(
            fields.text("query"), fields.count("k", MOST_RESULTS, 10), conditions, truncate=fields.flag("truncate")
        )

    async def search(
        self, query: str, k: int, where: Sequence[str], *, truncate: bool = True
    ) -> tuple[dict[str, Any], int]:
        """Return results with their places on the map, and that of the query; and how many tokens the model read.

        Raises:
            Refusal: a condition is none, or on a field that no record has.
        """
        try:
            conditions = [Condition.parse(text) for text in where]
        except ValueError as error:
            raise Refusal(str(error), param="where") from None
        rows, vector = await self.engine.run(
            partial(self.engine.tokenize, [query], "query", truncate=truncate, param="query")
        )
        note = UNSPELLED if await self.engine.aside(self.engine.encoder.unknown, [query]) else ""
        loop = asyncio.get_running_loop()
        results = await loop.run_in_executor(self._finding, self._find, vector, k, conditions)
        x, y = (float(place) for place in self.corpus_map.place(vector)[0])
        return {"query": query, "x": x, "y": y, "note": note, "results": results}, len(rows[0].ids)

    def map(self) -> dict[str, Any]:
        """Return the points of the map, and how many passages there are."""
        return {"points": self.corpus_map.points, "passages": len(self.index)}

    def close(self) -> None:
        """End the thread that searches."""
        self._finding.shutdown()

    def _find(self, vector: np.ndarray, k: int, conditions: list[Condition]) -> list[dict[str, Any]]:
        try:
            with self.index.reading():  # rows are of one state of the index
                (hits,) = self.index.search(vector, k, conditions, nearest=self.nearest)
                vectors = self.index.vectors_of([hit.row for hit in hits])
        except ValueError as error:
            raise Refusal(str(error), param="where" if conditions else None) from None
        places = self.corpus_map.place(vectors) if hits else np.empty((0, 2))
        return [hit | {"x": float(x), "y": float(y)} for hit, (x, y) in zip(as_json(hits), places, strict=True)]
