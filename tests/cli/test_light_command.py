"""Help, and the answer to a mistake, load nothing heavy: modules are counted, not seconds."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hf_embeddings
from hf_embeddings.cli.main import GROUPS, VERBS
from hf_embeddings.cli.plot import PICTURES
from hf_embeddings.loading.model_names import Pooling
from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.pretraining.options import model_fields
from hf_embeddings.search.pooling import POOLINGS

ROOT = Path(__file__).parents[2]
HEAVY = ["torch", "transformers", "datasets", "sklearn", "matplotlib", "scipy", "pandas", "pyarrow", "accelerate"]
# Runs each line of arguments in one process, and answers with exit code, what was said, and what was loaded.
CHILD = """
import contextlib, io, json, sys
from hf_embeddings.cli.main import main
lines, heavy = json.load(sys.stdin)
for line in lines:
    sys.argv, said = ["hf-embeddings", *line], io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main()
            code = 0
        except SystemExit as leaving:
            code = leaving.code
    print(json.dumps([code, said.getvalue(), [name for name in heavy if name in sys.modules]]), flush=True)
"""
DEMO = str(ROOT / "configs/pretraining/demo.yaml")
HELPS = [[], ["--help"], ["--version"], *([verb, "--help"] for verb in VERBS), *([group, "--help"] for group in GROUPS)]
HELPS += [["plot", picture, "--help"] for picture in PICTURES]
MISTAKES = {  # arguments: what the answer says
    "nonsense": "No such command",
    "search": "Missing argument",
    "search i q --nonsense": "No such option",
    "index c i --precision fp7": "is not one of",
    "index c i --pooling sum": "is not one of",
    "convert nowhere/at/all out": "no such directory",
    "convert nowhere out": "no such directory, and the Hub cannot give it",
    "pretrain nowhere.yaml": "expected a YAML file",
    "pretrain DEMO training.max_step=3": "did you mean max_steps?",
    "pretrain DEMO training.max_steps=many": "expected a whole number",
    "pretrain DEMO training.optimizer=sgd": "expected one of",
    "pretrain DEMO model.hidden_sise=8": "did you mean hidden_size?",
    "pretrain DEMO model.hidden_size=wide": "expected a whole number",
    "pretrain DEMO model.base=nowhere.json": "not a config file",
    "pretrain DEMO corpus.source=nowhere.txt": "cannot be read",
    "pretrain DEMO corpus.source=pydoc:nowhere_at_all": "is not installed",
    "pretrain DEMO corpus.source=prepared:nowhere": "no such directory",
    "prepare DEMO out corpus.sources=3": "expected a list",
    "prepare DEMO out corpus.source=nowhere/*.jsonl": "no file matches",
    "prepare DEMO out --processes 0": "--processes",
    "position-lab DEMO lab.nonsense=1": "an unknown key",
    "index nowhere.txt i --model m": "cannot be read",
    "index nowhere.txt i": "--model: missing",
    "index pydoc:json i --model ./nowhere": "no such directory",
    "index nowhere.txt i --model m --where nonsense": "condition 'nonsense'",
    "index nowhere qdrant:here#docs": "no index there",
    "search nowhere q": "no index there",
    "search nowhere q -k 0": "-k 0: expected 1 or more",
    "remove nowhere id": "no index there",
    "serve nowhere": "no index there",
    "example nonsense": "expected one of minilm",
    "inspect nowhere.json": "not a config file",
    "evaluate nowhere": "no such directory",
    "evaluate nowhere --similarity nowhere.tsv": "no such file",
    "export nowhere out.onnx": "no such directory",
    "export nowhere out.onnx --fixed big": "expected batch x tokens",
    "publish nowhere name": "expected USER/NAME",
    "publish nowhere user/name": "no such directory",
    "reposition nowhere out --healing-steps 3": "give some with --corpus",
    "reposition nowhere out": "no such directory",
    "vocabulary trim nowhere out": "no such directory",
    "vocabulary shrink nowhere out": "is not one of",
    "verify nowhere": "no such directory",
    "positions nowhere/at/all": "neither a position type nor a directory",
    "plot": "Usage",
    "plot words nowhere": "got no words",
    "plot words nowhere a b c": "no such directory",
    "plot sum nowhere text": "no such directory",
    "plot attention nowhere text --head 1": "given without --layer",
    "plot attention nowhere text": "no such directory",
    "plot training nowhere a b c": "no such directory",
    "plot positions nowhere/at/all": "neither a position type nor a directory",
}


def answers(lines: list[list[str]], folder: Path) -> list[tuple[int, str, list[str]]]:
    """Run the command with each line of arguments in a child process."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps([lines, HEAVY]),
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    for line, (code, said, loaded) in zip(HELPS, answers(HELPS, tmp_path), strict=True):
        assert code == (0 if line else 2) and said, line
        assert not loaded, f"{line} loads {loaded}"


def test_a_mistake_is_answered_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    lines = [[DEMO if word == "DEMO" else word for word in line.split()] for line in MISTAKES]
    found = answers(lines, tmp_path)
    for (line, expected), (code, said, loaded) in zip(MISTAKES.items(), found, strict=True):
        assert code == 2 and expected in " ".join(said.split()), f"{line}: {code} {said}"
        assert not loaded, f"{line} loads {loaded}"
    assert not list(tmp_path.iterdir())


def test_what_is_read_without_importing_is_what_would_be_imported() -> None:
    own = {name: TriEmbedConfig.__dataclass_fields__[name].type for name in TriEmbedConfig.__annotations__}
    found = dict(model_fields())
    assert found.pop("rope_parameters") == dict[str, object] | None
    assert found == own
    assert set(Pooling.__args__) == set(POOLINGS)


@pytest.mark.parametrize("module", ["hf_embeddings", "hf_embeddings.cli.main"])
def test_it_is_a_module_that_runs(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True)
    assert done.stdout == f"hf-embeddings {hf_embeddings.__version__}\n", done.stderr


def test_a_shell_can_complete_it(tmp_path: Path) -> None:
    environment = os.environ | {"_HF_EMBEDDINGS_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "hf-embeddings pre"}
    line = [sys.executable, "-m", "hf_embeddings"]
    done = subprocess.run(line, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert re.findall(r'"(\w+)":', done.stdout) == ["prepare", "pretrain"], done
