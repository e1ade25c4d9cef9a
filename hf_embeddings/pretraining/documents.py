"""Documents of text from wherever they are: installed packages, text files, JSON lines, datasets of the Hub."""

import difflib
import glob
import json
import os
import pkgutil
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from hf_embeddings.pretraining.docstrings import package_files, read_docstrings

MAX_DOCUMENT_BYTES = 16 << 20  # bounds the memory that one document without a blank line, or one JSON line, can take
_PIECE_BYTES = 1 << 20  # a line of any length is read in pieces of this size
_SCHEME = re.compile(r"[A-Za-z]\w+:")  # one letter would be a Windows drive
_INVALID = re.compile("[\0\ud800-\udfff]")  # undecodable bytes are surrogates too: see `_decode`

InvalidTextPolicy = Literal["error", "skip", "replace"]


class CorpusError(ValueError):
    """A source of documents that cannot be used: where, what was found, what was expected, what to do."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How to read a source, and the running count of what was left out or changed while reading."""

    text_field: str
    hub_split: str
    hub_config: str | None
    on_invalid_text: InvalidTextPolicy
    statistics: Counter[str]

    def valid(self, text: str, place: str, offset: int | None = None) -> str | None:
        """Return text without NUL and surrogates, or None to skip it; `offset` is its byte offset in the file."""
        found = _INVALID.search(text)
        if found is None:
            return text
        if self.on_invalid_text == "replace":
            self.statistics["replaced_text"] += 1
            return _INVALID.sub("\ufffd", text)
        if self.on_invalid_text == "skip":
            self.statistics["invalid_text"] += 1
            return None
        byte = len(text[: found.start()].encode()) + (offset or 0)
        where = "of the text" if offset is None else "of the file"
        raise CorpusError(
            f"{place}: got {_named(found.group(), raw=offset is not None)} at byte offset {byte} {where}, expected "
            "UTF-8 text; convert it, or set on_invalid_text to skip or replace"
        )

    def overlong(self, path: str, offset: int) -> None:
        """Count a document over the size limit under `skip`; refuse it otherwise."""
        if self.on_invalid_text != "skip":
            raise CorpusError(
                f"{path}: got a document of more than {MAX_DOCUMENT_BYTES} bytes from byte offset {offset} on, "
                "expected shorter ones; separate documents with blank lines (.txt) or line ends (.jsonl), or set "
                "on_invalid_text to skip"
            )
        self.statistics["overlong_documents"] += 1

    def text_of(self, row: object, place: str) -> Iterator[str]:
        """Yield the text of one record, if it is valid."""
        field = self.text_field
        if not isinstance(row, dict):
            raise CorpusError(f"{place}: got {_kind(row)}, expected an object with the field {field!r}; fix it")
        if field not in row:
            names = ", ".join(map(repr, row)) or "none"
            raise CorpusError(
                f"{place}: got the fields {names}, expected {field!r}; set text_field to the one with the text"
            )
        if not isinstance(row[field], str):
            raise CorpusError(
                f"{place}: got {_kind(row[field])} in the field {field!r}, expected a string; fix it, or set text_field"
            )
        accepted = self.valid(row[field], f"{place}, field {field!r}")
        if accepted is not None:
            yield accepted


def read_packages(names: str, reading: Reading) -> Iterator[str]:
    """Yield the docstrings of installed packages, given as `torch,numpy`."""
    files: dict[str, None] = {}
    for name in (name.strip() for name in names.split(",")):
        found = package_files(name)
        if not found:
            raise CorpusError(_no_package(name))
        files.update(dict.fromkeys(found))
    for path, texts in read_docstrings(list(files)):
        reading.statistics["unparsable_files"] += texts is None
        for text in texts or ():
            accepted = reading.valid(text, f"a docstring of {path}")
            if accepted is not None:
                yield accepted


def read_hub(name: str, reading: Reading) -> Iterator[str]:
    """Yield a column of a dataset of the Hub, or of a local folder that `datasets` can load, as a stream."""
    import datasets

    place = f"hub:{name}"
    try:
        rows = datasets.load_dataset(name, reading.hub_config, split=reading.hub_split, streaming=True)
        if rows.column_names and reading.text_field in rows.column_names:
            rows = rows.select_columns([reading.text_field])  # do not decode images or sound beside the text
        for number, row in enumerate(rows, 1):
            yield from reading.text_of(row, f"{place}, row {number}")
    except CorpusError:
        raise
    except Exception as error:  # datasets raises many kinds, its dependencies more
        raise CorpusError(
            f"{place}: `datasets` cannot load split {reading.hub_split!r}, configuration {reading.hub_config!r}: "
            f"{' '.join(str(error).split())}; check the name, hub_split, hub_config and the connection"
        ) from error


def read_paragraphs(path: str, reading: Reading) -> Iterator[str]:
    """Yield the documents of a text file: runs of lines between blank lines."""
    for offset, block in _blocks(path, reading, ends=lambda line: not line.strip()):
        text = reading.valid(_decode(block, offset), path, offset)
        if text is not None:
            yield text


def read_json_lines(path: str, reading: Reading) -> Iterator[str]:
    """Yield the text field of each line of a JSON lines file."""
    for number, (offset, block) in enumerate(_blocks(path, reading, ends=lambda line: True), 1):
        place = f"{path}:{number}"
        line = reading.valid(_decode(block, offset), place, offset)
        if line is None or not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{place}: got a line that is not JSON ({error}), expected an object; fix it") from error
        yield from reading.text_of(row, place)


