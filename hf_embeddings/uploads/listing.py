"""The list of what goes up from a folder: what may go, what must not, and what only goes where its name is given.

Used before `hf-embeddings publish` and before every push of `hf-embeddings pretrain`.
"""

import io
import json
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import yaml

from hf_embeddings.file_names import OF_A_RUN
from hf_embeddings.files.manifest import MANIFEST
from hf_embeddings.files.ownership import MARK
from hf_embeddings.files.reading import read_json
from hf_embeddings.json_text import without_nan
from hf_embeddings.uploads.binary_formats import Buffer, mapped
from hf_embeddings.uploads.file_kinds import OF_ITS_RUN, describe_unknown, matches_path, parser_of
from hf_embeddings.uploads.machine_paths import find_home, shorten
from hf_embeddings.uploads.secrets import find_secret, unpack
from hf_embeddings.uploads.text_formats import parse_record, read_record

ALWAYS_LEFT_OUT = (".git/*", ".cache/*", "*__pycache__/*", ".DS_Store", "*/.DS_Store")  # as huggingface_hub does
_PATHS_CUT = "without the absolute paths of this machine"
_NULL = "NaN and infinity as null, as JSON has no word for them"
_LARGEST_OPENED = 1 << 28  # bytes of a file that is named by --include and opened as an archive


class Finding(NamedTuple):
    """A file that is not to go up, and why."""

    path: str
    reason: str


@dataclass
class Uploads:
    """What may leave a folder, and what may not."""

    files: dict[str, Path | bytes] = field(default_factory=dict)  # path -> the file, or what goes in its place
    refused: list[Finding] = field(default_factory=list)  # nothing lets them through but a change
    unknown: list[Finding] = field(default_factory=list)  # these go if they are named
    included: list[Finding] = field(default_factory=list)  # these are named, and go
    changed: dict[str, str] = field(default_factory=dict)  # records that go in other words -> what is changed in them

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each file."""
        return {
            path: len(content) if isinstance(content, bytes) else content.stat().st_size
            for path, content in self.files.items()
        }


def list_uploads(
    folder: Path, *, exclude: Iterable[str] = (), include: Iterable[str] = (), checkpoint: bool = False
) -> Uploads:
    """Open every file below a folder, and return what may go up.

    Args:
        folder: of the model.
        exclude: patterns of paths that do not go.
        include: patterns of paths that go though their kind is not known. A star crosses no slash and begins no hidden
            name, as in a shell. Secrets in them are refused all the same.
        checkpoint: whether the folder is a checkpoint to resume from, which goes as its manifest lists it, unchanged.
    """
    left_out = (*ALWAYS_LEFT_OUT, MARK, *exclude, *(() if checkpoint else (*OF_A_RUN, MANIFEST)))
    uploads, modules, patterns = Uploads(), _module_folders(folder), tuple(include)
    for path in _paths(folder):
        if any(fnmatch(path, pattern) for pattern in left_out):
            continue
        if reason := _no_plain_file(folder, path):
            uploads.refused.append(Finding(path, reason))
            continue
        parser = parser_of(path, modules, checkpoint=checkpoint)
        if parser is None and not any(matches_path(path, pattern) for pattern in patterns):
            uploads.unknown.append(Finding(path, describe_unknown(path)))
            continue
        try:
            content = parser(folder / path) if parser else _opened(folder / path)
        except (ValueError, OSError) as error:
            uploads.refused.append(Finding(path, str(error)))
            continue
        if parser is None:
            uploads.included.append(Finding(path, describe_unknown(path)))
        record, changes = _fit(folder / path) if parser is read_record and not checkpoint else (None, "")
        if reason := _holds([record] if record else content, paths=not (checkpoint and path in OF_ITS_RUN)):
            uploads.refused.append(Finding(path, reason))
            continue
        uploads.files[path] = record or folder / path
        uploads.changed |= {path: changes} if record else {}
    return uploads


def _paths(folder: Path) -> Iterator[str]:
    """Yield all that stands below a folder, but for folders; a link to a folder is yielded and not followed."""
    paths = []
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        paths += [os.path.relpath(os.path.join(parent, name), folder) for name in (*names, *links)]
    yield from sorted(path.replace(os.sep, "/") for path in paths)


def _no_plain_file(folder: Path, path: str) -> str | None:
    """Return why a path is no file of this folder with a printable name."""
    file = folder / path
    if not path.isprintable():
        return "a name with characters that cannot be printed"
    if file.is_symlink() and not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder)):
        return "a link to a file outside of the directory"
    try:
        regular = stat.S_ISREG(file.stat().st_mode)
    except OSError:
        return "a link to nothing"
    return None if regular else "not a plain file"


def _holds(contents: Iterable[Buffer], *, paths: bool) -> str | None:
    """Return what some bytes hold that is not to be seen."""
    for content in contents:
        if secret := find_secret(content):
            return f"it holds {secret}"
        if paths and (home := find_home(content)):
            return f"it holds a path of this machine ({home})"
    return None


def _opened(file: Path) -> list[Buffer]:
    """Return the bytes of a file of no known kind, in all forms in which they may hold text."""
    return list(unpack(file.read_bytes())) if file.stat().st_size <= _LARGEST_OPENED else [mapped(file)]


def _fit(file: Path) -> tuple[bytes | None, str]:
    """Return a record as others may read it, and what is changed in it; None where nothing is.

    Its absolute paths are cut to their last part. In JSON, NaN and infinity become null.
    """
    value = parse_record(file)
    shorter, is_json = shorten(value), file.suffix == ".json"
    changes = [_PATHS_CUT] if shorter != value else []
    changes += [_NULL] if is_json and (without_nan(shorter) != shorter) else []
    if not changes:
        return None, ""
    if is_json:
        text = json.dumps(without_nan(shorter), indent=2, ensure_ascii=False, allow_nan=False)
        return (text + "\n").encode("utf-8", "surrogatepass"), "; ".join(changes)
    stream = io.StringIO()
    yaml.safe_dump(shorter, stream, sort_keys=False, allow_unicode=True)
    return stream.getvalue().encode(), "; ".join(changes)


def _module_folders(folder: Path) -> frozenset[str]:
    """Return the folders that a sentence-transformers model lists in its modules.json."""
    try:
        modules = read_json(folder / "modules.json")
        return frozenset(str(module["path"]).strip("/") for module in modules if module["path"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return frozenset()
