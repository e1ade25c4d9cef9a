"""The standard streams of the command, wherever a shell, a service or a scheduler has led them."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


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
def printed() -> Iterator[None]:
    """Print the last of the block's output while there is somebody to tell that it cannot be printed.

    Raises:
        ValueError: it cannot, as on a full disk.
        SystemExit: nobody reads it any more, as behind `| head`.
    """
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except OSError as error:
            with suppress(OSError):  # Python flushes it once more when it ends
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if error.errno == errno.EPIPE:
                sys.exit(1)
            raise ValueError(
                f"standard output: cannot be written ({error.strerror}); the verb itself has ended; lead its output "
                "elsewhere"
            ) from None
