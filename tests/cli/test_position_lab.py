"""A small position lab: its runs are ordinary ones, it goes on where it stopped, its report says what it measured."""

import json
from pathlib import Path

import numpy as np
import pytest
from accelerate.state import AcceleratorState
from matplotlib.image import imread
from scipy.stats import ttest_rel
from typer.testing import CliRunner

from hf_embeddings.cli.main import app
from hf_embeddings.lab.position_lab import PositionLab
from hf_embeddings.pretraining.options import PositionLabOptions
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.pretraining.run import pretrain
from hf_embeddings.typed_yaml.options_file import read_options

ROOT = Path(__file__).parents[2]
LAB = ROOT / "configs/pretraining/position-lab.yaml"
SMALL = (
    "corpus.evaluation_fraction=0.2 tokenizer.vocab_size=300 training.max_steps=3 training.tokens_per_step=256 "
    "model.hidden_size=16 model.intermediate_size=16 model.max_position_embeddings=32 examples.max_length=32 "
    "lab.seeds=[0] lab.timing_rounds=1 lab.judge=false"
).split()


def words(generator: np.random.Generator, count: int) -> str:
    drawn = generator.choice("red green blue salt sugar cloud river stone light paper north winter".split(), count)
    return " ".join(word + ("." if place % 9 == 8 else "") for place, word in enumerate(drawn))


@pytest.fixture(scope="module")
def overrides(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    AcceleratorState._reset_state(reset_partial_state=True)  # of earlier tests in this process
    folder, generator = tmp_path_factory.mktemp("lab"), np.random.default_rng(0)
    texts = [words(generator, int(count)) for count in generator.integers(10, 300, size=60)]
    (folder / "texts.txt").write_text("\n\n".join(texts), encoding="utf-8")
    return [
        *SMALL, f"corpus.source={folder / 'texts.txt'}", f"output_dir={folder / 'out'}",
        f"model.base={ROOT / 'configs/model/tiny.json'}",
    ]  # fmt: skip


def run(*arguments: str):
    return CliRunner().invoke(app, ["position-lab", str(LAB), *arguments, "--json"])


def lab(overrides: list[str], *more: str) -> PositionLab:
    options = read_options(PositionLabOptions, LAB, [*overrides, *more])
    return PositionLab(options, base_config=Path(options.model.base), say=lambda line: None)


def test_a_lab_measures_every_type_and_goes_on(overrides: list[str], capfd) -> None:
    first = run(*overrides, "lab.positions=[learned, rope]")
    assert first.exit_code == 0, first.output
    folder = Path(json.loads(first.stdout)["positions"] and overrides[-2].partition("=")[2])
    before = (folder / "runs/rope-seed0/model.safetensors").stat().st_mtime_ns
    summary = json.loads(run(*overrides, "lab.positions=[learned, rope, none]", "lab.seeds=[0, 1]").stdout)
    assert (folder / "runs/rope-seed0/model.safetensors").stat().st_mtime_ns == before
    assert {name: row["seeds"] for name, row in summary["positions"].items()} == dict.fromkeys(
        ["learned", "rope", "none"], [0, 1]
    )
    rows = summary["positions"]
    assert rows["learned"]["losses_by_length"]["2"] is None and rows["learned"]["step_ratio"] == 1
    assert all(rows["rope"]["losses_by_length"][factor]["mean"] > 0 for factor in "124")
    state = json.loads((folder / "position-lab.json").read_text())
    assert rows["none"]["mlm_loss"]["mean"] == np.mean([state["runs"][f"none-seed{s}"]["mlm_loss"] for s in (0, 1)])
    report = (folder / "position-lab.md").read_text()
    [line] = [line for line in report.splitlines() if line.startswith("| `learned` |") and "ends" in line]
    assert f"{rows['learned']['mlm_loss']['mean']:.3f} ±" in line and line.count("ends") == 2
    own, base = ([state["runs"][f"{name}-seed{s}"]["mlm_loss"] for s in (0, 1)] for name in ("rope", "learned"))
    difference = rows["rope"]["mlm_loss_difference"]
    assert difference["mean"] == pytest.approx(np.mean(own) - np.mean(base))
    assert difference["p_value"] == pytest.approx(ttest_rel(own, base).pvalue)
    assert "relation_accuracy_difference" in rows["rope"] and "mlm_loss_difference" not in rows["learned"]
    assert rows["rope"]["mlm_loss"]["half_width"] != rows["none"]["mlm_loss"]["half_width"]
    assert rows["learned"]["failed"] == 2 and "`learned` (2 of 2)" in report  # after 3 steps nothing is learned
    assert imread(folder / "position-lab.png").std() > 0.02
    more = json.loads(run(*overrides, "lab.positions=[learned, rope, alibi]", "lab.seeds=[0, 2]", "--report").stdout)
    assert {name: row["seeds"] for name, row in more["positions"].items()} == {"learned": [0], "rope": [0]}
    other = run(*overrides, "training.max_steps=4")
    assert isinstance(other.exception, ValueError) and "other options" in str(other.exception)


def test_runs_of_a_lab_are_ordinary_runs(overrides: list[str], tmp_path: Path) -> None:
    own = lab(overrides, f"output_dir={tmp_path / 'lab'}", "lab.positions=[alibi]")
    [cell] = own.cells
    own.run(cell)
    file = own.folder(cell) / "pretraining.yaml"
    alone = load_options(file, [f"output_dir={tmp_path / 'alone'}"])
    pretrain(alone, base_config=Path(alone.model.base))
    assert (tmp_path / "alone/model.safetensors").read_bytes() == (own.folder(cell) / "model.safetensors").read_bytes()


def test_longer_examples_are_of_the_same_documents(overrides: list[str]) -> None:
    own = lab(overrides)
    corpus = own.data.evaluation.corpus
    tokens = np.diff(corpus.sentence_starts[corpus.document_starts])
    assert (tokens >= 128).sum() > 1 and (tokens < 128).sum() > 1
    for factor in (1, 2, 4):
        batches = own.length_batches(factor)
        lengths = np.concatenate([np.diff(batch["cu_seq_lens"]) for batch in batches])
        longest = max(int(batch["position_ids"].max()) + 1 for batch in batches)
        assert 32 * (factor - 1) < longest <= 32 * factor and len(lengths)
    with pytest.raises(ValueError, match="no held-out document has the 3200 tokens"):
        lab(overrides, "lab.length_factors=[100]").length_batches(1)


def test_long_documents_whose_sentences_fill_no_example_are_told_as_such(overrides: list[str], monkeypatch) -> None:
    monkeypatch.setattr("hf_embeddings.lab.position_lab.NEARLY_FULL", 2.0)
    with pytest.raises(ValueError, match="no held-out document of 64 tokens or more has sentences in a row that fill"):
        lab(overrides, "lab.length_factors=[2]").length_batches(2)


def test_documents_that_are_too_short_are_told_before_the_first_run(overrides: list[str], tmp_path: Path) -> None:
    failed = run(*overrides, f"output_dir={tmp_path / 'lab'}", "lab.positions=[alibi]", "lab.length_factors=[100]")
    assert "no held-out document has the 3200 tokens" in str(failed.exception)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    "mistake, message",
    [
        ("lab.positions=[learned, absolute]", "here it is 'learned'"),
        ("lab.seeds=[]", "seeds: got []"),
        ("lab.seeds=[1, 1]", "different"),
        ("lab.length_factors=[1]", "from 2 on"),
        ("lab.type=[rope]", "unknown key"),
        ("examples.objectives=[nsp]", "expected mlm among them"),
    ],
)
def test_mistakes_are_one_line(overrides: list[str], mistake: str, message: str) -> None:
    failed = run(*overrides, "corpus.source=pydoc:torch", mistake)
    assert isinstance(failed.exception, ValueError) and message in str(failed.exception)


