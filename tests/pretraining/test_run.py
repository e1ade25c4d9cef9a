"""The whole run on a small corpus of real docstrings, then what a user does with the directory it leaves."""

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM, AutoTokenizer, pipeline

from hf_embeddings import TriEmbedConfig, TriEmbedForPreTraining
from hf_embeddings.cli.main import main
from hf_embeddings.hardware import bf16_is_fast, describe
from hf_embeddings.pretraining.examples.batches import make_batch
from hf_embeddings.pretraining.examples.chunks import cut_chunks
from hf_embeddings.pretraining.examples.pairs import make_pairs
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.pretraining.training import training_data
from hf_embeddings.pretraining.training.gradients import compute_gradients
from hf_embeddings.pretraining.training.held_out import evaluate_held_out
from hf_embeddings.pretraining.training.initial_model import first_model
from hf_embeddings.pretraining.training.optimization import build_optimizers
from hf_embeddings.pretraining.training.training_data import load_training_data
from hf_embeddings.records.health import Health
from tests.pretraining.numbered_corpus import VOCABULARY, numbered_corpus

ROOT = Path(__file__).parents[2]
SMALL = (
    "corpus.source=pydoc:accelerate tokenizer.vocab_size=600 training.max_steps=30 training.max_hours=null "
    "training.mixed_precision=no training.evaluation_examples=100 model.hidden_size=64 model.num_attention_heads=2 "
    "model.intermediate_size=128"
).split()


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    line = [sys.executable, "-m", "hf_embeddings.cli.main", *arguments]
    return subprocess.run(line, capture_output=True, text=True, cwd=cwd, env=environment)