SCHEMES: dict[str, Callable[[str, Reading], Iterator[str]]] = {"pydoc:": read_packages, "hub:": read_hub}
SUFFIXES: dict[str, Callable[[str, Reading], Iterator[str]]] = {".txt": read_paragraphs, ".jsonl": read_json_lines}
_KINDS = "pydoc:PACKAGE,PACKAGE; hub:USER/NAME; or the path, glob or folder of .txt or .jsonl files"


def read_documents(
    source: str,
    *,
    text_field: str = "text",
    hub_split: str = "train",
    hub_config: str | None = None,
    on_invalid_text: InvalidTextPolicy = "error",
    max_documents: int | None = None,
    statistics: Counter[str] | None = None,
) -> Iterator[str]:
    """Yield the documents of a source, in an order that depends on the source only; `statistics` counts what is not."""
    reading = Reading(
        text_field=text_field,
        hub_split=hub_split,
        hub_config=hub_config,
        on_invalid_text=on_invalid_text,
        statistics=Counter() if statistics is None else statistics,
    )
    count = 0
    for text in _read(source, reading):
        document = text.strip()
        if not document:
            continue  # space between blank lines, or an empty field
        yield document
        count += 1
        if count == max_documents:
            return
    if not count:
        dropped = ", ".join(f"{number} {name}" for name, number in reading.statistics.items() if number)
        raise CorpusError(
            f"source {source!r}: got no documents" + (f" ({dropped})" if dropped else "") + ", expected some text; "
            "choose another source"
        )


def _read(source: str, reading: Reading) -> Iterator[str]:
    for scheme, read_rest in SCHEMES.items():
        if source.startswith(scheme):
            yield from read_rest(source.removeprefix(scheme), reading)
            return
    for path in _files(source):
        read_file = SUFFIXES.get(os.path.splitext(path)[1].lower())
        if read_file is None:
            raise CorpusError(f"source {path!r}: got an unknown kind, expected {_KINDS}; name one of these")
        mode = _mode(path)  # before opening: to open a pipe is to wait for its writer
        if not stat.S_ISREG(mode):
            raise CorpusError(f"{path}: got a {_file_type(mode)}, expected a file; name a regular file")
        yield from read_file(path, reading)


def _files(source: str) -> list[str]:
    path = os.path.expanduser(source)
    if not os.path.lexists(path):
        bare = os.sep not in path and os.path.splitext(path)[1].lower() not in SUFFIXES | {"": None}
        if _SCHEME.match(path) or bare:
            raise CorpusError(f"source {source!r}: got an unknown kind, expected {_KINDS}; name one of these")
        if glob.has_magic(path):
            found = sorted(glob.glob(path, recursive=True))
            if not found:
                raise CorpusError(f"source {source!r}: no file matches, expected at least one; check the path")
            return found
    if not stat.S_ISDIR(_mode(path)):
        return [path]
    inside = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    found = sorted(name for name in inside if os.path.splitext(name)[1].lower() in SUFFIXES)
    if not found:
        raise CorpusError(f"{path}: got a folder without {' or '.join(SUFFIXES)} files, expected some; check the path")
    return found


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        message = f"source {path!r}: cannot be read ({reason}), expected a file or folder; check the path"
        raise CorpusError(message) from error


def _blocks(path: str, reading: Reading, *, ends: Callable[[bytes], bool]) -> Iterator[tuple[int, bytes]]:
    """Yield the byte offset and bytes of each run of lines up to one that `ends` it; of an overlong run, none."""
    offset = start = 0
    kept: list[bytes] = []
    fresh = True  # whether the next piece begins a line
    try:
        with open(path, "rb") as file:
            while piece := file.readline(_PIECE_BYTES):
                offset += len(piece)
                if offset - start <= MAX_DOCUMENT_BYTES:
                    kept.append(piece)
                elif kept:
                    kept.clear()
                    reading.overlong(path, start)
                line, fresh = (piece if fresh else b"..." + piece), piece.endswith(b"\n")
                if fresh and ends(line):
                    yield start, b"".join(kept)
                    start = offset
                    kept.clear()
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror}), expected a readable file; check it") from error
    yield start, b"".join(kept)


def _decode(block: bytes, offset: int) -> str:
    """Decode UTF-8 with each invalid byte 0x80..0xff as the surrogate U+DC80..U+DCFF, for `Reading.valid` to judge."""
    text = block.decode("utf-8", "surrogateescape")
    return text if offset else text.removeprefix("\ufeff")  # the byte order mark of some editors


def _named(character: str, *, raw: bool) -> str:
    if character == "\0":
        return "a NUL character"
    code = ord(character)
    return f"the invalid byte 0x{code - 0xDC00:02x}" if raw else f"the lone surrogate U+{code:04X}"


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), f"{type(value).__name__} {value!r}"[:60])


def _file_type(mode: int) -> str:
    types = {stat.S_IFIFO: "named pipe", stat.S_IFDIR: "folder", stat.S_IFSOCK: "socket"}
    return types.get(stat.S_IFMT(mode), "device")


def _no_package(name: str) -> str:
    top = name.split(".")[0]
    near = difflib.get_close_matches(top, sorted({module.name for module in pkgutil.iter_modules()}), n=1)
    cure = f"did you mean {near[0]!r}" if near and near[0] != top else "install it, or name another one"
    return f"pydoc: package {name!r} is not installed or has no .py files, expected an importable name; {cure}"
