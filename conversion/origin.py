"""Where a checkpoint came from, left beside its weights for the model card that is made of them later."""

import json
import re
from pathlib import Path

from hf_embeddings.file_names import ORIGIN
from hf_embeddings.loading.card_metadata import LICENSE, read_metadata

TAKEN_OVER = (*LICENSE, "language", "base_model")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def write_origin(stage: Path, *, source: str | Path, folder: Path, phrase: str, description: str) -> None:
    """Write `origin.json` into a directory that is being made.

    Args:
        stage: the directory.
        source: what it is made from, as the user named it: a directory or the id of a Hub repository.
        folder: the source's files; license and languages of its card hold for the result too.
        phrase: how, to follow "a TriEmbed encoder" in a sentence.
        description: what was done, in Markdown.
    """
    card = read_metadata(folder / "README.md")
    origin = {key: card[key] for key in TAKEN_OVER if key in card}
    if not Path(source).exists() and HUB_ID.fullmatch(str(source)):
        origin["base_model"] = str(source)
    record = {"made": phrase, "description": description, **origin}
    (stage / ORIGIN).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


def display_name(source: str | Path) -> str:
    """Return a source as a reader can use it: a Hub id, or the last part of a local path."""
    return Path(source).resolve().name if Path(source).exists() else str(source)


def table(rows: dict[str, str]) -> str:
    """Return a Markdown table of names and values."""
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])
