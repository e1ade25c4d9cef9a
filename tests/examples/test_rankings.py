"""A reranker, a sparse encoder and a late-interaction encoder train, are saved, load, and rank as they did."""

import csv
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SparseEncoder

from hf_embeddings.cli.main import app
from tests.examples.test_examples import EXAMPLES, models, texts  # noqa: F401  (fixtures)

STEPS = (
    "--max_steps", "3", "--per_device_train_batch_size", "8", "--report_to", "none", "--save_strategy", "no",
    "--max_length", "48", "--bf16", "false", "--disable_tqdm", "true", "--learning_rate", "1e-3",
)  # fmt: skip


@pytest.fixture
def pairs(texts, tmp_path) -> tuple[Path, list[tuple[str, str]]]:  # noqa: F811  (fixture)
    """Beginnings of texts, and what follows."""
    rows = [(text[:60], text[60:200]) for documents in texts.values() for text in documents if len(text) > 120]
    path = tmp_path / "pairs.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("query", "text"), *rows])
    return path, rows


def train(script: str, model: Path, pairs: Path, folder: Path, monkeypatch, *arguments: str) -> dict[str, float]:
    """Run an example, and return the figures that it saved."""
    words = [script, "--model", str(model), "--train", str(pairs), "--output_dir", str(folder), *STEPS, *arguments]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    return json.loads((folder / "all_results.json").read_text())


def test_a_reranker(models, pairs, tmp_path, monkeypatch, capsys) -> None:  # noqa: F811
    figures = train("reranker.py", models["triembed"], pairs[0], tmp_path / "reranker", monkeypatch)
    assert 0 < figures["eval_mrr"] <= 1 and figures["eval_mrr_by_chance"] < 1
    (query, text), (_, other) = pairs[1][:2]
    model = CrossEncoder(str(tmp_path / "reranker"), device="cpu")
    scores = model.predict([(query, text), (query, other)])
    assert scores.shape == (2,) and (tmp_path / "reranker/modeling_triembed.py").exists()
    documents = tmp_path / "documents.jsonl"
    documents.write_text("".join(json.dumps({"text": right}) + "\n" for _, right in pairs[1][:12]))
    app(["index", str(documents), str(tmp_path / "index"), "--model", str(models["triembed"])], standalone_mode=False)
    capsys.readouterr()
    options = ["-k", "3", "--rerank", str(tmp_path / "reranker"), "--json"]
    app(["search", str(tmp_path / "index"), query, *options], standalone_mode=False)
    hits = json.loads(capsys.readouterr().out)[query]
    everything = {right: float(model.predict([(query, right)])[0]) for _, right in pairs[1][:12]}
    best = sorted(everything.values(), reverse=True)[:3]  # 5 x 3 are scored, which is all of them
    np.testing.assert_allclose([hit["score"] for hit in hits], best, atol=1e-5)
    with pytest.raises(ValueError, match="expected a cross-encoder with one"):
        app(["search", str(tmp_path / "index"), query, "--rerank", str(models["triembed"])], standalone_mode=False)


def test_a_sparse_encoder(models, pairs, tmp_path, monkeypatch) -> None:  # noqa: F811
    figures = train("sparse_encoder.py", models["triembed"], pairs[0], tmp_path / "sparse", monkeypatch)
    assert 0 < figures["eval_mrr"] <= 1
    model = SparseEncoder(str(tmp_path / "sparse"), device="cpu")
    vectors = model.encode_document([text for _, text in pairs[1][:3]])
    assert vectors.is_sparse and vectors.shape == (3, 320)
    own = model.similarity(vectors, vectors).numpy()
    assert (own.argmax(axis=1) == np.arange(3)).all() or (own > 0).all()


def test_a_late_interaction_encoder(models, pairs, tmp_path, monkeypatch) -> None:  # noqa: F811
    folder = tmp_path / "colbert"
    figures = train("late_interaction.py", models["triembed"], pairs[0], folder, monkeypatch, "--width", "8")
    assert 0 < figures["eval_mrr"] <= 1
    model = MultiVectorEncoder(str(folder), device="cpu")
    queries = model.encode_query([pairs[1][0][0]])
    documents = model.encode_document([text for _, text in pairs[1][:3]])
    found = model.similarity(queries, documents)[0].numpy()
    by_hand = [(np.asarray(queries[0]) @ np.asarray(document).T).max(axis=1).sum() for document in documents]  # MaxSim
    np.testing.assert_allclose(found, by_hand, atol=1e-4)
