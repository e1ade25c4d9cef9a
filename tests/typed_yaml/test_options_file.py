"""Options files: what is given beside one beats it, and a dump reads back as equal options."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_embeddings.corpora.options import CorpusOptions
from hf_embeddings.pretraining.options import (
    CardOptions,
    ExampleOptions,
    ModelOptions,
    PretrainingOptions,
    TrainingOptions,
)
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.typed_yaml.options_file import dump
from tests.typed_yaml.loading import MINIMAL, Fail, Load


def test_overrides_beat_the_file_and_the_last_one_wins(load: Load) -> None:
    loaded = load("training:\n  max_steps: 5\n  logging_steps: 7\n", "training.max_steps=6", "training.max_steps=8")
    assert loaded.training == TrainingOptions(max_steps=8, logging_steps=7)


def test_an_override_mends_a_bad_value_and_gives_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("output_dir: out\nseed: five\ncorpus: {source: x}\n")
    loaded = load_options(tmp_path / "run.yaml", ["seed=5", "model.base=tiny.json"])
    assert (loaded.seed, loaded.model.base) == (5, "tiny.json")


@pytest.mark.parametrize(
    ("override", "text"),
    [
        (
            "training.max_step=5",
            "training.max_step: got an unknown key, expected a field of training; did you mean max_s",
        ),
        ("trainig.max_steps=5", "trainig: got an unknown key, expected a field of a run; did you mean training?"),
        ("training.max_steps=1.5", "training.max_steps: got '1.5', expected a whole number"),
        ("training.max_steps=0", "training.max_steps: got 0, expected at least 1"),
        ("training.logging_steps=", "training.logging_steps: got nothing, expected a whole number"),
        ("training=5", "training: got '5', expected a section"),
        ("output_dir.x=5", "output_dir: got 'out' from run.yaml:1, expected a section"),
        ("seed.x=5", "seed: got a mapping, expected a whole number"),
        ("card.name=a: b", "card.name: got a mapping, expected text; write some, in quotes if it holds ': '"),
        ("card.name=model #3", "card.name: got 'model #3', which YAML cuts at ' #', expected one value"),
        ("card.language=en", "card.language: got 'en', expected a list; write it in brackets"),
        ("corpus.source=*.txt", "got invalid YAML"),
        ("corpus.source=[", "got invalid YAML"),
        ("seed=\x00", "got invalid YAML (the character 0x00)"),
        (
            "examples.random_token_fraction=0.5",
            "examples.random_token_fraction: got 0.5 beside mask_token_fraction 0.8",
        ),
        ("seed", "got 'seed' as the key, expected section.field=value"),
        ("=5", "got '' as the key, expected section.field=value"),
        (".seed=5", "got '.seed' as the key, expected section.field=value"),
        ("card.name=a\nb: c", "got invalid YAML"),
    ],
)
def test_errors_of_overrides_name_the_override(fail: Fail, override: str, text: str) -> None:
    assert fail(MINIMAL, override).startswith(f"override {override!r}: {text}")


def test_dotted_overrides_reach_into_a_mapping(load: Load) -> None:
    loaded = load("", "model.rope_parameters={rope_type: default}", "model.rope_parameters.rope_theta=5")
    assert loaded.model.overrides == {"rope_parameters": {"rope_type": "default", "rope_theta": 5}}


FINITE = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
TEXTS = st.text(max_size=30)
PLACES = TEXTS.filter(lambda text: "~" not in text)  # which is expanded
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OPTIONS = st.builds(
    PretrainingOptions,
    output_dir=PLACES,
    seed=st.integers(0, 2**63 - 1),
    model=st.builds(
        ModelOptions,
        base=PLACES,
        overrides=st.fixed_dictionaries(
            {},
            optional={
                "hidden_size": st.integers(),
                "hidden_dropout_prob": st.integers() | FINITE,
                "embedding_scale": st.booleans(),
                "layer_types": st.none() | st.lists(TEXTS, max_size=3),
                "rope_parameters": st.none() | st.dictionaries(TEXTS, JSON, max_size=3),
            },
        ),
    ),
    corpus=st.builds(
        CorpusOptions, source=PLACES, max_documents=st.none() | st.integers(2), hub_config=st.none() | TEXTS
    ),
    examples=st.builds(
        ExampleOptions,
        objectives=st.sampled_from([["mlm"], ["mlm", "nsp"], ["nsp", "mlm"]]),
        mask_token_fraction=st.floats(0, 0.9),
    ),
    training=st.builds(
        TrainingOptions,
        learning_rate=POSITIVE,
        max_hours=st.none() | POSITIVE,
        mixed_precision=st.sampled_from(["auto", "no", "bf16", "fp16"]),
        tensorboard=st.booleans(),
    ),
    card=st.builds(CardOptions, name=st.none() | TEXTS, language=st.lists(TEXTS, max_size=3)),
)


@given(OPTIONS)
def test_a_dump_reads_back_as_equal(tmp_path_factory: pytest.TempPathFactory, options: PretrainingOptions) -> None:
    path = tmp_path_factory.getbasetemp() / "dump.yaml"
    path.write_text(dump(options), encoding="utf-8")
    loaded = load_options(path)
    assert loaded == options
    assert repr(loaded) == repr(options)  # types too: 1 == 1.0 == True


@pytest.mark.parametrize(
    "text", ["", "null", "~", "no", "true", "1e5", "0E0", ".5", "1_0", "\x85", "\u2028", "a\r\nb", " a: #b "]
)
def test_text_that_looks_like_something_else_stays_text(tmp_path: Path, load: Load, text: str) -> None:
    overrides: dict[str, object] = {"hidden_act": text, "rope_parameters": {text: text}}
    options = dataclasses.replace(
        load(), model=ModelOptions(base=text.strip("~"), overrides=overrides), card=CardOptions(name=text)
    )
    (tmp_path / "dump.yaml").write_text(dump(options), encoding="utf-8")
    assert load_options(tmp_path / "dump.yaml") == options


def test_a_list_that_is_shared_is_written_twice() -> None:
    shared = ["en", "de"]
    options = PretrainingOptions(
        output_dir="out",
        model=ModelOptions(base="x", overrides={"layer_types": shared}),
        corpus=CorpusOptions(source="x"),
        card=CardOptions(language=shared),
    )
    assert "&" not in dump(options)
