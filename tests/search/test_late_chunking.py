"""A passage that is chunked late is pooled from the states that its tokens have in the whole document."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_embeddings.search.build import build_index
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.index import Index
from hf_embeddings.search.late_chunking import PassageSpan, encode_parts, encode_passages
from hf_embeddings.search.passages import split_spans
from hf_embeddings.search.query_encoder import load_encoder
from hf_embeddings.search.records import Record
from hf_embeddings.search.workers import EncodingJob


@pytest.fixture
def encoder(model_folder: Path) -> Encoder:
    return Encoder.load(model_folder, precision="fp32")


def parts_of(encoder: Encoder, document: str, tokens: int) -> list[PassageSpan]:
    return [PassageSpan(document, *span) for span in split_spans([document], encoder.tokenizer, [tokens])[0]]


def loop(encoder: Encoder, parts: list[PassageSpan], window: int) -> np.ndarray:
    """Return the vectors of a document's parts, as the paper says it, token by token."""
    prefix, document = encoder.prefix("document"), parts[0].document
    tokenizer, model = encoder.tokenizer, encoder.model
    found = tokenizer(prefix + document, add_special_tokens=False, return_offsets_mapping=True)
    ids, starts = found["input_ids"], [start for start, _ in found["offset_mapping"]]
    room, states = window - 2, {}
    begin = 0
    while True:
        piece = ids[begin : begin + room]
        row = torch.tensor([[tokenizer.cls_token_id, *piece, tokenizer.sep_token_id]])
        with torch.no_grad():
            hidden = model(row).last_hidden_state[0]
        if begin == 0:
            states["first"] = hidden[0]
        for place in range(len(piece)):
            states.setdefault(begin + place, hidden[1 + place])
        if begin + room >= len(ids):
            states["last"] = hidden[-1]
            break
        begin += room - room // 4
    vectors = []
    for number, part in enumerate(parts):
        inside = [t for t, start in enumerate(starts) if part.begin <= start - len(prefix) < part.end]
        chosen = [states[t] for t in inside]
        if number == 0:
            of_prompt = [states[t] for t, start in enumerate(starts) if start < len(prefix)]
            chosen = [states["first"], *of_prompt, *chosen]
        if number == len(parts) - 1:
            chosen = [*chosen, states["last"]]
        mean = torch.stack(chosen).mean(0)
        vectors.append((mean / mean.norm()).numpy())
    return np.array(vectors)


@pytest.mark.parametrize("words", [3, 30, 46, 47, 60, 200])
@pytest.mark.parametrize("prompt", ["", "the big "])
def test_equals_a_loop(words: int, prompt: str, model_folder: Path, texts: list[str]) -> None:
    """In one window of 48 tokens, and in several that overlap."""
    encoder = Encoder.load(model_folder, precision="fp32", prompts={"document": prompt} if prompt else {})
    document = " ".join(" ".join(texts).split()[:words])
    parts = parts_of(encoder, document, 10)
    np.testing.assert_allclose(encode_parts(encoder, parts), loop(encoder, parts, 48), atol=2e-6)


@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("include_prompt", [True, False])
def test_one_chunk_is_ordinary_encoding(
    pooling: str, include_prompt: bool, model_folder: Path, texts: list[str]
) -> None:
    prompts = {"document": "the big "}
    encoder = Encoder.load(
        model_folder, precision="fp32", pooling=pooling, prompts=prompts, include_prompt=include_prompt
    )
    found = encode_parts(encoder, [PassageSpan(text, 0, len(text)) for text in texts])
    np.testing.assert_allclose(found, encoder.encode(texts, prompt="document"), atol=2e-6)


def test_what_stands_beside_a_passage_matters(encoder: Encoder) -> None:
    passage = "the cat sleeps."
    documents = [f"{passage} the {word} runs." for word in ("dog", "king")]
    found = encode_parts(encoder, [PassageSpan(document, 0, len(passage)) for document in documents])
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_vectors_do_not_depend_on_the_company(encoder: Encoder, texts: list[str]) -> None:
    several = [part for text in (" ".join(texts), *texts) for part in parts_of(encoder, text, 7)]
    mixed = ["the cat", *several, "a dog runs"]
    found = encode_passages(encoder, mixed)
    np.testing.assert_allclose(found[[0, -1]], encoder.encode(["the cat", "a dog runs"]), atol=2e-6)
    last = parts_of(encoder, texts[-1], 7)
    np.testing.assert_allclose(found[-1 - len(last) : -1], encode_parts(encoder, last), atol=2e-6)


def test_the_same_text_twice_is_two_documents(encoder: Encoder, texts: list[str]) -> None:
    parts = parts_of(encoder, texts[-1], 7)
    np.testing.assert_allclose(
        encode_parts(encoder, [*parts, *parts]), np.concatenate([encode_parts(encoder, parts)] * 2), atol=2e-6
    )


def test_a_passage_without_tokens_has_a_vector(encoder: Encoder) -> None:
    document = "the cat \u200b\u200b"
    found = encode_parts(encoder, [PassageSpan(document, 0, 8), PassageSpan(document, 8, 10)])
    assert np.isfinite(found).all() and np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_cls_pooling_is_refused_in_words(
    model_folder: Path, refused: Callable[[Callable[[], object], str], None]
) -> None:
    refused(lambda: Encoder.load(model_folder, pooling="cls", late_chunking=8), "pooling 'cls': expected mean or max")


@pytest.mark.parametrize("processes", [1, 2])
def test_an_index_knows_that_it_was_chunked_late(
    processes: int, model_folder: Path, texts: list[str], tmp_path: Path
) -> None:
    document = " ".join(texts)
    records = [Record("long", document), Record("short", "the cat")]
    job = EncodingJob(str(model_folder), "fp32", {"late_chunking": 10})
    build_index(iter(records), tmp_path / "index", job, source="some", processes=processes)
    encoder = Encoder.load(model_folder, precision="fp32")
    expected = encode_parts(encoder, parts_of(encoder, document, 10))
    with Index(tmp_path / "index") as index:
        queries = load_encoder(index, precision="fp32")
        assert queries.recipe.late_chunking == 10 and len(index) == len(expected) + 1
        (hits,) = index.search(queries.encode(["the cat"], prompt="query"), 1)
        assert hits[0].id == "short"
        again = EncodingJob(str(model_folder), "fp32", {})
    with pytest.raises(ValueError, match="late_chunking"):
        build_index(iter(records), tmp_path / "index", again, source="some")
