"""Files that people give: read only where they are files, of a bounded size, as the value that they hold.

What is wrong with one is a line: which file, what it is, what was expected, what to do. No pipe is waited for.
"""

import codecs
import json
import os
import re
import stat
from io import BufferedReader
from typing import Any

import yaml

from hf_embeddings.files.lines import with_plain_ends
from hf_embeddings.json_text import json_kind, without_twins

DEEPEST = 100  # brackets within brackets: what walks through a value calls itself for each
LARGEST = 64 << 20  # bytes of a file that is read whole; the largest tokenizers in use have 17 MB
_TYPES = {stat.S_IFREG: "file", stat.S_IFIFO: "named pipe", stat.S_IFDIR: "directory", stat.S_IFSOCK: "socket"}
_NESTING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)  # strings match whole, so as to be skipped
_MARKS = {codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32", codecs.BOM_UTF16_LE: "UTF-16",
          codecs.BOM_UTF16_BE: "UTF-16"}  # fmt: skip
RESTORE = "restore the file, or fix it"
Place = str | os.PathLike[str]


def check_file(path: Place) -> None:
    """Refuse what is no regular file, before it is opened: to open a pipe is to wait for its writer.

    Raises:
        ValueError: a directory, a pipe, a socket or a device; or a name that no file can have.
        OSError: nothing is there, or it cannot be reached.
    """
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # NUL in the name
        raise ValueError(f"{os.fspath(path)!r}: no name of a file ({error}), expected one; check the path") from None
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path}: got a {file_type(mode)}, expected a file; name a regular file")


def file_type(mode: int) -> str:
    """Return in words what a mode of `os.stat` stands for."""
    return _TYPES.get(stat.S_IFMT(mode), "device")


def not_a_directory(path: Place) -> str:
    """Return what stands in the place of a directory that was expected there: nothing, or something else."""
    try:
        return f"got a {file_type(os.stat(path).st_mode)}"
    except (OSError, ValueError):
        return "no such directory"


def open_file(path: Place) -> BufferedReader:
    """Open a regular file to read its bytes.

    Raises:
        ValueError, OSError: as `check_file`.
    """
    check_file(path)
    return open(path, "rb")


def read_bytes(path: Place, *, most: int = LARGEST) -> bytes:
    """Return the bytes of a file.

    Raises:
        ValueError: it is no regular file, or has more bytes than `most`.
        OSError: it is not there, or cannot be read.
    """
    with open_file(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path}: got more than {most:,} bytes, expected fewer; check that this is the right file")
    return content


def read_text(path: Place, *, most: int = LARGEST) -> str:
    r"""Return the text of a file in UTF-8, with `\n` at the ends of lines and without a byte order mark.

    Raises:
        ValueError: as `read_bytes`, or it is in another encoding.
        OSError: as `read_bytes`.
    """
    content = read_bytes(path, most=most)
    try:
        return with_plain_ends(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(not_utf8(path, content, error)) from None


def encoding_of(content: bytes) -> str | None:
    """Return the name of the encoding, other than UTF-8, whose mark some bytes begin with."""
    return next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)


def not_utf8(place: object, content: bytes, error: UnicodeDecodeError) -> str:
    """Return the line that says which encoding some bytes are in, as far as they tell it, rather than UTF-8."""
    encoding = encoding_of(content) or f"the byte {content[error.start]:#04x}"
    return f"{place}: got {encoding}, expected UTF-8 text; save the file as UTF-8"


def parse_json(text: str | bytes, place: object, *, cure: str = RESTORE) -> Any:  # noqa: ANN401  what JSON holds
    """Return the value of JSON, which says each key of an object once.

    Args:
        text: JSON.
        place: what it stands in.
        cure: what to do where it is none; without one it is that of a file.

    Raises:
        ValueError: it is none, or nested without end; the message begins with the place.
    """
    check_depth(text, place)
    try:
        return json.loads(text, object_pairs_hook=without_twins)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: got text that is not JSON ({error}); {cure}") from None


def check_depth(text: str | bytes, place: object) -> None:
    """Refuse brackets that are nested more than `DEEPEST` times, whatever the parser takes.

    Raises:
        ValueError: they are.
    """
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if content.count(b"[") + content.count(b"{") <= DEEPEST:  # as nearly always
        return
    depth = 0
    for match in _NESTING.finditer(content):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(match.group(), 0)
        if depth > DEEPEST:
            raise ValueError(f"{place}: got more than {DEEPEST} nested brackets, expected fewer; restore it, or fix it")


def parse_yaml(text: str, place: object) -> Any:  # noqa: ANN401  what YAML holds
    """Return the value of YAML without aliases: a few of them stand for a value without end.

    Raises:
        ValueError: it is none; the message begins with the place.
    """
    try:
        loader = _NoAliases(text)
        value = loader.get_single_data()
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{place}: got text that is not plain YAML ({reason}); {RESTORE}") from None
    return value


class _NoAliases(yaml.SafeLoader):
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.check_event(yaml.AliasEvent) or self.depth > DEEPEST:
            word = f"more than {DEEPEST} levels" if self.depth > DEEPEST else "an alias"
            raise yaml.composer.ComposerError(None, None, f"found {word}", self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_json(path: Place, *, most: int = LARGEST) -> Any:  # noqa: ANN401  what JSON holds
    """Return the value of a file of JSON.

    Raises:
        ValueError, OSError: as `read_text` and `parse_json`.
    """
    return parse_json(read_text(path, most=most), path)


def read_object(path: Place, *, most: int = LARGEST) -> dict[str, Any]:
    """Return the object in a file of JSON.

    Raises:
        ValueError, OSError: as `read_json`; or the file holds another value.
    """
    value = read_json(path, most=most)
    if not isinstance(value, dict):
        raise ValueError(f"{path}: got {json_kind(value)}, expected a JSON object; restore the file")
    return value
