"""A run says what it is worth: what is no better than chance is never called good."""

import json
import math

import numpy as np
import pytest
import torch

from hf_embeddings import TriEmbedConfig, TriEmbedForPreTraining
from hf_embeddings.analysis.intervals import Z
from hf_embeddings.pretraining.examples.batches import IGNORED, make_batch
from hf_embeddings.pretraining.examples.chunks import cut_chunks
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.options import ExampleOptions
from hf_embeddings.pretraining.training.detection_figures import with_detection
from hf_embeddings.pretraining.training.held_out import clustered_error, evaluate_held_out
from hf_embeddings.pretraining.training.objectives import OBJECTIVES, summed_loss
from hf_embeddings.pretraining.training.worth import judge
from hf_embeddings.records.run import ObjectiveFigures, Worth, flat, unflat
from tests.pretraining.numbered_corpus import VOCABULARY, numbered_corpus

GOOD = {
    "unigram_loss": 5.9, "mlm_loss": 3.0, "mlm_loss_low": 2.9, "mlm_loss_high": 3.1, "mlm_labels": 500,
    "mlm_accuracy": 0.4, "mlm_accuracy_low": 0.3, "mlm_accuracy_high": 0.5, "nsp_labels": 300, "nsp_loss": 0.5,
    "nsp_accuracy": 0.8, "nsp_accuracy_low": 0.76, "nsp_accuracy_high": 0.84,
}  # fmt: skip
FIGURES = ObjectiveFigures(loss=0.3, accuracy=0.9, accuracy_low=0.8, accuracy_high=0.95, labels=400)
AT_CHANCE = {"nsp_accuracy": 0.505, "nsp_accuracy_low": 0.483, "nsp_accuracy_high": 0.527}
LIKE_WORDS = {"mlm_loss": 5.88, "mlm_loss_low": 5.82, "mlm_loss_high": 5.94}


@pytest.mark.parametrize(
    "change, verdict, words",
    [
        ({}, "learned", []),
        (LIKE_WORDS, "learned in part", ["5.880 nats", "5.900 for token frequencies"]),
        (AT_CHANCE, "learned in part", ["NSP accuracy 50.5%", "48.3% to 52.7%", "chance"]),
        (LIKE_WORDS | AT_CHANCE, "learned nothing", ["nats", "chance"]),
        ({"nsp_accuracy": 0.4, "nsp_accuracy_low": 0.3, "nsp_accuracy_high": 0.45}, "learned in part", ["chance"]),
        ({"mlm_loss": math.nan, "mlm_loss_low": math.nan, "mlm_loss_high": math.nan}, "learned in part", ["nan nats"]),
        ({"mlm_unknown_labels": 300}, "learned in part", ["60% of the tokens", "[UNK]"]),
        ({"mlm_unknown_labels": 200}, "learned", []),
    ],
)
def test_the_verdict_follows_the_intervals(change: dict, verdict: str, words: list[str]) -> None:
    worth = judge(unflat(GOOD | change), GOOD["unigram_loss"])
    assert worth.verdict == verdict and all(word in worth.sentence() for word in words)
    assert ("ready for the Hub" in worth.sentence()) is (verdict == "learned")
    assert ("worth nothing" in worth.sentence()) is (verdict == "learned nothing")
    assert Worth.from_dict(json.loads(json.dumps(worth.to_dict()))) == worth


DETECTION = {
    "generator_loss": 3.0, "generator_loss_low": 2.9, "generator_loss_high": 3.1, "generator_labels": 500,
    "generator_accuracy": 0.4, "generator_accuracy_low": 0.3, "generator_accuracy_high": 0.5, "rtd_loss": 0.3,
    "rtd_labels": 3000, "rtd_accuracy": 0.9, "rtd_accuracy_low": 0.89, "rtd_accuracy_high": 0.91,
    "rtd_replaced_share": 0.1, "rtd_recall": 0.0, "rtd_roc_auc": 0.7, "rtd_roc_auc_low": 0.65, "rtd_roc_auc_high": 0.75,
}  # fmt: skip


@pytest.mark.parametrize(
    "change, verdict, words",
    [
        ({}, "learned", []),
        ({"rtd_roc_auc_low": 0.49}, "learned in part", ["0.490 to", "chance", "10.0% of the tokens", "right in 90.0%"]),
        ({"rtd_roc_auc": None, "rtd_replaced_share": 0.0}, "learned in part", ["nothing to tell apart"]),
        ({"generator_loss_high": 5.95, "rtd_roc_auc_low": 0.4}, "learned nothing", ["MLM loss of the generator"]),
    ],
)
def test_a_detector_that_calls_all_original_is_at_chance(change: dict, verdict: str, words: list[str]) -> None:
    """Its accuracy is high, as most tokens are."""
    values = {name: value for name, value in (DETECTION | change).items() if value is not None}
    if values.get("rtd_roc_auc") is None:
        values = {name: value for name, value in values.items() if "roc_auc" not in name}
    worth = judge(unflat(values), GOOD["unigram_loss"])
    assert worth.verdict == verdict and all(word in worth.sentence() for word in words)


