"""Each recipe that is shipped runs as it stands, but for a few steps, on a small encoder and few docstrings."""

from pathlib import Path

import pytest

from hf_embeddings.cli.main import app
from hf_embeddings.records.embedding import EmbeddingFigures
from tests.publishing.test_card import checkpoint

RECIPES = sorted((Path(__file__).parents[2] / "configs/embedding").glob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe(recipe: Path, tmp_path) -> None:
    base = checkpoint(tmp_path / "base")
    changes = [
        f"encoder.base={base}", f"output_dir={tmp_path / 'out'}", "encoder.max_length=16",
        "data.source=pydoc:accelerate",
        "data.evaluation_fraction=0.2", "training.max_steps=2", "training.evaluation_steps=null",
    ]  # fmt: skip
    app(["embed", f"configs/embedding/{recipe.name}", *changes], standalone_mode=False)
    figures = EmbeddingFigures.load(tmp_path / "out/embedding.json")
    assert figures.training_steps == 2 and figures.before and figures.after and figures.worth
