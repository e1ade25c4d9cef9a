"""What the fault tests share."""

import shutil
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hf_embeddings.cli import main as command
from hf_embeddings.pretraining.checkpoints.verification import verify_run
from tests.faults.place import Place
from tests.faults.small_run import finish, settings, weights
from tests.faults.writing_verbs import VERBS, write_inputs


@pytest.fixture(scope="session")
def reference(tmp_path_factory) -> str:
    """The weights of the run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("reference") / "run"
    assert finish(settings(folder, checkpoints__save_steps=8)) == 0
    assert not any(verify_run(folder).values())
    return weights(folder)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    CliRunner().invoke(command.app, ["verify", "nothing"])  # Typer imports at its first call
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def place(name: str, inputs: Path, tmp_path: Path) -> Place:
    own = tmp_path / "inputs"
    shutil.copytree(inputs, own)
    for module in VERBS[name].imports.split():
        import_module(module)
    return Place(own, tmp_path, VERBS[name])