def test_detection_is_measured_by_pairs_of_both_kinds() -> None:
    """The area is the share of pairs in the right order, 0.5 for a constant score; examples are drawn, not tokens."""
    draw = np.random.default_rng(0)
    areas, errors = [], []
    for _ in range(200):
        labels = (draw.random(400) < 0.15).astype(np.int64)
        examples = np.repeat(np.arange(40), 10)
        scores = draw.normal(size=400) + draw.normal(size=40)[examples] + labels
        found = with_detection(FIGURES, labels, scores, examples)
        areas.append(found.roc_auc)
        errors.append((found.roc_auc_high - found.roc_auc) / Z)
    pairs = scores[labels == 1][:, None] - scores[labels == 0]
    assert found.roc_auc == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2)
    assert found.recall == pytest.approx((scores[labels == 1] > 0).mean())
    assert found.precision == pytest.approx(labels[scores > 0].mean())
    assert np.mean(errors) == pytest.approx(np.std(areas), rel=0.15)
    same = with_detection(FIGURES, labels, np.full(400, -2.0), examples)
    assert same.roc_auc == 0.5 and same.recall == 0 and same.precision is None


def test_one_objective_that_fails_is_all_there_is() -> None:
    alone = {name: value for name, value in (GOOD | AT_CHANCE).items() if not name.startswith("mlm")}
    assert judge(unflat(alone), GOOD["unigram_loss"]).verdict == "learned nothing"


def batches_and_model(objectives: list[str]) -> tuple[list[dict], TriEmbedForPreTraining]:
    chunks = cut_chunks(numbered_corpus(), max_tokens=61)
    schedule = Schedule.plan(chunks, tokens_per_batch=640, seed=0, relation=objectives[-1])
    examples = ExampleOptions(max_length=64, objectives=objectives)
    torch.manual_seed(0)
    config = TriEmbedConfig(
        vocab_size=5000, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        initializer_range=0.5,
    )  # fmt: skip
    batches = [make_batch(schedule, *schedule.batch(number), VOCABULARY, examples) for number in range(3)]
    return batches, TriEmbedForPreTraining(config)


@pytest.mark.parametrize("relation", ["nsp", "sop"])
def test_an_evaluation_is_the_mean_over_all_labels(relation: str) -> None:
    batches, model = batches_and_model(["mlm", relation])
    figures = flat(evaluate_held_out(model, batches, ["mlm", relation], torch.device("cpu")))
    with torch.no_grad():
        for name in ("mlm", relation):
            outputs = [model.eval()(**inputs) for inputs in map(_inputs, batches)]
            labels = torch.cat([batch[OBJECTIVES[name].labels] for batch in batches])
            total = sum(summed_loss(name, output, batch).item() for output, batch in zip(outputs, batches, strict=True))
            scores = torch.cat([output[OBJECTIVES[name].logits] for output in outputs])
            assert figures[f"{name}_labels"] == (labels != IGNORED).sum()
            assert figures[f"{name}_loss"] == pytest.approx(total / figures[f"{name}_labels"], rel=1e-5)
            assert figures[f"{name}_accuracy"] == (scores.argmax(-1) == labels).sum() / figures[f"{name}_labels"]
            assert figures[f"{name}_loss_low"] < figures[f"{name}_loss"] < figures[f"{name}_loss_high"]


def _inputs(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    names = ("input_ids", "token_type_ids", "position_ids", "masked_lm_positions")
    bounds = batch["cu_seq_lens"]
    longest = int(batch["position_ids"].max()) + 1
    lengths = {"max_length_q": longest, "max_length_k": longest}
    return {name: batch[name] for name in names} | {"cu_seq_lens_q": bounds, "cu_seq_lens_k": bounds} | lengths


def test_labels_that_are_unknown_are_told_apart() -> None:
    """The loss is the mean of both kinds, weighted by their numbers."""
    batches, model = batches_and_model(["mlm", "nsp"])
    labels = torch.cat([batch["labels"] for batch in batches])
    unknown = int(labels[labels != IGNORED][0])
    figures = flat(evaluate_held_out(model, batches, ["mlm", "nsp"], torch.device("cpu"), unknown=unknown))
    count = int((labels == unknown).sum())
    assert figures["mlm_unknown_labels"] == count > 0
    only = [batch | {"labels": torch.where(batch["labels"] == unknown, unknown, IGNORED)} for batch in batches]
    of_unknown = flat(evaluate_held_out(model, only, ["mlm"], torch.device("cpu")))
    others = figures["mlm_labels"] - count
    mean = (of_unknown["mlm_loss"] * count + figures["mlm_loss_without_unknown"] * others) / figures["mlm_labels"]
    assert figures["mlm_loss"] == pytest.approx(mean)
    assert "mlm_unknown_labels" not in flat(
        evaluate_held_out(model, batches, ["mlm"], torch.device("cpu"), unknown=4999)
    )


def test_the_error_of_a_mean_knows_that_labels_of_an_example_are_alike() -> None:
    generator = np.random.default_rng(0)
    means, errors = [], []
    for _ in range(300):
        values = np.repeat(generator.normal(size=40), 5) + 0.1 * generator.normal(size=200)
        means.append(values.mean())
        errors.append(clustered_error(values, np.repeat(np.arange(40), 5)))
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.15)
    assert np.std(means) > 1.8 * np.std(values) / math.sqrt(200)  # what counting each label alone would say
