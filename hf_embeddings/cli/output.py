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
PictureFormat = Annotated[
    Literal["png", "svg", "pdf"] | None,
    typer.Option("--format", help="Format of the pictures; default: that of the suffix of --out, else png."),
]
Dark = Annotated[bool, typer.Option("--dark", help="Draw on a dark ground.")]
FORMATS = ("png", "svg", "pdf")  # of still pictures


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


def picture_path(out: Path, form: str | None = None) -> tuple[Path, str]:
    """Return where the files of `--out` go, without suffix, and the format of its pictures; make the folder.

    Raises:
        ValueError: the suffix names another format than `--format`.
    """
    suffix = out.suffix.removeprefix(".")
    if suffix in FORMATS and form not in (None, suffix):
        raise ValueError(f"--format: got {form} with --out {out}, expected {suffix}; leave out one of them")
    out.parent.mkdir(parents=True, exist_ok=True)
    is_known = suffix in (*FORMATS, "html")
    return out.with_suffix("") if is_known else out, form or (suffix if suffix in FORMATS else "png")
