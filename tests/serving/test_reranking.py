"""POST /rerank: scores are those of sentence-transformers' CrossEncoder, or cosines, and the answer says which."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from sentence_transformers import CrossEncoder as Reference

from hf_embeddings.search.cross_encoder import CrossEncoder, is_cross_encoder
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.serving.server import Server
from tests.serving.conftest import NAME, ask, post, serving

QUERY = "a big cat sleeps"


@pytest.fixture(scope="module")
def ranking(reranker_folder: Path) -> Iterator[Server]:
    with serving(CrossEncoder.load(reranker_folder, precision="fp32")) as server:
        yield server


@pytest.fixture(scope="module")
def cosine(encoder: Encoder) -> Iterator[Server]:
    with serving(encoder) as server:
        yield server


def expected(folder: Path, texts: list[str], **options: object) -> np.ndarray:
    return Reference(str(folder), device="cpu").predict([(QUERY, text) for text in texts], **options)


def test_scores_are_those_of_the_cross_encoder(ranking: Server, reranker_folder: Path, texts: list[str]) -> None:
    scores = expected(reranker_folder, texts[:30])
    status, answer = post(ranking, "/rerank", {"query": QUERY, "texts": texts[:30]})
    assert status == 200 and np.ptp(scores) > 1e-2
    assert [entry["index"] for entry in answer] == np.argsort(-scores, kind="stable").tolist()
    for entry in answer:
        assert entry["score"] == pytest.approx(scores[entry["index"]], abs=1e-5)


def test_raw_scores_are_those_before_the_activation(ranking: Server, reranker_folder: Path, texts: list[str]) -> None:
    scores = expected(reranker_folder, texts[:5], activation_fn=torch.nn.Identity())
    _, answer = post(ranking, "/rerank", {"query": QUERY, "texts": texts[:5], "raw_scores": True})
    for entry in answer:
        assert entry["score"] == pytest.approx(scores[entry["index"]], abs=1e-5)


@pytest.mark.parametrize("family", ["Bert", "Roberta"])
def test_other_families_score_as_their_cross_encoder(family: str, tmp_path: Path, model_folder: Path, texts) -> None:
    torch.manual_seed(0)
    sizes = {"vocab_size": 30, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"intermediate_size": 64, "max_position_embeddings": 60, "num_labels": 1, "initializer_range": 0.3}
    config = getattr(transformers, f"{family}Config")(**sizes, pad_token_id=0)
    getattr(transformers, f"{family}ForSequenceClassification")(config).save_pretrained(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_folder, model_max_length=int(1e30))
    tokenizer.save_pretrained(tmp_path)
    assert is_cross_encoder(tmp_path) and not is_cross_encoder(model_folder)
    reranker = CrossEncoder.load(tmp_path, precision="fp32")
    pairs = reranker.tokenize(QUERY, texts[:12])
    scores = expected(tmp_path, texts[:12])
    np.testing.assert_allclose(reranker.activate(reranker.score_pairs(pairs, 64)), scores, atol=1e-5)


@pytest.mark.parametrize("place", ["/rerank", "/v1/rerank"])
def test_documents_are_answered_as_jina_and_cohere_do(ranking: Server, place: str, texts: list[str]) -> None:
    given = {"model": NAME, "query": QUERY, "documents": [{"text": texts[3]}, texts[9], texts[5]], "top_n": 2}
    _, answer = post(ranking, place, given | {"return_documents": True})
    assert len(answer["results"]) == 2 and answer["model"] == NAME and answer["usage"]["total_tokens"] > 0
    best = answer["results"][0]
    assert best["document"]["text"] == [texts[3], texts[9], texts[5]][best["index"]]
    assert best["relevance_score"] >= answer["results"][1]["relevance_score"]
    assert answer["scored_by"] == "cross-encoder"


def test_an_encoder_ranks_by_cosine_and_says_so(cosine: Server, encoder: Encoder, texts: list[str]) -> None:
    scores = encoder.encode(texts[:9], prompt="document") @ encoder.encode([QUERY], prompt="query")[0]
    _, answer = post(cosine, "/rerank", {"query": QUERY, "documents": texts[:9]})
    for entry in answer["results"]:
        assert entry["relevance_score"] == pytest.approx(scores[entry["index"]], abs=1e-5)
    assert answer["scored_by"].startswith("cosine")
    body, headers = json.dumps({"query": QUERY, "texts": texts[:9]}).encode(), {"Content-Type": "application/json"}
    _, headers, content = ask(cosine, "POST", "/rerank", body, headers)
    assert headers["X-Scored-By"].startswith("cosine")
    assert json.loads(content)[0]["score"] == pytest.approx(scores.max(), abs=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"texts": ["a"]}, "query: missing"),
        ({"query": " ", "texts": ["a"]}, "query: got a blank text"),
        ({"query": "a"}, "expected either texts or documents"),
        ({"query": "a", "texts": ["a"], "documents": ["a"]}, "expected either texts or documents"),
        ({"query": "a", "texts": []}, "at least one"),
        ({"query": "a", "documents": ["a", {"title": "b"}]}, "documents[1]: got null"),
        ({"query": "a", "texts": ["a"], "top_n": 0}, "top_n: got 0"),
        ({"query": "a", "texts": ["a"], "return_text": 1}, "return_text: got 1"),
        ({"query": "a", "texts": ["a", "the cat " * 60]}, "texts[1] has 124 tokens, the model reads 64 at most"),
        ({"query": "a", "texts": ["a"], "k": 3}, "'k': an unknown field"),
    ],
)
def test_mistakes_name_the_field(ranking: Server, given: dict[str, object], message: str) -> None:
    status, answer = post(ranking, "/rerank", given)
    assert status == 400 and message in answer["error"]["message"]


def test_a_cross_encoder_has_no_vectors(ranking: Server) -> None:
    status, answer = post(ranking, "/v1/embeddings", {"input": "a"})
    assert status == 404 and "expected a request to /rerank" in answer["error"]["message"]


def test_several_labels_cannot_rank(tmp_path: Path, model_folder: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, num_labels=3
    )
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="has 3 labels, expected a cross-encoder of 1"):
        CrossEncoder.load(tmp_path)
