"""What stands in an options file: a field decides its value's type, and a mistake is one line that says where."""

import operator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_embeddings.pretraining import options as options_module
from hf_embeddings.pretraining.options import (
    CardOptions,
)
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.typed_yaml.fields import to_dict
from hf_embeddings.typed_yaml.nodes import OptionsError
from tests.typed_yaml.loading import MINIMAL, Fail, Load, checked


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("seed", "7", 7),
        ("seed", "1_000", 1000),
        ("seed", "9223372036854775807", 2**63 - 1),
        ("training.learning_rate", "1e-4", 1e-4),
        ("training.learning_rate", "1", 1.0),
        ("training.learning_rate", ".5", 0.5),
        ("training.learning_rate", "1_0.5E+1", 105.0),
        ("training.max_hours", "2", 2.0),
        ("training.max_hours", "null", None),
        ("training.max_hours", "~", None),
        ("training.max_hours", "", None),
        ("training.mixed_precision", "no", "no"),
        ("training.mixed_precision", "'no'", "no"),
        ("training.tensorboard", "false", False),
        ("card.language", "[no, de]", ["no", "de"]),
        ("card.language", "[]", []),
        ("card.name", "null", None),
        ("card.name", "'null'", "null"),
        ("card.name", "2024-01-01", "2024-01-01"),
        ("card.name", "012", "012"),
        ("card.name", "yes", "yes"),
        ("card.name", '""', ""),
        ("card.name", "a=b", "a=b"),
        ("corpus.source", "data/a#1:b*.txt", "data/a#1:b*.txt"),
    ],
)
def test_the_field_decides_the_type(load: Load, path: str, text: str, expected: object) -> None:
    by_override = operator.attrgetter(path)(load("", f"{path}={text}"))
    assert by_override == expected and type(by_override) is type(expected)
    if not path.startswith("corpus"):  # which the minimal file has already
        section, _, name = path.rpartition(".")
        by_file = operator.attrgetter(path)(load(f"{section}: {{{name}: {text}}}" if section else f"{name}: {text}"))
        assert by_file == expected and type(by_file) is type(expected)


def test_block_style_and_comments_are_read(load: Load) -> None:
    loaded = load("card:\n  language:  # of the corpus\n  - en\n  - no\n  name: |\n    two\n    lines\n")
    assert loaded.card == CardOptions(name="two\nlines\n", language=["en", "no"])


def test_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(MINIMAL, encoding="utf-8-sig")
    assert load_options(tmp_path / "run.yaml").output_dir == "out"


def test_tuples_are_read_and_written_as_lists(monkeypatch: pytest.MonkeyPatch, load: Load) -> None:
    monkeypatch.setattr(options_module, "model_fields", lambda: {"sizes": tuple[int, ...]})
    loaded = load("", "model.sizes=[1, 2]")
    assert loaded.model.overrides == {"sizes": (1, 2)}
    assert to_dict(loaded)["model"] == {"base": "tiny.json", "sizes": [1, 2]}


