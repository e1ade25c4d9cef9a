"""Records: what is written is read back the same, and the keys of the JSON are those that there have always been."""

import json
import math
from pathlib import Path

import pytest

from hf_embeddings.corpora.options import CorpusOptions, TokenizerOptions
from hf_embeddings.corpora.text_sample import TextSample
from hf_embeddings.files.manifest import FileFacts
from hf_embeddings.json_record import JsonRecord
from hf_embeddings.pretraining.checkpoints.facts import CheckpointFacts
from hf_embeddings.pretraining.prepared.facts import CorpusFacts, CorpusPlan, ShardNote
from hf_embeddings.records.evaluation import EvaluationReport
from hf_embeddings.records.health import Health
from hf_embeddings.records.lab import LabRecord, LabSummary
from hf_embeddings.records.positions import PositionReport
from hf_embeddings.records.run import ObjectiveFigures, RunFigures, Worth, flat, unflat
from hf_embeddings.search.settings import IndexSettings, StoreSettings, UnfinishedBuild
from hf_embeddings.typed_yaml.fields import to_dict
from tests.publishing.test_card import FIGURES, REPORT

ROOT = Path(__file__).parents[1]
FILE = {"size": 12, "sha256": "0" * 64}
SAMPLE = {"characters": 9, "unknown": 1, "letters": 8, "changed": 0, "examples": {"é": 2}}
HEALTH = {
    "sampled_characters": 9, "unknown_characters": 0.1, "changed_letters": None, "changed_most": [],
    "sentences_per_document": 2.5, "relation": "nsp", "unknown_tokens": 0.0, "cut_pairs": 0.2, "labeled_pairs": 0.9,
    "masked": 0.15, "masked_asked": 0.15, "empty_sources": ["b.txt"],
}  # fmt: skip
WORTH = {"verdict": "learned in part", "reasons": ["NSP accuracy 50.5% is not better than chance"]}
PLANNED = {name: value for name, value in to_dict(CorpusOptions(source="a.txt")).items() if name != "verify_shards"}
PLAN = {  # with every option: those that an earlier version lacked are filled in (test_resume)
    "format": 1, "corpus": PLANNED, "max_length": 32, "tokenizer": to_dict(TokenizerOptions(vocab_size=200)),
    "shard_tokens": 1500, "streams": 0, "units": [[0, ["a.txt"], 120, [[120, 17]]], [0, [], 0, []]],
}  # fmt: skip
NOTE = {
    "file": FILE, "signatures": None, "documents": 3, "sentences": 9, "tokens": 80, "largest_id": 70,
    "empty_sentences": 0, "text_sample": SAMPLE, "ended": True, "statistics": {"replaced": 1},
}  # fmt: skip
SHARD = {
    "name": "00000-0000.safetensors", "source": 0, "documents": 3, "sentences": 9, "tokens": 80, "largest_id": 70,
    "training": 4, "held_out": 1, "training_skipped": 0, "held_out_skipped": 1, "training_tokens": 60,
    "held_out_tokens": 10,
}  # fmt: skip
CORPUS = {
    "kind": "prepared corpus", "plan": PLAN, "tokenizer": "f" * 64, "max_length": 32,
    "sources": [
        {
            "source": "a.txt", "weight": 1.0, "documents": 3, "tokens": 80, "training": 4, "training_tokens": 60,
            "held_out": 1,
        }
    ],
    "shards": [SHARD], "statistics": {"documents_read": 3}, "text_sample": SAMPLE,
}  # fmt: skip
CHECKPOINT = {
    "identity": {
        "tokenizer.vocab_size": 200, "training.mixed_precision": "fp32", "model.hidden_size": 16, "seed": 0,
        "micro_batches_per_step": 2, "corpus": "abc training",
    },
    "gradient_accumulation_steps": 1, "processes": 2, "versions": {"torch": "2.10"},
}  # fmt: skip
NEWEST = FIGURES | {
    "mlm_loss_low": 3.2, "mlm_loss_high": 3.3, "mlm_unknown_labels": 10, "mlm_loss_without_unknown": 3.0,
    "mlm_accuracy_without_unknown": 0.5, "training_tokens_per_second": 500.0, "training_skipped_steps": 0,
    "device": "a CPU", "output_dir": "runs/demo", "worth": WORTH, "health": HEALTH,
}  # fmt: skip
LAWS = {
    "from": 0, "to": 8, "uniqueness": 1.0, "smoothness": 0.5, "relative_linearity": 0.5,
    "relative_linearity_by_shift": {"1": 0.5, "2": 0.5}, "locality": 0.1, "symmetry": 1.0,
    "translation_invariance": None, "monotonicity": 0.5,
}  # fmt: skip
RUN = {
    "state": "done", "position": "rope", "seed": 0, "mlm_loss": 4.5, "mlm_accuracy": 0.2, "mlm_labels": 500,
    "nsp_accuracy": 0.6, "nsp_labels": 100, "worth": WORTH, "training_tokens": 1000, "parameters": 711170,
    "losses_by_length": {"1": 4.2, "2": None}, "laws": LAWS | {"measured_on": "scores", "extrapolation": LAWS},
}  # fmt: skip
LAB = {
    "options": {"seed": 0, "model": {"base": "tiny.json"}},
    "runs": {"rope-seed0": RUN},
    "step_ratios": {"rope": 1.1},
}
INDEX = {
    "model": "runs/minilm", "precision": "fp32", "recipe": {"pooling": "mean", "max_length": None},
    "weights_sha256": "ab", "tokenizer_sha256": None, "config_sha256": "cd", "ids": "file#digest",
}  # fmt: skip
OLD_INDEX = {name: INDEX[name] for name in ("model", "precision", "recipe", "weights_sha256")}
STORE = {"identity": "12", "store_format": 2, "complete": True}
SUMMARY = json.loads((ROOT / "benchmarks/results/position-lab.json").read_text(encoding="utf-8"))
RECORDS = [
    (FileFacts, FILE),
    (TextSample, SAMPLE),
    (Health, HEALTH),
    (Worth, WORTH),
    (RunFigures, FIGURES),  # of the first version
    (RunFigures, NEWEST),
    (CorpusPlan, PLAN),
    (ShardNote, NOTE),
    (ShardNote, {name: value for name, value in NOTE.items() if name != "text_sample"}),
    (CorpusFacts, CORPUS),
    (CorpusFacts, {name: value for name, value in CORPUS.items() if name != "text_sample"}),
    (CheckpointFacts, CHECKPOINT),
    (EvaluationReport, REPORT),
    (PositionReport, LAWS | {"measured_on": "scores", "extrapolation": None, "extrapolation_ends": "no table"}),
    (LabRecord, LAB),
    (LabRecord, {name: value for name, value in LAB.items() if name != "step_ratios"}),
    (LabSummary, SUMMARY),
    (IndexSettings, INDEX),
    (IndexSettings, OLD_INDEX),  # it knew the digest of the weights only, and named documents by titles
    (StoreSettings, INDEX | STORE),
    (UnfinishedBuild, {"source": "notes.txt", "documents": 4096, "digest": "ef"}),
]


