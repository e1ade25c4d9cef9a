"""`hf-embeddings inspect` counts what the files hold; weights that are no numbers are named by every verb."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from hf_embeddings import TriEmbedForMaskedLM, TriEmbedModel
from hf_embeddings.cli.main import app


def run(*arguments: object) -> str:
    return CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False).stdout


def stored(folder: Path) -> int:
    total = 0
    for path in folder.glob("model*.safetensors"):
        with safe_open(path, framework="pt") as file:
            total += sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118
    return total


@pytest.mark.parametrize("shards", ["1GB", "8KB"])
@pytest.mark.parametrize("kind, lacking", [(TriEmbedForMaskedLM, ["pooler"]), (TriEmbedModel, [])])
def test_the_count_is_that_of_the_files(
    tiny_model: Path, tmp_path: Path, kind: type, lacking: list, shards: str
) -> None:
    kind.from_pretrained(tiny_model).save_pretrained(tmp_path, max_shard_size=shards)
    found = json.loads(run("inspect", tmp_path, "--json"))
    assert found["parameters"] == stored(tmp_path) and found["not_stored"] == lacking
    assert found["bytes_fp32"] == 4 * found["parameters"] and 0 < found["embedding_share"] < 1
    assert ("not in the weights" in run("inspect", tmp_path)) == bool(lacking)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_are_named(tiny_model: Path, tmp_path: Path, value: float) -> None:
    shutil.copytree(tiny_model, tmp_path / "model")
    path = tmp_path / "model/model.safetensors"
    weights = load_file(path)
    name = next(name for name in weights if name.endswith("layers.1.attention.key.weight"))
    weights[name][0, 3] = value
    save_file(weights, path, metadata={"format": "pt"})
    for arguments in (
        ("evaluate", path.parent, "--text", "pydoc:json", "--sentences", 20),
        ("plot", "words", path.parent, "cat", "dog", "king", "--out", tmp_path / "picture"),
        ("plot", "sum", path.parent, "the cat", "--out", tmp_path / "picture"),
        ("plot", "attention", path.parent, "the cat", "--out", tmp_path / "picture"),
        ("positions", path.parent),
        ("index", "pydoc:json", tmp_path / "index", "--model", path.parent),
    ):
        with pytest.raises(ValueError, match=re.escape("layers.1.attention.key.weight holds 1 values that are NaN or")):
            run(*arguments)
    assert [own.name for own in tmp_path.iterdir()] == ["model"]