@pytest.mark.parametrize(
    ("added", "text"),
    [
        (
            "training: {max_step: 3}",
            "5: training.max_step: got an unknown key, expected a field of training; did you mean",
        ),
        (
            "training:\n  max_steps: 3\n  zzz: 3",
            "7: training.zzz: got an unknown key, expected a field of training; cho",
        ),
        ("sead: 3", "5: sead: got an unknown key, expected a field of a run; did you mean seed?"),
        ("<<: {seed: 3}", "5: <<: got an unknown key"),
        ("model_overrides: {}", "5: model_overrides: got an unknown key"),
        ("training:\n  max_steps: 1.5", "6: training.max_steps: got '1.5', expected a whole number"),
        ("training:\n  max_steps:\n  - 1", "7: training.max_steps: got a list, expected a whole number"),
        (
            "training:\n\n  mixed_precision: bf15",
            "7: training.mixed_precision: got 'bf15', expected one of auto, no, bf16, fp1",
        ),
        ("training: {learning_rate: .nan}", "5: training.learning_rate: got '.nan', expected a finite number"),
        ("training: {learning_rate: nan}", "5: training.learning_rate: got 'nan', expected a finite number"),
        ("training: {learning_rate: -.inf}", "5: training.learning_rate: got '-.inf', expected a finite number"),
        ("training: {learning_rate: 1e999}", "5: training.learning_rate: got '1e999', expected a finite number"),
        ("training: {learning_rate: 0}", "5: training.learning_rate: got 0.0, expected above 0; choose"),
        ("training: {adam_beta1: 1}", "5: training.adam_beta1: got 1.0, expected at least 0 and below 1"),
        ("training: {max_hours: 0}", "5: training.max_hours: got 0.0, expected above 0"),
        ("seed: -1", "5: seed: got -1, expected at least 0 and at most 9223372036854775807"),
        ("seed: 010", "5: seed: got '010', expected a whole number"),
        ("seed: '5'", "5: seed: got the quoted text '5', expected a whole number; write digits, without quotes"),
        ("seed: " + "9" * 5000, "5: seed: got '999999999"),
        ("seed: null", "5: seed: got null, expected a whole number"),
        ("tokenizer: {lowercase: no}", "5: tokenizer.lowercase: got 'no', expected true or false; write true or false"),
        ("tokenizer: {lowercase: 1}", "5: tokenizer.lowercase: got '1', expected true or false"),
        ("tokenizer: 5", "5: tokenizer: got '5', expected a section (`key: value` lines)"),
        ("tokenizer:", "5: tokenizer: got nothing, expected a section"),
        ("tokenizer: {algorithm: }", "5: tokenizer.algorithm: got nothing, expected"),
        ("card: {language: en}", "5: card.language: got 'en', expected a list"),
        ("card: {language: [en, null]}", "5: card.language[1]: got null, expected text"),
        ("seed: 1\nseed: 2", "6: seed: got a second value (the first: run.yaml:5), expected each key once"),
        ("card:\n  name: a\n  name: b", "7: card.name: got a second value (the first: run.yaml:6)"),
        ("seed: !!python/object/apply:os.getcwd []", "5: seed: got the tag !!python/object/apply:os.getcwd"),
        ("card:\n  name: !mine x", "6: card.name: got the tag !mine, expected a plain value"),
        ("card: &card {name: a}", "5: card: got the anchor &card, expected a plain value"),
        ("card:\n  name: *other", "6: card.name: got the alias *other, expected a plain value"),
        ("? [a]\n: 3", "5: got a list as a key, expected a word"),
        ('"a\\nb\\u2028c": 3', "5: a b c: got an unknown key"),
        ("card: {name: a: b}", "5: got invalid YAML ("),
        ("card:\n\tname: a", "6: got invalid YAML (found character '\\t' that cannot start any token)"),
        ("card: [", "5: got invalid YAML ("),
        ('card: {name: "\\UFFFFFFFF"}', "5: got invalid YAML ("),
        ("card: {name: \x07}", "5: got invalid YAML (the character 0x07)"),
        ("card: " + "[" * 5000, "5: got invalid YAML ("),
        ("---\nseed: 3", "5: got invalid YAML ("),
        ("examples:\n  max_length: 4", "6: examples.max_length: got 4, expected at least 8"),
        (
            "examples:\n  random_token_fraction: 0.3\n  mask_token_fraction: 0.8",
            "6: examples.random_token_fraction: got 0.3 beside mask_token_fraction 0.8, expected a sum of at most 1",
        ),
        ("examples: {objectives: []}", "5: examples.objectives: got [], expected one of mlm, nsp and sop"),
        ("examples: {objectives: [nsp, sop]}", "5: examples.objectives: got ['nsp', 'sop'], expected one of mlm"),
        (
            "examples: {objective_weights: {nsp: -1}}",
            "5: examples.objective_weights: got -1.0 for 'nsp', expected a number",
        ),
        (
            "examples: {objective_weights: {sop: 1}}",
            "5: examples.objective_weights: got 1.0 for 'sop', expected a number",
        ),
        ("examples: {objectives: [mlm, mlm]}", "5: examples.objectives: got ['mlm', 'mlm'], expected one of mlm"),
        (
            "examples: {objectives: [mlm, nps]}",
            "5: examples.objectives[1]: got 'nps', expected one of mlm, nsp, sop, rtd; did you",
        ),
    ],
)
def test_errors_name_file_line_and_field(fail: Fail, added: str, text: str) -> None:
    assert fail(MINIMAL + added).startswith(f"run.yaml:{text}")