def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *line: str) -> tuple[object, Any]:
    """Run a command here, where all is imported already; return its exit code and what it printed."""
    monkeypatch.setattr(sys, "argv", ["hf-embeddings", *line])
    with pytest.raises(SystemExit) as leaving:
        main()
    return leaving.value.code, capsys.readouterr()


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("run")
    done = command(
        "pretrain", str(ROOT / "configs/pretraining/demo.yaml"), *SMALL, "output_dir=out",
        f"model.base={ROOT / 'configs/model/mini.json'}", "--json", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "out", json.loads(done.stdout)


def test_the_directory_is_whole(run) -> None:
    folder, figures = run
    files = {path.name for path in folder.iterdir()}
    assert files >= {
        "README.md", "config.json", "model.safetensors", "tokenizer.json", "modeling_triembed.py", "pretraining.yaml",
        "pretraining.json", "tensorboard",
    }  # fmt: skip
    assert [path.name for path in folder.parent.iterdir()] == ["out"]
    assert figures["training_steps"] == 30 and figures["nsp_accuracy_low"] < figures["nsp_accuracy"]
    assert load_options(folder / "pretraining.yaml").training.max_steps == 30
    assert f"{figures['unigram_loss']:.3f} nats" in (folder / "README.md").read_text()


def test_a_run_says_what_it_is_worth(run, tmp_path) -> None:
    """Its figures, its last line, its card and `publish` say the same."""
    folder, figures = run
    recorded = json.loads((folder / "pretraining.json").read_text())
    assert recorded["worth"] == figures["worth"] and Health.from_dict(recorded["health"]).warnings() == []
    done = command("pretrain", str(folder / "pretraining.yaml"), "training.max_steps=3", "output_dir=bad", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    last = done.stdout.splitlines()[-1]
    assert "warning" in last and "worth nothing" in last and "token frequencies" in last and "ready for" not in last
    assert re.search(r"(?m)^\[.*\] step 3: 100%", done.stderr)  # also of a run that is over before a line is due
    assert sum(" health: " in line for line in done.stderr.splitlines()) == 1
    reasons = json.loads((tmp_path / "bad/pretraining.json").read_text())["worth"]["reasons"]
    card = (tmp_path / "bad/README.md").read_text()
    assert reasons and all(reason in last and reason in card for reason in reasons) and "```python" not in card
    published = command("publish", "bad", "me/bad", "--dry-run", "--json", cwd=tmp_path)
    assert published.returncode == 0 and json.loads(published.stdout)["failings"] == reasons
    assert all(reason in published.stderr for reason in reasons)
    again = command("pretrain", str(tmp_path / "bad/pretraining.yaml"), cwd=tmp_path)
    assert again.stdout.splitlines()[-1] == last  # it is complete already
    assert "is complete: step 3" in again.stderr and "documents read" not in again.stderr


def test_training_lowers_the_loss(run) -> None:
    _, figures = run
    assert figures["mlm_loss"] < math.log(640)


@pytest.mark.precision
@pytest.mark.parametrize("asked", ["auto", "bf16"])
def test_the_precision_is_told_and_recorded(asked: str, tmp_path) -> None:
    few = "training.max_steps=2 training.evaluation_examples=8 corpus.source=pydoc:safetensors"
    done = command(
        "pretrain", str(ROOT / "configs/pretraining/demo.yaml"), *SMALL, *few.split(), "output_dir=out",
        f"training.mixed_precision={asked}", f"model.base={ROOT / 'configs/model/mini.json'}", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    expected = "bf16" if asked == "bf16" or bf16_is_fast() else "fp32"
    figures = json.loads(done.stdout)
    assert (figures["precision"], figures["device"]) == (expected, describe())
    assert f"precision: {expected}, " in done.stderr
    assert f"| number format | {expected} |" in (tmp_path / "out/README.md").read_text()
    warned = "times as long as fp32" in done.stderr
    assert not warned or (asked == "bf16" and not bf16_is_fast())
    if os.environ.get("ONEDNN_MAX_CPU_ISA") == "AVX2":  # what multiplies has no units; elsewhere the factor decides
        assert warned == (asked == "bf16")


def test_a_new_model_begins_with_the_loss_of_token_frequencies(tmp_path) -> None:
    given = [*SMALL, f"output_dir={tmp_path}", "corpus.source=pydoc:filelock", "tokenizer.vocab_size=300"]
    options = load_options(ROOT / "configs/pretraining/demo.yaml", given)
    data = load_training_data(options, ROOT / "configs/model/mini.json", print)
    model = first_model(data.config, data.base, log_frequencies=data.log_frequencies)
    figures = evaluate_held_out(model, data.held_out, ["mlm"], torch.device("cpu"))
    assert figures["mlm"].loss == pytest.approx(data.baseline, abs=0.1)
    assert data.baseline < math.log(data.config.vocab_size) - 0.2


def test_pipelines_work(run) -> None:
    folder, _ = run
    tokenizer = AutoTokenizer.from_pretrained(folder)
    answers = pipeline("fill-mask", model=str(folder), tokenizer=tokenizer)("Returns a [MASK] model.")
    assert len(answers) == 5 and answers[0]["score"] >= answers[1]["score"]
    features = pipeline("feature-extraction", model=str(folder), tokenizer=tokenizer)("a model")
    assert len(features[0][0]) == 64
    assert AutoModelForMaskedLM.from_pretrained(folder).config.vocab_size % 64 == 0


def test_same_seed_same_weights(run, tmp_path) -> None:
    folder, _ = run
    done = command("pretrain", str(folder / "pretraining.yaml"), "output_dir=again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "again/model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


@pytest.mark.slow  # in the same processes: tests/faults/test_many_processes.py
def test_two_processes_are_the_same_run_as_one_to_the_bit(run, tmp_path) -> None:
    """Nothing is changed for them: the micro-batches belong to the run. One process may use all threads it is given."""
    options, length = str(run[0] / "pretraining.yaml"), "training.max_steps=8"
    strict = ["pretrain", options, length, "training.strict_determinism=true"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]
    for start, threads, words in (
        ([sys.executable, "-m"], "2", [*strict, "output_dir=one"]),
        (launcher, "1", [*strict, "output_dir=two"]),
    ):
        line = [*start, "hf_embeddings.cli.main", *words]
        given = environment | {"OMP_NUM_THREADS": threads}
        done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=given)
        assert done.returncode == 0, done.stderr[-3000:]
        assert len(done.stdout.splitlines()) == 1 and done.stderr.count("health: ") == 1  # one process speaks
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys() and all(torch.equal(two[name], one[name]) for name in one)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["training.max_step=3"], "max_steps"),
        (["training.learning_rate=fast"], "learning_rate"),
        (["corpus.source=nowhere.txt"], "nowhere.txt"),
        (["model.hidden_size=65"], "num_attention_heads"),
        (["model.position_embedding_type=absolute"], "here it is 'learned'"),
        (["model.base=nothing.json"], "nothing.json"),
        (["tokenizer.path=nowhere"], "nowhere"),
        (["training.tokens_per_step=64"], "tokens_per_step"),
        (["training.mixed_precision=fp16"], "'fp16', which needs a GPU"),
        (["examples.max_length=512"], "max_position_embeddings"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = f"model.base={ROOT / 'configs/model/mini.json'}"
    line = ["pretrain", str(ROOT / "configs/pretraining/demo.yaml"), "output_dir=out", base, *SMALL, *arguments]
    monkeypatch.chdir(tmp_path)
    code, told = in_process(monkeypatch, capsys, *line)
    last = told.err.strip().splitlines()[-1]
    assert code == 2 and message in last and last.startswith("error: "), told.err
    assert "Traceback" not in told.err and not list(tmp_path.iterdir())


def test_a_missing_tokenizer_is_told_before_the_corpus_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_data, "read_corpus", lambda *arguments: pytest.fail("the corpus was read"))
    given = [f"model.base={ROOT / 'configs/model/mini.json'}", *SMALL, f"tokenizer.path={tmp_path / 'no'}"]
    options = load_options(ROOT / "configs/pretraining/demo.yaml", given)
    with pytest.raises(ValueError, match="no such directory, expected one with a tokenizer"):
        training_data.load_training_data(options, ROOT / "configs/model/mini.json", print)


def test_inspect_says_what_the_deck_says_of_bert_base(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = in_process(monkeypatch, capsys, "inspect", str(ROOT / "configs/model/base.json"), "--json")
    described = json.loads(told.out)
    assert described["tables"]["token"] == [30522, 768] and 0.2 < described["embedding_share"] < 0.3
    assert code == 0 and described["parameters"] == 109_482_240  # transformers' BertModel of the same size
    code, told = in_process(monkeypatch, capsys, "inspect", "nowhere")
    assert code == 2 and "nowhere" in told.err and told.err.count("\n") == 1


def test_accumulation_changes_nothing() -> None:
    """1 x 8 pairs = 4 x 2 pairs, though the micro-batches hold different numbers of labels."""
    chunks = cut_chunks(numbered_corpus(), max_tokens=61)
    weights = []
    for sizes in ([8], [1, 4, 2, 1]):
        torch.manual_seed(0)
        config = TriEmbedConfig(
            vocab_size=100, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        )  # fmt: skip
        model = TriEmbedForPreTraining(config).double()
        options = load_options(
            ROOT / "configs/pretraining/demo.yaml",
            [f"training.micro_batches={len(sizes)}", "training.learning_rate=0.01"],
        )
        vocabulary = replace(VOCABULARY, ordinary=np.arange(5, 100))
        schedule = Schedule.plan(chunks, tokens_per_batch=640, seed=0, relation="nsp")
        pairs = make_pairs(chunks, np.arange(8), seed=0, epoch=0, relation="nsp")
        parts = [pairs[part] for part in np.split(np.arange(8), np.cumsum(sizes)[:-1])]
        batches = [make_batch(schedule, 0, part, vocabulary, options.examples) for part in parts]
        figures = compute_gradients(
            model, batches, options.examples, options.training, Accelerator(cpu=True), seed=options.seed, step=0
        )
        for optimizer in build_optimizers(model, options.training):
            optimizer.step()
        weights.append((figures.losses, model.state_dict()))
    assert weights[0][0] == pytest.approx(weights[1][0], abs=1e-5)
    for name, tensor in weights[0][1].items():
        torch.testing.assert_close(weights[1][1][name], tensor, atol=1e-6, rtol=1e-5, msg=name)
