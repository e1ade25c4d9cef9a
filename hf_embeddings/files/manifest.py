"""Manifests: the size and SHA-256 sum of every file of a directory; it is whole when it equals its manifest.

The manifest is written last and holds the sum of its own text, so a directory without a valid one was never finished,
or has changed since.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_embeddings.files.atomic import fsync_directory, replace_text
from hf_embeddings.files.ownership import MARK
from hf_embeddings.files.reading import open_file, read_bytes
from hf_embeddings.json_record import JsonRecord

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class FileFacts(JsonRecord):
    """What a manifest says of a file."""

    size: int  # bytes
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a manifest says: of each file, and what else was recorded, as JSON can say it."""

    facts: dict[str, Any]
    files: dict[str, FileFacts]


class Damaged(ValueError):
    """A directory is not what its manifest says."""


def seal_directory(folder: Path, facts: Mapping[str, object], names: list[str] | None = None) -> None:
    """Force files to the disk, then write their manifest.

    Args:
        folder: the directory.
        facts: what else to record, as JSON can say it.
        names: the files, as paths below the directory with slashes; None takes all.
    """
    names = sorted(_entries(folder) - {MANIFEST} if names is None else names)
    with ThreadPoolExecutor(max_workers=2) as pool:  # hashing and waiting for the disk both leave Python free
        files = dict(zip(names, pool.map(_flushed, [folder / name for name in names]), strict=True))
    for parent in sorted({(folder / name).parent for name in names} - {folder}):
        fsync_directory(parent)
    write_manifest(folder, facts, files)


def write_manifest(folder: Path, facts: Mapping[str, object], files: Mapping[str, FileFacts]) -> None:
    """Write a manifest of files that are on the disk, and whose sizes and sums are known."""
    entries = {name: file.to_dict() for name, file in files.items()}
    replace_text(folder / MANIFEST, _text({"format": FORMAT, **facts, "files": entries}))


def read_manifest(folder: Path) -> Manifest:
    """Return what a manifest says, without a look at the files.

    Raises:
        Damaged: it is not what was written.
    """
    body = _read(folder)
    facts = {name: value for name, value in body.items() if name not in ("format", "files", "sha256")}
    try:
        return Manifest(facts, {name: FileFacts.from_dict(file) for name, file in body["files"].items()})
    except (ValueError, LookupError, AttributeError):
        raise Damaged(f"{folder / MANIFEST}: lists no files with their sizes and sums") from None


def check_manifest(folder: Path, *, exact: bool = True, sums: bool = True) -> Manifest:
    """Return what the manifest says after comparing every file with it.

    Args:
        folder: the directory.
        exact: whether a file that the manifest does not list is damage too.
        sums: whether files are read and their sums compared, or only their sizes.

    Raises:
        Damaged: what differs, and how.
    """
    manifest = read_manifest(folder)
    _compare_names(folder, manifest.files.keys(), exact=exact)
    for name, entry in manifest.files.items():
        if (size := (folder / name).stat().st_size) != entry.size:
            raise Damaged(f"{folder / name}: {size} bytes, expected {entry.size}")
    names = list(manifest.files) if sums else []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for name, digest in zip(names, pool.map(sha256, (folder / name for name in names)), strict=True):
            if digest != manifest.files[name].sha256:
                raise Damaged(f"{folder / name}: its SHA-256 sum is not the one in the manifest")
    return manifest


def sha256(path: Path) -> str:
    """Return the SHA-256 sum of a file."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(folder: Path) -> dict[str, Any]:
    """Return the JSON of a manifest, once it is sure that this is what was written."""
    try:
        text = read_bytes(folder / MANIFEST)
        body = json.loads(text)
        right = isinstance(body, dict) and text == _text({k: v for k, v in body.items() if k != "sha256"}).encode()
    except FileNotFoundError:
        raise Damaged(f"{folder}: no {MANIFEST}") from None
    except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested without end
        right = False
    if not right:
        raise Damaged(f"{folder / MANIFEST}: its text does not match its own SHA-256 sum")
    if body.get("format") != FORMAT:
        raise ValueError(
            f"{folder / MANIFEST}: got format {body.get('format')!r}, expected {FORMAT}; update hf-embeddings"
        )
    return body


def _compare_names(folder: Path, files: Set[str], *, exact: bool) -> None:
    below = {name for name in files if not {"", ".", "..", *Path(name).anchor} & set(name.split("/"))}
    if missing := sorted(name for name in files if name not in below or not (folder / name).is_file()):
        raise Damaged(f"{folder / missing[0]}: missing")
    if exact and (extra := sorted(_entries(folder) - {MANIFEST, MARK} - files)):
        raise Damaged(f"{folder / extra[0]}: not in the manifest")


def _entries(folder: Path) -> set[str]:
    """Return the paths of all that is below a directory, but for directories that hold something."""
    paths = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir() or not any(path.iterdir())]
    return {path.relative_to(folder).as_posix() for path in paths}


def file_facts(path: Path) -> FileFacts:
    """Return size and sum of a file."""
    return FileFacts(path.stat().st_size, sha256(path))


def _flushed(path: Path) -> FileFacts:
    with path.open("r+b") as file:  # Windows flushes only what may be written
        os.fsync(file.fileno())
        size = os.fstat(file.fileno()).st_size
        return FileFacts(size, hashlib.file_digest(file, "sha256").hexdigest())


def _text(body: dict[str, object]) -> str:
    """Return the one text of a manifest: its body and, at the end, the sum of the body's text."""
    text = json.dumps(body, sort_keys=True, indent=1)
    return json.dumps(body | {"sha256": hashlib.sha256(text.encode()).hexdigest()}, indent=1, sort_keys=True) + "\n"
