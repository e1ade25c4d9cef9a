"""The lines of evaluation files, each with its place, and the account of those that are left out."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

from hf_embeddings.files.lines import ENDS, line_pieces, without_end
from hf_embeddings.files.reading import not_utf8, open_file, parse_json
from hf_embeddings.json_text import json_kind

BYTE_ORDER_MARK = "\ufeff"
SHOWN = 5  # lines that an error names
LONGEST_LINE = 16 << 20  # bytes
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # as JSON writes both halves of one
_SURROGATE_CHARACTER = re.compile("[\ud800-\udfff]")


@dataclass
class Account:
    """What became of the lines of a file that are not data; in words, for the report."""

    refused: list[str] = field(default_factory=list)  # lines that cannot be read: place, what was got, expected
    left_out: list[str] = field(default_factory=list)  # lines that hold data but cannot be used: place and reason
    notes: list[str] = field(default_factory=list)  # what was assumed, and what is no data, such as comments
    hint: str = ""  # what may be wrong where lines cannot be read

    def leave_out(self, place: str, reason: str) -> None:
        """Note a line that is not used."""
        self.left_out.append(f"{place}: {reason}")

    def refuse(self, error: ValueError | str) -> None:
        """Note a line that cannot be read; `check` tells all of them."""
        self.refused.append(str(error))

    def check(self) -> None:
        """Raise where lines were refused.

        Raises:
            ValueError: the first ones, and how many more there are.
        """
        if self.refused:
            more = f"; and {len(self.refused) - SHOWN} more lines" if len(self.refused) > SHOWN else ""
            raise ValueError("; ".join(self.refused[:SHOWN]) + more + (f"; {self.hint}" if self.hint else ""))

    def comment(self, place: str) -> None:
        """Note a line that is a comment."""
        self.notes.append(f"{place}: a comment, as it begins with # and has too few columns")


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the place (`path:number`) and the text of each line; a byte order mark at the beginning is left out.

    What ends a line stands in `files/lines.py`.

    Raises:
        ValueError: it is no regular file, or a line is not UTF-8, or longer than `LONGEST_LINE`.
    """
    with open_file(path) as file:
        for number, line in enumerate(_whole_lines(file, path), 1):
            place = f"{path}:{number}"
            try:
                text = without_end(line).decode("utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(not_utf8(place, line, error)) from None
            if "\0" in text:
                raise ValueError(f"{place}: got a NUL character, expected text; remove it")
            yield place, text.removeprefix(BYTE_ORDER_MARK) if number == 1 else text


def _whole_lines(file: BufferedReader, path: Path) -> Iterator[bytes]:
    number, line = 1, b""
    for piece in line_pieces(file):
        line += piece
        if len(line) > LONGEST_LINE:
            raise ValueError(
                f"{path}:{number}: got a line of more than {LONGEST_LINE:,} bytes, expected shorter ones; cut it"
            )
        if piece.endswith(ENDS):
            yield line
            number, line = number + 1, b""
    if line:
        yield line


def read_json_lines(path: Path, account: Account) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the place and the object of each line that is not blank; the account is told of those that hold none.

    Raises:
        ValueError: as `read_lines`.
    """
    for place, line in read_lines(path):
        if line.strip():
            try:
                row = json_object(line, place)
            except ValueError as error:
                account.refuse(error)
            else:
                yield place, row


def json_object(text: str, place: str) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        ValueError: it is none, or has a key twice, of which JSON would keep the last.
    """
    value = parse_json(text, place)
    if not isinstance(value, dict):
        raise ValueError(f"{place}: got {json_kind(value)}, expected an object; fix it")
    if _SURROGATE.search(text) and _SURROGATE_CHARACTER.search(json.dumps(value, ensure_ascii=False)):
        raise ValueError(
            f"{place}: got a lone surrogate (half of a character), expected whole characters; fix the text"
        )
    return value
