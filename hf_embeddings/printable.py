"""Text as a terminal may show it: what would move its cursor, rename its window or turn its text around is spelled out.

Documents, labels and file names come from anywhere; a terminal obeys the control characters in them.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TextIO, cast

# C0, DEL and C1; marks that turn text around; line and paragraph separators; lone surrogates, which cannot be printed.
_CONTROLS = "\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
# In a name these hide that it is another one; in a text, some scripts need them.
_HIDDEN = "\u00ad\u200b\u2060-\u2064\ufeff\U000e0000-\U000e007f"
_OF_A_LINE = re.compile(f"[{_CONTROLS}{_HIDDEN}\t\n]")
_OF_A_TEXT = re.compile(rf"(\x1b\[[0-9;]*m)|[{_CONTROLS}]")


def one_line(text: str) -> str:
    """Return text on one line, each control character as its escape, such as backslash n for a line end."""
    return _OF_A_LINE.sub(lambda match: _escape(match[0]), text)


def printable(text: str) -> str:
    """Return text with each control character as its escape, but for line ends and tabs."""
    return _OF_A_TEXT.sub(lambda match: _escape(match[0]), text)


def counted(count: int, noun: str) -> str:
    """Return how many things there are, such as `1 row` and `2,000 rows`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


@contextmanager
def escaped_stdout(stream: TextIO) -> Iterator[None]:
    """Spell out control characters of what the block prints, but for line ends, tabs and, on a terminal, colours."""
    with redirect_stdout(cast("TextIO", _Escaping(stream))):
        yield


class _Escaping:
    """A stream that escapes what is written to it; in all else, the stream below it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text, escaped."""
        colours = self._stream.isatty()
        self._stream.write(_OF_A_TEXT.sub(lambda match: match[0] if match[1] and colours else _escape(match[0]), text))
        return len(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def _escape(text: str) -> str:
    return text.encode("unicode_escape", "surrogatepass").decode("ascii")
