"""A lock on an output directory: two runs never write to one place."""

import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from hf_embeddings.files.reading import read_object

LOCK, HOLDER = ".lock", ".lock.json"
LOCK_FILES = (LOCK, HOLDER)


class Lock:
    """Held from construction to `release`, or to the end of the process, however it ends.

    It is the system's lock on an open file. Processes that are forked to make batches close that file first of all
    (filelock sees to it), so they do not hold the place of a run that was killed. Who holds it stands in a file of its
    own: on Windows, what is locked cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            ValueError: another process holds it, or this one already; the message says which.
        """
        self.path, self.holder = folder / LOCK, folder / HOLDER
        self._lock = FileLock(self.path, timeout=0, thread_local=False)
        try:
            self._lock.acquire()
        except (Timeout, RuntimeError):  # RuntimeError: this thread holds it by another object
            raise ValueError(
                f"{folder}: is being written by {self._holder()}; wait for it, stop it, or choose another directory"
            ) from None
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        facts = {"host": socket.gethostname(), "process": os.getpid(), "since": since}
        try:
            self.holder.write_text(json.dumps(facts), encoding="utf-8", newline="\n")
        except OSError:  # a full disk
            self.release()
            raise

    def _holder(self) -> str:
        """Return in words which process holds the lock, as far as it has said so."""
        try:
            facts = read_object(self.holder)
            return f"process {facts['process']} on {facts['host']}, since {facts['since']}"
        except (OSError, ValueError, KeyError):
            return "another process"

    def release(self) -> None:
        """Let another run in."""
        self.holder.unlink(missing_ok=True)
        with suppress(PermissionError):  # of Windows, where filelock removes it once it is closed
            self.path.unlink(missing_ok=True)  # while it is locked: who waits for it finds out, and takes a new one
        self._lock.release()
