"""README from top to bottom, as a user's day: every command and every snippet runs, in one directory, in their order.

What takes minutes is made small by further arguments, and what a user brings along (texts, checkpoints) lies there
small; the commands themselves are those of the README.
"""

import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from transformers import BertConfig, BertModel, BertTokenizer

from hf_embeddings.cli.main import app
from hf_embeddings.evaluation.word_lists import SEED_EXAMPLE
from tests.hub.server import Hub

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
# Further arguments that make a command small, by its first words; the longest that fits counts.
SMALLER = {
    "pretrain": "corpus.source=pydoc:accelerate tokenizer.vocab_size=600 training.max_steps=20 training.max_hours=null "
    "training.evaluation_examples=100 training.tokens_per_step=512 model.hidden_size=64 model.num_attention_heads=2 "
    "model.intermediate_size=128",
    "pretrain configs/pretraining/continue.yaml": "training.max_steps=2 training.tokens_per_step=512 "
    "training.evaluation_examples=100",
    "position-lab": "corpus.source=pydoc:accelerate tokenizer.vocab_size=600 training.max_steps=2 "
    "training.tokens_per_step=512 model.hidden_size=32 model.intermediate_size=64 examples.max_length=32 "
    "model.max_position_embeddings=32 lab.positions=[learned,rope] lab.seeds=[0] lab.timing_rounds=1",
    "prepare": "corpus.source=pydoc:accelerate tokenizer.vocab_size=600 --processes 1",
    "index": "--max-documents 60",
    "index runs/api": "",  # copied, not encoded
    "positions": "--config configs/model/tiny.json",
    "positions runs/demo": "",
    "reposition runs/demo runs/rope": "--corpus pydoc:accelerate --healing-steps 2 --healing-length 32",
    "vocabulary replace": "--corpus pydoc:accelerate --vocab-size 300",
    "vocabulary trim": "--corpus pydoc:accelerate",
    "vocabulary factorise": "--rank 16",
    "evaluate": "--sentences 50",
    "plot words runs/demo --frequent": "--text pydoc:accelerate --frequent 50",
    "plot positions": "--config configs/model/tiny.json",
}
MADE = {
    "make demo": "hf-embeddings pretrain configs/pretraining/demo.yaml"
}  # the Makefile's recipe, a test holds it so
SERVES = ("hf-embeddings serve",)  # until Ctrl-C; tests/search/test_server.py does
PREPARES = (
    "make ",
    "pip install ",
    "python examples/reviews.py ",
    "git clone ",
    "cd ",
)  # a clean machine; other tests, and CI itself, do that
LAUNCHER = "torchrun --standalone --nproc_per_node 2 -m hf_embeddings.cli.main"


def blocks() -> list[tuple[str, str]]:
    return [(kind, text) for kind, text in BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))]


def commands(text: str) -> Iterator[str]:
    """Yield the commands of a block without their comments; a backslash joins lines."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield shlex.join(words)


def smaller(arguments: str) -> list[str]:
    """Return the further arguments of a command, but none for what the command says itself."""
    fitting = [key for key in SMALLER if arguments == key or arguments.startswith(f"{key} ")]
    further = shlex.split(SMALLER[max(fitting, key=len)]) if fitting else []
    return [word for word in further if "=" not in word or f"{word.partition('=')[0]}=" not in arguments]


def bring_along(folder: Path) -> None:
    """Make what the README takes for given: texts and a BERT of the user's."""
    (folder / "texts").mkdir()
    text = "\n\n".join(f"Document {n} is about tokens. It has sentences, and position {n * n}." for n in range(60))
    (folder / "texts" / "a.txt").write_text(text)
    for language, good, bad in (("en", "a fine film", "a poor film"), ("zh", "很好看", "不好看")):
        (folder / "reviews" / language).mkdir(parents=True)
        for name in ("train", "test"):
            rows = "".join(f"{good},positive\n{bad},negative\n" for _ in range(8))
            (folder / "reviews" / language / f"{name}.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    minilm = folder / "path" / "to" / "minilm"
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *"abcdefghijklmnopqrstuvwxyz",
        *(f"##{c}" for c in "abcdefgh"),
    ]
    BertTokenizer(vocab={word: index for index, word in enumerate(words)}).save_pretrained(minilm)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained(minilm)
    multilingual = folder / "path/to/multilingual-e5-small"
    words = [*words, *sorted({character for text in SEED_EXAMPLE.values() for character in text if character != " "})]
    BertTokenizer(vocab={word: index for index, word in enumerate(words)}).save_pretrained(multilingual)
    config.vocab_size = len(words)
    BertModel(config).save_pretrained(multilingual)
    pairs = "love\tsex\t6.77\ntiger\tcat\t7.35\nbook\tpaper\t7.46\nkeyboard\tmouse\t1\n"
    (folder / "path/to/wordsim353.tsv").write_text(pairs)
    (folder / "path/to/translations.tsv").write_text("cold\t冷\nhot\t热\nking\t国王\n")


def follow(command: str, monkeypatch) -> None:
    """Run a command of the README, in this process where it can be."""
    if command.startswith(LAUNCHER):
        arguments = command.removeprefix(LAUNCHER).strip()
        line = [sys.executable, "-m", "torch.distributed.run", *shlex.split(LAUNCHER)[1:], *shlex.split(arguments)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run([*line, *smaller(arguments)], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
        return
    program, _, arguments = command.partition(" ")
    if arguments.startswith("examples/"):
        script, *given = shlex.split(arguments)
        monkeypatch.syspath_prepend(str(ROOT / "examples"))
        monkeypatch.setattr(sys, "argv", [script, *given, "--max_steps", "2", "--dataloader_pin_memory", "False"])
        runpy.run_path(str(ROOT / script), run_name="__main__")
        return
    assert program == "hf-embeddings", f"no way to run {command!r}: teach this test"
    try:
        app([*shlex.split(arguments), *smaller(arguments)], standalone_mode=False)
    except BaseException as error:
        pytest.fail(f"{command}: {error!r}")


@pytest.fixture
def hub(tmp_path_factory) -> Iterator[Hub]:
    """A Hub to publish to, on this machine."""
    with Hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


def test_the_readme_from_top_to_bottom(hub: Hub, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    AcceleratorState._reset_state(reset_partial_state=True)  # of earlier tests in this process
    bring_along(tmp_path)
    hub.redirect(monkeypatch, tmp_path / "home")
    run = 0
    for kind, text in blocks():
        if kind == "python":
            exec(compile(text, "README.md", "exec"), {"__name__": "__main__"})  # noqa: S102
            run += 1
            continue
        for command in commands(text):
            command = MADE.get(command, command)
            if command.startswith((*PREPARES, *SERVES)):
                continue
            follow(command, monkeypatch)
            run += 1
    assert run >= 8


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([\w-]+)", (ROOT / "README.md").read_text(), flags=re.MULTILINE))
    assert {"demo", "test"} <= named <= targets
    for target, command in MADE.items():
        recipe = (ROOT / "Makefile").read_text().split(f"\n{target.removeprefix('make ')}:")[1].splitlines()[1]
        assert recipe.strip() == f"$(BIN)/{command}"


def test_files_of_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text()
    for path in re.findall(r"\b(?:configs|examples|benchmarks|docs)/[\w/.-]+\.\w+", text):
        assert (ROOT / path).exists(), path
