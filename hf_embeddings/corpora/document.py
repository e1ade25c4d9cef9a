"""How documents are read: what counts as valid text, and the words for what does not."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from hf_embeddings.json_text import json_kind

MAX_DOCUMENT_BYTES = 16 << 20  # bounds the memory that one document without a blank line, or one JSON line, can take
_INVALID = re.compile("[\0\ud800-\udfff]")  # undecodable bytes are surrogates too: see `text_files.decode`

NO_PATHS = ("pydoc:", "pycode:", "hub:")  # what a source begins with that is no path
InvalidTextPolicy = Literal["error", "skip", "replace"]


class CorpusError(ValueError):
    """A source of documents that cannot be used: where, what was found, what was expected, what to do."""


@dataclass(frozen=True)
class Document:
    """A text and what its source says of it: the name of what is documented, the other fields of a row."""

    text: str
    metadata: dict[str, object] = field(default_factory=dict)
    place: str = ""  # where it stands, in words, such as notes.jsonl:7
    origin: str = ""  # the file, by its absolute path, or the part of the source that holds it, such as pydoc:torch
    place_fields: tuple[str, ...] = ()  # the metadata that say where it stands, and change when the file is edited


@dataclass(frozen=True, kw_only=True)
class SourceReader:
    """How to read a source, and the running count of what was left out or changed while reading."""

    text_field: str = "text"
    option: str = "text_field"  # where the user names it
    with_fields: bool = False  # of tables: the other columns too, which take time and memory to read
    hub_split: str = "train"
    hub_config: str | None = None
    on_invalid_text: InvalidTextPolicy = "error"
    policy_option: str = ""  # where the user chooses that; "" where a verb has no such option
    statistics: Counter[str] = field(default_factory=Counter)  # counts what is left out
    advance: Callable[[float], None] = lambda size: None  # told of bytes that were read

    def valid(self, text: str, place: str, offset: int | None = None) -> str | None:
        """Return text without NUL and surrogates, or None to skip it; `offset` is its byte offset in the file."""
        match = _INVALID.search(text)
        if match is None:
            return text
        if self.on_invalid_text == "replace":
            self.statistics["replaced_text"] += 1
            return _INVALID.sub("\ufffd", text)
        if self.on_invalid_text == "skip":
            self.statistics["invalid_text"] += 1
            return None
        byte = len(text[: match.start()].encode()) + (offset or 0)
        where = "of the text" if offset is None else "of the file"
        raise CorpusError(
            f"{place}: got {_named(match.group(), raw=offset is not None)} at byte offset {byte} {where}, expected "
            f"UTF-8 text; convert it{self._or_choose('skip or replace')}"
        )

    def overlong(self, place: str, offset: int | None = None) -> None:
        """Count a document over the size limit under `skip`; refuse it otherwise. `offset` is its place in a file."""
        if self.on_invalid_text != "skip":
            start, cure = "", "cut it into several rows"
            if offset is not None:
                start = f" from byte offset {offset} on"
                cure = "separate documents with blank lines (.txt) or line ends (.jsonl)"
            raise CorpusError(
                f"{place}: got a document of more than {MAX_DOCUMENT_BYTES} bytes{start}, expected shorter ones; "
                f"{cure}{self._or_choose('skip')}"
            )
        self.statistics["overlong_documents"] += 1

    def text_of(self, row: object, place: str) -> Iterator[Document]:
        """Yield the text of one record, if it is valid, with the other fields; one that is blank is counted only."""
        field = self.text_field
        if not isinstance(row, dict):
            raise CorpusError(f"{place}: got {json_kind(row)}, expected an object with the field {field!r}; fix it")
        if field not in row:
            names = ", ".join(map(repr, row)) or "none"
            raise CorpusError(
                f"{place}: got the fields {names}, expected {field!r}; set {self.option} to the one with the text"
            )
        text = row[field]
        if self.on_invalid_text == "skip" and _is_null(text):
            self.statistics["rows_without_text"] += 1
            return
        if not isinstance(text, str):
            cure = f"fix it, or set {self.option}" if not _is_null(text) else f"fill it in{self._or_choose('skip')}"
            raise CorpusError(f"{place}: got {json_kind(text)} in the field {field!r}, expected a string; {cure}")
        if _is_overlong(text):
            self.overlong(f"{place}, field {field!r}")
            return
        valid_text = self.valid(text, f"{place}, field {field!r}")
        if valid_text is not None:
            if not valid_text.strip():
                self.statistics["blank_documents"] += 1
            yield Document(valid_text, {name: value for name, value in row.items() if name != field}, place)

    def malformed(self, message: str) -> None:
        """Count a row that is not as it should be under `skip`; refuse it with the message otherwise."""
        if self.on_invalid_text != "skip":
            raise CorpusError(f"{message}{self._or_choose('skip')}")
        self.statistics["invalid_text"] += 1

    def _or_choose(self, policy: str) -> str:
        return f", or set {self.policy_option} to {policy}" if self.policy_option else ""


def unreadable(path: str, error: Exception) -> CorpusError:
    """Return the error of a file that the system, or a decoder, does not read."""
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())
    return CorpusError(f"{path}: cannot be read ({reason}), expected a readable file; check it")


def _named(character: str, *, raw: bool) -> str:
    if character == "\0":
        return "a NUL character"
    code = ord(character)
    return f"the invalid byte 0x{code - 0xDC00:02x}" if raw else f"the lone surrogate U+{code:04X}"


def _is_overlong(text: str) -> bool:
    """Tell whether a text takes more bytes than a document may; most are short enough not to be encoded for it."""
    return 4 * len(text) > MAX_DOCUMENT_BYTES and len(text.encode("utf-8", "replace")) > MAX_DOCUMENT_BYTES


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
