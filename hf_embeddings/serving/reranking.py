"""POST /rerank: as text-embeddings-inference has it (`texts`), and as Jina and Cohere have it (`documents`).

A cross-encoder reads query and document together. Where an encoder is served, the score is the cosine of two vectors,
and the answer says so.
"""

from functools import partial
from typing import Any

import numpy as np

from hf_embeddings.search.cross_encoder import CrossEncoder
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.serving.engine import Engine, InputRow
from hf_embeddings.serving.fields import Fields
from hf_embeddings.serving.refusal import Refusal

FIELDS = (
    *("query", "texts", "documents", "model", "top_n", "return_documents", "return_text", "raw_scores", "truncate"),
    *("max_tokens_per_doc", "user"),  # read by nobody: the length is the model's
)
CROSS_ENCODER = "cross-encoder"
COSINE = "cosine of the vectors of query and document: no cross-encoder is served"
Answer = dict[str, Any] | list[dict[str, Any]]


async def rerank(engine: Engine, name: str, values: dict[str, Any]) -> tuple[Answer, int, str]:
    """Return the answer, how many tokens the model read, and what the scores are.

    Raises:
        Refusal: a field is wrong, or too much was asked for.
    """
    fields = Fields(values, FIELDS)
    query = fields.text("query")
    if ("texts" in fields) == ("documents" in fields):
        raise Refusal("expected either texts or documents, a list of texts to rank", param="documents")
    form = "texts" if "texts" in fields else "documents"
    documents = fields.texts(form, engine.limits.inputs)
    count = fields.count("top_n", engine.limits.inputs, len(documents))
    with_text = fields.flag("return_text" if form == "texts" else "return_documents")
    scores, tokens = await _score(engine, query, documents, fields)
    order = np.argsort(-scores, kind="stable")[:count].tolist()
    method = CROSS_ENCODER if isinstance(engine.model, CrossEncoder) else COSINE
    if form == "texts":
        return [_entry(number, scores, documents, with_text) for number in order], tokens, method
    results = [
        {"index": number, "relevance_score": float(scores[number])}
        | ({"document": {"text": documents[number]}} if with_text else {})
        for number in order
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"model": name, "results": results, "usage": usage, "scored_by": method}, tokens, method


def _entry(number: int, scores: np.ndarray, documents: list[str], with_text: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"index": number, "score": float(scores[number])}
    return entry | {"text": documents[number]} if with_text else entry


async def _score(engine: Engine, query: str, documents: list[str], fields: Fields) -> tuple[np.ndarray, int]:
    """Return the scores (N,) of documents, and how many tokens the model read for them."""
    truncate, raw = fields.flag("truncate"), fields.flag("raw_scores")
    if isinstance(engine.model, CrossEncoder):
        form = "texts" if "texts" in fields else "documents"
        pairs, scores = await engine.run(
            partial(engine.tokenize_pairs, query, documents, truncate=truncate, param=form)
        )
        return scores if raw else engine.model.activate(scores), sum(len(pair.ids) for pair in pairs)
    assert isinstance(engine.model, Encoder), "the other kind of model"

    def prepare() -> list[InputRow]:
        rows = engine.tokenize([query], "query", truncate=truncate, param="query")
        return rows + engine.tokenize(documents, "document", truncate=truncate, param="documents")

    rows, vectors = await engine.run(prepare)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return vectors[1:] @ vectors[0], sum(len(row.ids) for row in rows)
