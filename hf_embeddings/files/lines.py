r"""The lines of files that people give: they end at `\n`, `\r\n` or, as in files of old Macs, `\r`, and nowhere else.

U+2028, U+2029, U+0085, form feeds and other separators are white space within a line. `\r\r\n`, which Windows makes of
`\r\n` that is written as text once more, is one end and not a blank line between two.
"""

import re
from collections.abc import Iterator
from io import BufferedReader

PIECE_BYTES = 1 << 20  # a line of any length is read in pieces of this size
ENDS = (b"\n", b"\r")  # the last byte of a line that has its end
_END = re.compile(rb"\r\r?\n|[\r\n]")
_TEXT_END = re.compile(r"\r\r?\n|\r")
_LONE_RETURN = re.compile(r"\r(?!\r?\n)")


def line_pieces(file: BufferedReader) -> Iterator[bytes]:
    """Yield the lines of a file with their ends; a very long one in pieces, of which the last has the end."""
    while piece := file.readline(PIECE_BYTES):
        while piece.endswith(b"\r") and len(piece) <= PIECE_BYTES + 1 and file.peek(1)[:1] in ENDS:  # cut within an end
            piece += file.read(1)
        body = piece.removesuffix(b"\n").removesuffix(b"\r")
        if b"\r" not in body:
            yield piece
            continue
        start = 0
        for end in _END.finditer(piece):
            yield piece[start : end.end()]
            start = end.end()
        if start < len(piece):
            yield piece[start:]


def without_end(line: bytes) -> bytes:
    """Return a line of `line_pieces` without its end."""
    return line.removesuffix(b"\n").removesuffix(b"\r").removesuffix(b"\r")


def with_plain_ends(text: str) -> str:
    r"""Return a text whose lines all end with `\n`."""
    return _TEXT_END.sub("\n", text) if "\r" in text else text


def with_lone_returns_as_ends(text: str) -> str:
    r"""Return a text of the same length in which each end of a line has a `\n`."""
    return _LONE_RETURN.sub("\n", text) if "\r" in text else text
