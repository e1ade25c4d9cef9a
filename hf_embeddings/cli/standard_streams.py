"""Standard output and standard error that cannot be written: the command does its work all the same, and says so."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import TextIO, cast

from hf_embeddings.printable import one_line


def open_closed_streams() -> None:
    """Open what was closed, as by `>&-`, on the null device.

    Otherwise the next file that is opened takes the number of the stream, and what a library prints goes into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))


@contextmanager
def checked_streams() -> Iterator[None]:
    """Let nothing that the block prints stop it, but for a reader who has gone away (EPIPE).

    What cannot be written is left out. Where it was meant for standard output, a line says so, and the exit code is 2.
    What was closed when the process began, as by `>&-`, takes everything and keeps nothing.
    """
    output, messages = _Checked(sys.stdout), _Checked(sys.stderr)
    with redirect_stdout(cast("TextIO", output)), redirect_stderr(cast("TextIO", messages)):
        code: object = 0
        try:
            yield
        except SystemExit as leaving:
            code = leaving.code or 0
        for stream in (messages, output):
            stream.finish()
        if output.reason:
            done = "" if code else "; the command has done its work, what it printed is lost; print to another place"
            print(one_line(f"error: standard output: {output.reason}{done}"), file=sys.stderr)
    messages.finish()
    if code or output.reason:
        sys.exit(cast("int", code or 2))


class _Checked:
    """A stream that remembers why it could not be written; in all else, the stream below it."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream if stream is not None else open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        self.reason = ""

    def write(self, text: str) -> int:
        """Write text, or leave it out."""
        try:
            if not self.reason:
                self._stream.write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Hand on what is still in memory."""
        try:
            if not self.reason:
                self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            self._fail(error)

    def finish(self) -> None:
        """Flush for the last time: Python would try again at its end, and fail with an exit code of its own."""
        try:
            self.flush()
        except BrokenPipeError:
            self._drop()

    def _fail(self, error: OSError) -> None:
        self.reason = error.strerror or str(error)
        self._drop()

    def _drop(self) -> None:
        """Lead to nowhere what is still in memory."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
