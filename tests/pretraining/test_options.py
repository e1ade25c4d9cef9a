"""The options of a run: their defaults, their bounds, and the fields of the model."""

import dataclasses
from pathlib import Path

import pytest

from hf_embeddings.corpora.options import CorpusOptions
from hf_embeddings.pretraining import options as options_module
from hf_embeddings.pretraining.options import (
    ModelOptions,
    PretrainingOptions,
    model_fields,
)
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.typed_yaml.options_file import dump
from tests.typed_yaml.loading import MINIMAL, Fail, Load


def test_minimal_file_gives_the_defaults(load: Load) -> None:
    model, corpus = ModelOptions(base="tiny.json"), CorpusOptions(source="pydoc:os")
    assert load() == PretrainingOptions(output_dir="out", model=model, corpus=corpus)


def test_what_a_source_does_not_say_is_that_of_the_corpus(load: Load) -> None:
    sources = "corpus.sources=[{source: a, weight: 2}, {source: b, text_field: t}]"
    corpus = load("", "corpus.source=null", "corpus.text_field=body", sources).corpus
    assert [(p.source, p.weight, p.text_field, p.hub_split) for p in corpus.parts()] == [
        ("a", 2.0, "body", "train"),
        ("b", 1.0, "t", "train"),
    ]
    assert load("", "corpus.source=prepared:a/b").corpus.prepared == "a/b" and corpus.prepared is None


def test_model_takes_every_field_of_the_config(load: Load) -> None:
    loaded = load(
        "",
        "model.hidden_size=64",
        "model.hidden_dropout_prob=0",
        "model.layer_norm_eps=1e-6",
        "model.position_embedding_type=none",
        "model.norm_position=pre",
        "model.layer_types=null",
        "model.eos_token_id=[1, 2]",
        "model.rope_parameters={rope_type: default, rope_theta: 1e4, extra: {a: [1, 'x', true, null]}}",
    )
    assert loaded.model.overrides == {
        "hidden_size": 64,
        "hidden_dropout_prob": 0,
        "layer_norm_eps": 1e-6,
        "position_embedding_type": "none",
        "norm_position": "pre",
        "layer_types": None,
        "eos_token_id": [1, 2],
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "extra": {"a": [1, "x", True, None]}},
    }
    assert isinstance(loaded.model.overrides["hidden_dropout_prob"], int)


@pytest.mark.parametrize(
    ("override", "text"),
    [
        (
            "model.hidden_siz=3",
            "model.hidden_siz: got an unknown key, expected a field of model; did you mean hidden_size?",
        ),
        ("model.overrides={}", "model.overrides: got an unknown key"),
        ("model.architectures=[x]", "model.architectures: got an unknown key"),
        ("model.hidden_size=wide", "model.hidden_size: got 'wide', expected a whole number"),
        ("model.norm_position=pots", "model.norm_position: got 'pots', expected one of post, pre; did you mean post?"),
        (
            "model.hidden_dropout_prob=x",
            "model.hidden_dropout_prob: got 'x', expected a finite number or a whole number",
        ),
        ("model.eos_token_id=x", "model.eos_token_id: got 'x', expected a whole number or a list or null"),
        ("model.rope_parameters=x", "model.rope_parameters: got 'x', expected a mapping"),
        ("model.rope_parameters={a: 1, a: 2}", "model.rope_parameters.a: got a second value"),
    ],
)
def test_errors_of_the_model_section(fail: Fail, override: str, text: str) -> None:
    assert fail(MINIMAL, override).startswith(f"override {override!r}: {text}")


def test_the_config_is_imported_only_for_its_fields(monkeypatch: pytest.MonkeyPatch, load: Load) -> None:
    def refuse() -> dict[str, object]:
        raise AssertionError("model_fields was called")

    monkeypatch.setattr(options_module, "model_fields", refuse)
    assert load().model == ModelOptions(base="tiny.json")


def test_every_model_field_has_a_type_that_the_loader_reads(fail: Fail) -> None:
    for name in model_fields():
        assert f": model.{name}" in fail(MINIMAL, f"model.{name}={{a: {{b: c}}, a: d}}")


def test_every_default_is_within_its_bounds(load: Load, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(dump(load()), encoding="utf-8")
    assert load_options(tmp_path / "all.yaml") == load()


def test_options_are_frozen(load: Load) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load().seed = 3  # type: ignore[misc]
