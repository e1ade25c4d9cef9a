"""Links in a directory whose files are copied: none may bring in what lies elsewhere on this machine."""

import os
from collections.abc import Iterable
from pathlib import Path


def refuse_links_out(folder: Path, names: Iterable[str]) -> None:
    """Refuse files of a directory that are links to other places, and links to directories.

    A snapshot in the cache of the Hub is made of links to the files in `blobs` beside it; these are its own.

    Args:
        folder: the directory.
        names: files and subdirectories of it that are to be copied; subdirectories are looked through.

    Raises:
        ValueError: which link leads where.
    """
    roots = [folder.resolve(), *_blobs(folder.resolve())]
    for link in (path for name in names for path in _links(folder / name)):
        place = Path(os.path.realpath(link))
        if place.is_dir() or not place.exists() or not any(place.is_relative_to(root) for root in roots):
            raise ValueError(
                f"{link}: a link to {os.readlink(link)}, which would be copied; expected files of the directory "
                "itself; put the file in its place, or remove the link"
            )


def is_snapshot(folder: Path) -> bool:
    """Tell whether a directory is a snapshot in the cache of the Hub, made of links to files that others share."""
    return bool(_blobs(folder.resolve()))


def _links(path: Path) -> Iterable[Path]:
    if path.is_symlink():
        yield path
    else:
        for parent, folders, files in os.walk(path):
            yield from (place for name in (*folders, *files) if (place := Path(parent, name)).is_symlink())


def _blobs(snapshot: Path) -> list[Path]:
    """Return the directory that the links of a snapshot of the Hub's cache lead to; none for any other directory."""
    repository = snapshot.parent.parent
    if snapshot.parent.name != "snapshots" or not repository.name.startswith(("models--", "datasets--", "spaces--")):
        return []
    blobs = repository / "blobs"
    return [blobs] if blobs.is_dir() and not blobs.is_symlink() else []
