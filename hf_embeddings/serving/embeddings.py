"""POST /v1/embeddings as OpenAI's clients send it.

Shapes: N inputs, D features.
"""

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from hf_embeddings.json_text import as_given
from hf_embeddings.serving.engine import Engine, InputRow, Tokenized
from hf_embeddings.serving.fields import Fields, checked_text, refuse_many
from hf_embeddings.serving.refusal import Refusal

# `prompt_name` and `truncate` are not OpenAI's: its clients pass them by `extra_body`.
FIELDS = ("input", "model", "encoding_format", "dimensions", "user", "prompt_name", "truncate")


async def embed(engine: Engine, name: str, values: dict[str, Any]) -> tuple[str, int]:
    """Return the JSON of the answer and how many tokens the model read.

    Raises:
        Refusal: a field is wrong, or too much was asked for.
    """
    fields = Fields(values, FIELDS)
    encoder = engine.encoder
    is_base64 = fields.word("encoding_format", ("float", "base64"), "float") == "base64"
    dimensions = fields.count("dimensions", encoder.dimension, 0)
    rows, vectors = await engine.run(input_rows(engine, fields))
    tokens = sum(len(row.ids) for row in rows)
    if dimensions:
        vectors = _shortened(vectors, dimensions)
    write = _as_base64 if is_base64 else _as_floats
    if len(rows) > 16:  # writing takes a while
        return await engine.aside(_answer, write, vectors, name, tokens), tokens
    return _answer(write, vectors, name, tokens), tokens


def input_rows(engine: Engine, fields: Fields) -> Callable[[], list[InputRow]]:
    """Return what makes the rows of the inputs: of a text, texts, token ids, or lists of token ids.

    Raises:
        Refusal: there are none, too many, or of another kind; or one is blank or too long.
    """
    value, prompt, truncate = fields.values.get("input"), fields.optional_text("prompt_name"), fields.flag("truncate")
    if isinstance(value, str):
        return partial(engine.tokenize, [checked_text(value, "input", "input")], prompt, truncate=truncate)
    if not isinstance(value, list) or not value:
        raise Refusal("input: expected a text, a list of texts, or one or several lists of token ids", param="input")
    is_one = all(type(item) is int for item in value)
    if is_one or all(isinstance(item, list) for item in value):
        if prompt is not None:
            raise Refusal(
                "prompt_name: given with token ids, expected texts; put its tokens first", param="prompt_name"
            )
        lists = [value] if is_one else value
        refuse_many(len(lists), engine.limits.inputs, "input")
        return partial(_of_ids, engine, lists, truncate)
    refuse_many(len(value), engine.limits.inputs, "input")
    texts = [checked_text(item, f"input[{number}]", "input") for number, item in enumerate(value)]
    return partial(engine.tokenize, texts, prompt, truncate=truncate)


def _of_ids(engine: Engine, lists: list[list[int]], truncate: bool) -> list[InputRow]:
    """Return token ids with the special tokens that the model wants around them, unless they are there."""
    encoder = engine.encoder
    table: Any = encoder.model.get_input_embeddings()
    rows = table.weight.shape[0]
    before, after = encoder.special_ids()
    found: list[InputRow] = []
    for number, ids in enumerate(lists):
        if not ids or not all(type(token) is int and 0 <= token < rows for token in ids):
            wrong = next((token for token in ids if type(token) is not int or not 0 <= token < rows), None)
            raise Refusal(
                f"input[{number}]: got {as_given(wrong) if ids else 'none'}, expected token ids of this model's own "
                f"tokenizer, from 0 to {rows - 1:,}; send texts instead",
                param="input",
            )
        has_both = bool(before or after) and ids[: len(before)] == before and ids[len(ids) - len(after) :] == after
        row = ids if has_both else [*before, *ids, *after]
        if len(row) > encoder.max_length:
            if not truncate:
                raise Refusal(
                    f"input[{number}] has {len(row):,} tokens, the model reads {encoder.max_length:,} at most; shorten "
                    'it, or send "truncate": true to have it cut',
                    param="input",
                    code="context_length_exceeded",
                )
            row = [*row[: encoder.max_length - len(after)], *after]
        found.append(Tokenized(row))
    return found


def _shortened(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    """Return the first features of vectors (N, D), scaled to length 1 again."""
    kept = vectors[:, :dimensions]
    return kept / np.maximum(np.linalg.norm(kept, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _answer(write: Any, vectors: np.ndarray, name: str, tokens: int) -> str:  # noqa: ANN401  one of the two below
    items = ", ".join(
        f'{{"object": "embedding", "index": {number}, "embedding": {written}}}'
        for number, written in enumerate(write(vectors))
    )
    usage = f'{{"prompt_tokens": {tokens}, "total_tokens": {tokens}}}'
    return f'{{"object": "list", "data": [{items}], "model": {json.dumps(name)}, "usage": {usage}}}'


def _as_base64(vectors: np.ndarray) -> list[str]:
    return [f'"{base64.b64encode(vector.tobytes()).decode("ascii")}"' for vector in vectors.astype("<f4")]


def _as_floats(vectors: np.ndarray) -> list[str]:
    return [json.dumps(vector) for vector in vectors.tolist()]
