"""The losses are those of sentence-transformers on our vectors: each equals a loop, with padding or without."""

import math

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from hf_embeddings.embedding.losses import build_loss, damaged, make_dataset, prompts_by_column
from hf_embeddings.embedding.rows import Row
from hf_embeddings.embedding.sentence_model import build, encoder_of, judged_encoder, load_sentence_model, set_dropout
from hf_embeddings.search.encoder import Encoder
from tests.embedding.small import PAIRS, small_options

ROWS = [Row(pair, score=float(number % 5)) for number, pair in enumerate(PAIRS[40:46])]


@pytest.fixture
def folder(tmp_path):
    small_options(tmp_path)
    return tmp_path


def loss_of(folder, *changes: str, scores: bool = False) -> tuple[float, dict[str, torch.Tensor], SentenceTransformer]:
    """Return the loss of the rows, its gradients, and the model."""
    options = small_options(folder, *changes)
    model, _ = load_sentence_model(options)
    set_dropout(model, options)
    model.eval()
    features = [model.preprocess([row.texts[side] for row in ROWS]) for side in (0, 1)]
    labels = torch.tensor([row.score for row in ROWS]) if scores else None
    loss = build_loss(options.loss, model)(features, labels)
    loss.backward()
    gradients = {name: p.grad for name, p in encoder_of(model).named_parameters() if p.grad is not None}
    return float(loss.detach()), gradients, model


def cosines(folder, options) -> np.ndarray:
    """Return the cosines of all queries and texts, by our own encoder."""
    encoder = Encoder.load(folder / "base", precision="fp32", max_length=16)
    queries, texts = (encoder.encode([row.texts[side] for row in ROWS]) for side in (0, 1))
    return queries @ texts.T


def cross_entropy(scores: np.ndarray) -> float:
    return float(np.mean([math.log(np.exp(row).sum()) - row[number] for number, row in enumerate(scores)]))


def test_multiple_negatives_equals_a_loop(folder) -> None:
    scores = 20 * cosines(folder, None)
    found, _, _ = loss_of(folder, "loss.symmetric=false")
    assert found == pytest.approx(cross_entropy(scores), abs=1e-5)
    both, _, _ = loss_of(folder, "loss.symmetric=true")
    assert both == pytest.approx((cross_entropy(scores) + cross_entropy(scores.T)) / 2, abs=1e-5)


def test_cosent_equals_a_loop(folder) -> None:
    values = np.diag(cosines(folder, None)) * 20
    terms = [
        values[b] - values[a] for a, one in enumerate(ROWS) for b, other in enumerate(ROWS) if one.score > other.score
    ]
    found, _, _ = loss_of(folder, "loss.name=cosent", "data.score_column=score", "loss.symmetric=false", scores=True)
    assert found == pytest.approx(math.log(1 + np.exp(terms).sum()), abs=1e-5)


def test_the_cached_loss_and_its_gradients_are_those_of_the_plain_one(folder) -> None:
    plain, gradients, _ = loss_of(folder, "loss.symmetric=false")
    cached = ("loss.name=cached_multiple_negatives", "loss.symmetric=false", "loss.mini_batch_size=4")
    loss, others, _ = loss_of(folder, *cached)
    assert loss == pytest.approx(plain, abs=1e-5) and gradients.keys() == others.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["multiple_negatives", "cached_multiple_negatives"])
def test_matryoshka_at_full_width_is_the_plain_loss(name: str, folder) -> None:
    common = (f"loss.name={name}", "loss.symmetric=false")
    plain, gradients, _ = loss_of(folder, *common)
    full, others, _ = loss_of(folder, *common, "loss.matryoshka=[16]")
    assert full == pytest.approx(plain, abs=1e-5)
    for parameter, gradient in gradients.items():
        torch.testing.assert_close(others[parameter], gradient, atol=1e-5, rtol=1e-4)
    shortened, _, _ = loss_of(folder, *common, "loss.matryoshka=[4]")
    assert abs(shortened - plain) > 1e-3  # the sum over both widths


def test_a_width_beyond_the_vectors_is_refused(folder) -> None:
    with pytest.raises(ValueError, match="got 17, the vectors have 16"):
        loss_of(folder, "loss.symmetric=false", "loss.matryoshka=[17]")


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_vectors_without_padding_are_those_of_sentence_transformers_and_of_our_encoder(pooling: str, folder) -> None:
    options = small_options(folder, f"encoder.pooling={pooling}", "prompts.query='the page '")
    model, recipe = load_sentence_model(options)
    texts = ["the", "the answer is on the next page .", "today . today ."]
    padded = build(folder / "base", recipe).eval().encode(texts, prompt_name="query")
    np.testing.assert_allclose(model.eval().encode(texts, prompt_name="query"), padded, atol=1e-6)
    ours = judged_encoder(model, recipe, folder / "base").encode(texts, prompt="query")
    np.testing.assert_allclose(ours, padded, atol=1e-5)


def test_tsdae_reads_the_vector_alone_and_teaches_the_encoder(folder) -> None:
    loss, gradients, _ = loss_of(folder, "loss.name=tsdae", "loss.symmetric=false")
    assert loss == pytest.approx(math.log(16), rel=0.5)  # of a decoder that knows nothing yet
    assert any(gradient.abs().max() > 0 for gradient in gradients.values())


def test_noise_is_the_same_in_every_call_and_another_in_each_pass() -> None:
    text = " ".join(map(str, range(2000)))
    once = damaged(text, 0.6, 0, 0)
    assert once == damaged(text, 0.6, 0, 0) != damaged(text, 0.6, 0, 1)
    assert len(once.split()) / 2000 == pytest.approx(0.4, abs=0.04)
    assert damaged("one", 0.99, 0, 0) == "one"


def test_each_loss_gets_its_columns_and_prompts(folder) -> None:
    prompts = ("prompts.query=q", "prompts.document=d")
    pairs = small_options(folder, *prompts)
    columns = make_dataset(pairs, ROWS, 1).column_names
    assert prompts_by_column(pairs, columns) == {"anchor": "q", "positive": "d"}
    scored = small_options(folder, "loss.name=cosent", "loss.symmetric=false", "data.score_column=score")
    assert make_dataset(scored, ROWS, 1).column_names == ["anchor", "positive", "score"]
    texts = small_options(folder, "loss.name=simcse", "loss.symmetric=false", *prompts)
    dataset = make_dataset(texts, ROWS, 1)
    assert dataset["anchor"] == dataset["positive"] and len(dataset) == 2 * len(ROWS)
    assert prompts_by_column(texts, dataset.column_names) == {"anchor": "d", "positive": "d"}


def test_simcse_without_dropout_is_refused_and_the_config_keeps_its_own(folder) -> None:
    options = small_options(folder, "loss.name=simcse", "loss.symmetric=false", "encoder.dropout=0")
    with pytest.raises(ValueError, match="dropout: got 0"):
        set_dropout(load_sentence_model(options)[0], options)
    options = small_options(folder, "loss.name=simcse", "loss.symmetric=false", "encoder.dropout=0.3")
    model, _ = load_sentence_model(options)
    before = encoder_of(model).config.hidden_dropout_prob
    assert set_dropout(model, options) == 0.3 and encoder_of(model).config.hidden_dropout_prob == before
