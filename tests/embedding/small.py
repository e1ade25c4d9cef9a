"""A small encoder, and rows of texts of few words that differ."""

import json
from itertools import product
from pathlib import Path

from hf_embeddings.cli.main import app
from hf_embeddings.embedding.options import EmbeddingOptions
from hf_embeddings.embedding.run import Outcome, embed
from hf_embeddings.typed_yaml.options_file import read_options
from tests.publishing.test_card import checkpoint

ROOT = Path(__file__).parents[2]
WORDS = ("the", "answer", "is", "on", "next", "page", "today")
PAIRS = [(" ".join(words), " ".join(reversed(words)) + " .") for words in product(WORDS, repeat=3)][:200]
SETTINGS = (
    "data.columns=[query,text]", "data.evaluation_fraction=0.2", "training.batch_size=8", "training.max_steps=4",
    "training.evaluation_steps=null", "training.mixed_precision=no", "training.learning_rate=1e-3",
    "encoder.max_length=16", "checkpoints.save_steps=2",
)  # fmt: skip


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    """Write JSON lines."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def pairs_file(folder: Path) -> Path:
    """Write the pairs."""
    return write_rows(folder / "pairs.jsonl", [{"query": query, "text": text} for query, text in PAIRS])


def small_options(folder: Path, *changes: str) -> EmbeddingOptions:
    """Return the options of a run of a few steps in a folder, in which its encoder and its rows are made."""
    base = folder / "base"
    if not base.exists():
        checkpoint(base)
    overrides = [f"encoder.base={base}", f"data.source={pairs_file(folder)}", f"output_dir={folder / 'out'}"]
    return read_options(EmbeddingOptions, ROOT / "configs/embedding/pairs.yaml", [*overrides, *SETTINGS, *changes])


def run(folder: Path, *changes: str, **settings: object) -> Outcome:
    """Run it."""
    return embed(small_options(folder, *changes), **settings)


def command(folder: Path, *changes: str) -> None:
    """Run the verb."""
    small_options(folder)
    overrides = [f"encoder.base={folder / 'base'}", f"data.source={folder / 'pairs.jsonl'}"]
    words = ["embed", str(ROOT / "configs/embedding/pairs.yaml"), *overrides, f"output_dir={folder / 'out'}"]
    app([*words, *SETTINGS, *changes], standalone_mode=False)
