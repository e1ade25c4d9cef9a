"""Short names of files and folders that still tell them apart: results are kept under them."""

import os
from collections.abc import Sequence
from pathlib import Path


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each path: its stem, or where several have that, the shortest end of their paths that differs.

    Raises:
        ValueError: two paths are the same file.
    """
    full = [Path(os.path.realpath(path)) for path in paths]
    if twice := next((path for path, whole in zip(paths, full, strict=True) if full.count(whole) > 1), None):
        raise ValueError(f"{twice}: given twice, expected each file once; leave one out")
    stems = [path.stem for path in full]
    names = [
        stem if stems.count(stem) == 1 else _shortest(path, [o for o in full if o.stem == stem])
        for path, stem in zip(full, stems, strict=True)
    ]
    return names if len(set(names)) == len(names) else [str(path) for path in full]


def _shortest(path: Path, alike: Sequence[Path]) -> str:
    """Return the shortest end of a path with which no two of those alike are the same."""
    for length in range(1, len(path.parts)):
        if len({other.parts[-length:] for other in alike}) == len(alike):
            return "/".join(path.parts[-length:])
    return str(path)
