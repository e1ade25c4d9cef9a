"""A lock on an output directory: two runs never write to one place."""

import fcntl
import json
import os
import socket
import time
from pathlib import Path

LOCK = ".lock"


class Lock:
    """Held from construction to `release`, or to the end of the process, however it ends.

    It is a POSIX record lock: it works over NFS, and processes that are forked to make batches do not inherit it.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            ValueError: another process holds it; the message says which.
        """
        self.path = folder / LOCK
        while True:
            self._file = self.path.open("a+", encoding="utf-8")
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(self.path.stat(), os.fstat(self._file.fileno())):
                    break
            except FileNotFoundError:  # its holder has just removed it: lock a new one
                pass
            except OSError:
                self._file.seek(0)
                holder = self._file.read().strip() or "another process"
                self._file.close()
                raise ValueError(
                    f"output_dir: {folder} is being written by a live run ({holder}); wait for it, stop it, or choose "
                    "another"
                ) from None
            self._file.close()
        self._file.truncate(0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        self._file.write(json.dumps({"host": socket.gethostname(), "process": os.getpid(), "since": since}))
        self._file.flush()

    def release(self) -> None:
        """Let another run in."""
        self.path.unlink(missing_ok=True)
        self._file.close()
