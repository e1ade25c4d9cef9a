"""Figures as files, whole or not at all."""

from pathlib import Path
from typing import TYPE_CHECKING

from hf_embeddings.files.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TIMES = {
    "svg": "Date",
    "pdf": "CreationDate",
}  # when it was written: left out


def save_figure(figure: "Figure", path: str | Path) -> Path:
    """Write a figure of matplotlib in the format that the suffix of its file names, and return the file.

    Raises:
        ValueError: the suffix is none of a format that matplotlib writes.
    """
    path = Path(path)
    kind = path.suffix.removeprefix(".").lower()
    formats = figure.canvas.get_supported_filetypes()
    if kind not in formats:
        raise ValueError(f"{path}: got {path.suffix or 'no suffix'}, expected one of .{', .'.join(sorted(formats))}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, durable=False) as staged:
        figure.savefig(staged, format=kind, metadata={TIMES[kind]: None} if kind in TIMES else None)
    return path
