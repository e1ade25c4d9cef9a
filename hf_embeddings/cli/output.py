"""How every verb answers: text for people, or one JSON object for machines."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hf_embeddings.corpora.document import SourceReader

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
TextField = Annotated[str, typer.Option(help="Key or column of the source that holds the text; not of .txt files.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="section.field=value, in place of the value in the file.")]
EmptyOutput = Annotated[bool, typer.Option("--overwrite", help="Empty the output directory if it is not empty.")]
AllowChanges = Annotated[
    bool, typer.Option("--allow-changes", help="Resume although options differ from the checkpoint's.")
]
Layer = Annotated[int | None, typer.Option(help="Hidden states to pool; 0 is the embeddings; default: the last.")]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "int8"],
    typer.Option(help="Arithmetic of the encoding; auto is bf16 where the hardware multiplies that fast, else fp32."),
]
Prompt = Annotated[
    str | None, typer.Option(help="Put before every text, such as 'query: '; default: as the directory states.")
]
SUFFIXES = (".png", ".html")  # of pictures and pages


def tell_cut(count: int) -> None:
    """Say on stderr that a text was longer than the tokens that are drawn of it."""
    print(
        f"the text is too long: only its first {count} tokens are drawn, which is what the model reads", file=sys.stderr
    )


def refuse_blank(text: str) -> None:
    """Refuse a text to draw that has no words.

    Raises:
        ValueError: it has none.
    """
    if not text.strip():
        raise ValueError(f"text: got {text!r}, expected some words")


def reader_of(text_field: str, **options: Any) -> SourceReader:
    """Return how the source of a verb is read, whose text stands in the field that `--text-field` names."""
    return SourceReader(text_field=text_field, option="--text-field", **options)


def corpus_inputs(option: str, source: str | None) -> dict[str, str | Path | None]:
    """Return the files of a corpus by the option that names them, for `check_target`; none of packages and the Hub."""
    from hf_embeddings.corpora.sources import parts_of

    parts = [part for part in parts_of(source) if Path(part).exists()] if source is not None else []
    return {option if len(parts) == 1 else f"{option} {part}": part for part in parts}


def picture_path(out: Path) -> Path:
    """Return where the pictures of `--out` go, without suffix, and make the folder; each file gets its own suffix."""
    out.parent.mkdir(parents=True, exist_ok=True)
    return out.with_suffix("") if out.suffix in SUFFIXES else out
