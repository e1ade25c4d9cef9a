"""A directory's recipe is read, or refused; never guessed."""

import json
import shutil
from pathlib import Path

import pytest

from hf_embeddings.search.recipe import Recipe, read_recipe


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def test_a_sentence_transformers_directory(folder: Path) -> None:
    assert read_recipe(folder) == Recipe(pooling="mean", normalize=True, max_length=48)
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": {"query": "q: ", "document": ""}}))
    assert read_recipe(folder).prompts == {"query": "q: "}


@pytest.mark.parametrize(
    ("config", "pooling"),
    [({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"), ({"pooling_mode": "max"}, "max")],
)
def test_old_and_new_pooling_files(folder: Path, config: dict, pooling: str) -> None:
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))
    assert read_recipe(folder).pooling == pooling


def test_no_modules_file_means_the_defaults(tmp_path: Path) -> None:
    assert read_recipe(tmp_path) == Recipe()


def test_what_cannot_be_honoured_is_refused(folder: Path) -> None:
    both = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(both))
    with pytest.raises(ValueError, match="got pooling cls \\+ mean, expected one of mean, cls, max"):
        read_recipe(folder)
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ValueError, match="got the modules Transformer, Pooling, Normalize, Dense"):
        read_recipe(folder)
    (folder / "modules.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        read_recipe(folder)


def test_impossible_recipes_are_refused() -> None:
    with pytest.raises(ValueError, match="pooling 'sum': expected one of mean, cls, max"):
        Recipe(pooling="sum")
    with pytest.raises(ValueError, match="max_length 2"):
        Recipe(max_length=2)
