"""Calls of the command in processes of their own, and what is done to them there before they begin."""

import contextlib
import ctypes
import json
import logging
import os
import signal
import struct
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import torch

from hf_embeddings.cli import main as command
from tests.faults.system_calls import Fate, summon, tell

Hook = Callable[[], object]  # called before the verb; what it returns, if it can be called, is called behind it


@dataclass
class Ended:
    """How a call ended."""

    code: int  # of the process; negative where a signal ended it
    said: str  # on both of its outputs
    calls: int = 0  # that changed a file, where they were judged to the end

    @property
    def is_one_line(self) -> bool:
        """Whether what went wrong was told in one line: a mistake, or a run that could not go on."""
        last = self.said.strip().splitlines()[-1:]
        return self.code in (1, 2) and "Traceback" not in self.said and bool(last) and last[0].startswith("error: ")


class Call:
    """A verb in a process of its own, forked from this one, which has imported everything."""

    def __init__(self, line: list[str], *, cwd: Path, before: Hook = lambda: None) -> None:
        self._pipe, told = os.pipe()
        sys.stdout.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads: none of them holds a lock that the child needs
            self.process = os.fork()
        if self.process == 0:
            code = 1
            try:
                os.dup2(told, 1), os.dup2(told, 2)
                sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
                os.chdir(cwd)
                os.environ["HOME"] = str(cwd / "home")
                _log_to(sys.stderr)
                torch.set_num_threads(1)  # the threads of OpenMP have stayed in the other process
                code = _run(line, before)
            finally:
                for stream in (sys.stdout, sys.stderr):
                    with contextlib.suppress(OSError, ValueError):
                        stream.flush()
                os._exit(code)
        os.close(told)

    def end(self) -> Ended:
        """Wait for it."""
        with os.fdopen(self._pipe, encoding="utf-8", errors="replace") as told:
            said, _, calls = told.read().partition("calls {")
        count = sum(json.loads("{" + calls.splitlines()[0]).values()) if calls else 0
        return Ended(os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1]), said, count)


def _log_to(stream: TextIO) -> None:
    """Have what loggers say go there: pytest has put a file of its own in the place of their stream."""
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        for handler in getattr(logger, "handlers", ()):
            if type(handler) is logging.StreamHandler:
                handler.setStream(stream)


def _run(line: list[str], before: Hook) -> int:
    import traceback

    sys.argv = ["hf-embeddings", *line]
    after = before()
    try:
        command.main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    else:
        code = 0
    if callable(after):
        sys.stdout.flush()
        after()
    return code


def judged(folder: Path, fate: Fate) -> Hook:
    """Return a hook: each call that changes something below a folder has its fate."""

    def begin() -> Hook:
        judge = summon(str(folder), fate)
        tell(judge, "begin")
        return lambda: tell(judge, "end")

    return begin


def limit_files(size: int) -> Hook:
    """Return a hook: no file grows beyond a size, as on a disk that is full in the middle of it."""

    def limit() -> None:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def obey_modes() -> None:
    """Take from root the right to write where the modes of files and directories forbid it."""
    if os.geteuid() == 0:
        header, none = ctypes.create_string_buffer(struct.pack("=II", 0x20080522, 0)), bytes(24)
        if ctypes.CDLL(None, use_errno=True).capset(header, ctypes.create_string_buffer(none)):
            raise OSError(ctypes.get_errno(), "capset")