def test_runs_are_judged_once_also_those_of_earlier_calls(overrides: list[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("hf_embeddings.lab.judgement.STEPS", 2)
    monkeypatch.setattr("hf_embeddings.evaluation.grammar.PAIRS", 2)
    small = [*overrides, f"output_dir={tmp_path / 'lab'}", "lab.positions=[none]", "lab.length_factors=[]"]
    assert run(*small).exit_code == 0
    summary = json.loads(run(*small, "lab.judge=true").stdout)
    [row] = summary["positions"].values()
    judged = row["judged"]
    assert list(row["losses_by_length"]) == ["1"] and "grammar_zh" not in judged  # no Chinese in the vocabulary
    assert {name for name in judged if name.startswith("task")} == {"task_order", "task_content"}
    assert all(
        abs(judged[f"shuffled_{size}"]["mean"]) < 1e-4 for size in (1, 2, 4)
    )  # without positions, order is nothing
    state = (tmp_path / "lab/position-lab.json").read_text()
    assert run(*small, "lab.judge=true").exit_code == 0 and (tmp_path / "lab/position-lab.json").read_text() == state
    lines = (tmp_path / "lab/position-lab.csv").read_text().splitlines()
    assert f"none,task_order,{judged['task_order']['mean']},,1" in lines
    latex = (tmp_path / "lab/position-lab.tex").read_text()
    assert latex.count(r"\begin{tabular}") == 3 and r"\texttt{none}" in latex
    assert "| `none` |" in (tmp_path / "lab/position-lab.md").read_text().partition("## What was learned of order")[2]
