"""Run the commands of a page as printed; what takes minutes is made small by further arguments."""

import os
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hf_embeddings.cli.main import app
from tests.docs.pages import ROOT
from tests.docs.served import run_curl

TRAINING = (
    "tokenizer.vocab_size=600 training.max_steps=20 training.max_hours=null training.evaluation_examples=100 "
    "training.tokens_per_step=512 model.hidden_size=64 model.num_attention_heads=2 model.intermediate_size=128"
)
# Further arguments that make a command small, by its first words; the longest that fits counts.
SMALLER = {
    "pretrain": f"corpus.source=pydoc:accelerate {TRAINING}",
    "pretrain configs/pretraining/continue.yaml": "training.max_steps=2 training.tokens_per_step=512 "
    "training.evaluation_examples=100",
    "pretrain configs/pretraining/long.yaml": "corpus.source=pydoc:accelerate tokenizer.vocab_size=600 "
    "training.evaluation_examples=20 training.tokens_per_step=512 model.hidden_size=64 model.num_attention_heads=2 "
    "model.intermediate_size=64 examples.max_length=64",
    "position-lab": "corpus.source=pydoc:accelerate tokenizer.vocab_size=600 training.max_steps=2 "
    "training.tokens_per_step=512 model.hidden_size=32 model.intermediate_size=64 examples.max_length=32 "
    "model.max_position_embeddings=32 lab.positions=[learned,rope] lab.seeds=[0] lab.timing_rounds=1 lab.judge=false",
    "prepare": "corpus.source=pydoc:accelerate tokenizer.vocab_size=600 --processes 1",
    "debias": f"--bias {ROOT / 'tests/docs/bias.json'}",
    "embed": "data.source=pydoc:accelerate training.max_steps=2 training.evaluation_steps=null training.batch_size=16",
    "index": "--max-documents 60",
    "index runs/api": "",  # copied, not encoded
    "index 'data/wikipedia/*.jsonl'": "--max-documents 4",  # the third is about albedo
    "positions": "--config configs/model/tiny.json",
    "positions runs/demo": "",
    "positions runs/minilm": "",
    "reposition runs/demo runs/rope": "--corpus pydoc:accelerate --healing-steps 2 --healing-length 32",
    "reposition runs/minilm runs/rope": "--corpus pydoc:accelerate.utils --healing-steps 1 --healing-length 32 "
    "--max-position-embeddings 520",
    "vocabulary replace": "--corpus pydoc:accelerate --vocab-size 300",
    "vocabulary trim": "--corpus pydoc:accelerate",
    "vocabulary factorise": "--rank 16",
    "evaluate": "--sentences 50",
    "plot words runs/demo --frequent": "--text pydoc:accelerate --frequent 50",
    "plot positions": "--config configs/model/tiny.json",
}
REPLACED = ("training.max_steps=", "training.max_hours=", "training.evaluation_examples=", "tokenizer.vocab_size=")
MADE = {"make demo": "hf-embeddings pretrain configs/pretraining/demo.yaml"}  # the recipe in Makefile
SERVES = "hf-embeddings serve"  # until the end of the page: tests/docs/served.py
PREPARES = ("make ", "pip install ", "git clone ", "cd ")  # a clean machine; CI itself does that
LAUNCHER = "torchrun --standalone --nproc_per_node 2 -m hf_embeddings"


def smaller(arguments: str) -> list[str]:
    """Return the words of a command with those that make it small: options of numbers replaced, others only added."""
    own = shlex.split(arguments)
    fitting = [key for key in SMALLER if arguments == key or arguments.startswith(f"{key} ")]
    further = shlex.split(SMALLER[max(fitting, key=len)]) if fitting else []
    given = {word.partition("=")[0] for word in own if "=" in word}
    kept = [word for word in further if word.partition("=")[0] not in given or word.startswith(REPLACED)]
    replaced = {word.partition("=")[0] for word in kept if word.startswith(REPLACED)}
    return [*(word for word in own if word.partition("=")[0] not in replaced), *kept]


def follow(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command of a page, in this process where it can be."""
    command = MADE.get(command, command)
    if command.startswith(PREPARES):
        return
    if command.startswith(LAUNCHER):
        arguments = command.removeprefix(LAUNCHER).strip()
        line = [sys.executable, "-m", "torch.distributed.run", *shlex.split(LAUNCHER)[1:]]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run([*line, *smaller(arguments)], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
        return
    program, _, arguments = command.partition(" ")
    if program == "curl":
        run_curl(command)
        return
    if arguments.startswith("examples/"):
        run_script(shlex.split(arguments), monkeypatch)
        return
    assert program == "hf-embeddings", f"no way to run {command!r}: teach this test"
    try:
        app(smaller(arguments), standalone_mode=False)
    except BaseException as error:
        pytest.fail(f"{command}: {error!r}")


def run_script(line: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a script of examples/ in this process; one that trains with `Trainer` makes two steps."""
    short = ["--max_steps", "2", "--dataloader_pin_memory", "False"]
    trains = "from arguments import" in (ROOT / line[0]).read_text(encoding="utf-8")
    with monkeypatch.context() as changed:
        changed.syspath_prepend(str(ROOT / "examples"))
        changed.setattr(sys, "argv", [*line, *(short if trains else [])])
        runpy.run_path(str(ROOT / line[0]), run_name="__main__")


def lay_out(folder: Path, given: Path) -> None:
    """Put a prepared directory into the folder of a page: its files are links, as large ones are not worth a copy."""
    for path in sorted(given.rglob("*")):
        if path.is_file():
            target = folder / path.relative_to(given)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