@pytest.mark.parametrize(
    ("corpus", "text"),
    [
        ("{source: a, sources: [{source: b}]}", "corpus.source: got 'a' beside 1 sources, expected source or sources"),
        ("{sources: [{source: b}, {source: b}]}", "corpus.sources: got 'b' twice, expected each source once"),
        ("{sources: [{source: b, weight: 0}]}", "corpus.sources[0].weight: got 0.0, expected at least 0.001"),
        ("{sources: [{weight: 2}]}", "corpus.sources[0].source: got nothing, expected text"),
        (
            "{source: a, counterfactual_share: 0.5}",
            "corpus.counterfactual_share: got 0.5 without counterfactual, expected lists of words beside it",
        ),
        ("{source: a, near_duplicates: 0.2}", "corpus.near_duplicates: got 0.2, expected at least 0.5 and at most 1"),
    ],
)
def test_mistaken_sources_are_named(fail: Fail, corpus: str, text: str) -> None:
    assert fail(f"output_dir: out\nmodel: {{base: tiny.json}}\ncorpus: {corpus}\n").startswith(f"run.yaml:3: {text}")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "1: got nothing, expected `key: value` lines at the top level"),
        ("# to do\n", "1: got nothing, expected `key: value` lines at the top level"),
        ("\n- a", "2: got a list, expected `key: value` lines at the top level"),
        ("hello", "1: got 'hello', expected `key: value` lines at the top level"),
        ("# a\nseed: 1", "2: output_dir: got nothing, expected text; add `output_dir:` to the file"),
        (
            "output_dir: x\nmodel: {base: x}",
            "1: corpus.source: got nothing, expected source or sources; give one of them",
        ),
        ("output_dir: x\nmodel:\n  {}", "3: model.base: got nothing, expected text; add `base:` to model"),
        (b"output_dir: x\nseed: \xff", "2: got the byte 0xff, expected UTF-8 text"),
    ],
)
def test_errors_of_the_whole_file(fail: Fail, content: str | bytes, text: str) -> None:
    assert fail(content).startswith(f"run.yaml:{text}")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("none.yaml", "none.yaml: got no such file or directory, expected a YAML file; check the path"),
        ("folder", "folder: got a directory, expected a file; name a regular file"),
    ],
)
def test_unreadable_paths(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OptionsError) as raised:
        load_options(tmp_path / name)
    assert checked(raised.value, tmp_path) == text


@given(st.binary(max_size=80) | st.text(alphabet=" \n\t:-[]{}'\"#&*!|>%,?\\ax01.~\u2028", max_size=40))
def test_any_bytes_load_or_fail_in_one_line(tmp_path_factory: pytest.TempPathFactory, noise: str | bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.yaml"
    path.write_bytes(MINIMAL.encode() + (noise.encode() if isinstance(noise, str) else noise))
    try:
        load_options(path)
    except OptionsError as error:
        checked(error, path.parent)


def test_home_is_expanded_in_places_alone(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    options = load("", "output_dir=~/run", "model.base=~/base", "corpus.source=prepared:~/texts", "card.name=~/name")
    assert options.output_dir == f"{tmp_path}/run" and options.model.base == f"{tmp_path}/base"
    assert options.corpus.source == f"prepared:{tmp_path}/texts" and options.card.name == "~/name"