@pytest.mark.parametrize("kind, values", RECORDS)
def test_what_is_written_is_read_back_and_the_keys_stay(kind: type[JsonRecord], values: dict) -> None:
    record = kind.from_dict(values)
    assert kind.from_dict(record.to_dict()) == record
    assert kind.from_dict(json.loads(json.dumps(record.to_dict()))) == record
    assert json.loads(json.dumps(record.to_dict())) == values


def test_a_store_of_another_kind_or_version_is_none_of_ours() -> None:
    for values in ({}, {"owner": "somebody"}, INDEX | STORE | {"store_format": 1}):
        assert StoreSettings.read(values) is None
    assert StoreSettings.read(INDEX | STORE) == StoreSettings.from_dict(INDEX | STORE)


def test_later_keys_are_passed_over_and_missing_ones_are_named() -> None:
    assert Worth.from_dict(WORTH | {"mood": "good"}) == Worth.from_dict(WORTH)
    with pytest.raises(ValueError, match="FileFacts: got a record without 'sha256'"):
        FileFacts.from_dict({"size": 1})


def test_a_figure_that_is_no_number_stays_one() -> None:
    figures = RunFigures.from_dict(json.loads(json.dumps(NEWEST | {"mlm_loss": math.nan})))
    assert math.isnan(figures.held_out["mlm"].loss) and figures.failings == WORTH["reasons"]


def test_the_order_of_the_keys_is_that_of_the_files() -> None:
    assert list(RunFigures.from_dict(NEWEST).to_dict())[:4] == [
        "unigram_loss",
        "mlm_loss",
        "mlm_loss_low",
        "mlm_loss_high",
    ]
    assert list(LabSummary.from_dict(SUMMARY).to_dict()) == list(SUMMARY)


def test_the_figures_of_any_objective_are_read_back() -> None:
    """Also of one that is entered tomorrow."""
    figures = ObjectiveFigures(
        loss=0.5, accuracy=0.75, accuracy_low=0.7, accuracy_high=0.8, labels=40, unknown_labels=3
    )
    assert unflat(flat({"mlm": figures, "speaker": figures}) | {"unigram_loss": 5.0}) == {
        "mlm": figures,
        "speaker": figures,
    }
