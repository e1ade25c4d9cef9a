"""What Windows lacks and refuses, for the code of this package only: put this folder on PYTHONPATH.

Names: modules that are imported by the package's own files are handed out without what only POSIX has. Files: whatever
removes, replaces or renames a file or folder fails while a file in it is open or mapped, in this process or another one
that was started here, as Windows makes it fail. What other libraries import is left as it is.
"""

import builtins
import os
import sys
import types
from collections.abc import Callable, Iterator

OURS = ("hf_embeddings", "conversion")
NO_MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix", "syslog"}
NO_NAMES = {
    "signal": {"SIGUSR1", "SIGUSR2", "SIGKILL", "SIGHUP", "SIGALRM", "SIGCHLD", "alarm", "pause", "setitimer"},
    "os": {
        "sched_getaffinity", "fork", "O_DIRECTORY", "O_NOFOLLOW", "getuid", "geteuid", "uname", "pread",
        "pwrite", "setsid", "killpg", "mkfifo", "nice", "statvfs", "sync", "fchmod", "wait", "register_at_fork",
        "posix_fadvise", "getloadavg", "sysconf",
    },
    "multiprocessing": {"forkserver"},
}  # fmt: skip
FOLDER = os.environ.get("STRICT_FOLDER", "/nowhere")  # files elsewhere, such as libraries, are not looked at


class Module(types.ModuleType):
    """A module as Windows has it."""

    def __init__(self, real: types.ModuleType, missing: set[str], **instead: object) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(_real=real, _missing=missing, **instead)

    def __getattr__(self, name: str) -> object:
        if name in self._missing:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} (on Windows)")
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._real, name, value)


def _start_methods() -> list[str]:
    return ["spawn"]


def _open(path: object, flags: int, *rest: object, **more: object) -> int:
    if os.path.isdir(path):
        raise PermissionError(13, "a folder cannot be opened (on Windows)", str(path))
    return os.open(path, flags, *rest, **more)


def _fsync(file: int) -> None:
    import fcntl

    if not fcntl.fcntl(file, fcntl.F_GETFL) & (os.O_WRONLY | os.O_RDWR):
        raise OSError(9, "a file that is open for reading alone cannot be flushed (on Windows)")
    os.fsync(file)


def _context(real: types.ModuleType) -> Callable:
    def get_context(method: str | None = None) -> object:
        if method not in (None, "spawn"):
            raise ValueError(f"cannot find context for {method!r} (on Windows)")
        return real.get_context("spawn")

    return get_context


def _as_windows(real: types.ModuleType) -> types.ModuleType:
    missing = NO_NAMES.get(real.__name__, set())
    if real.__name__ == "os":
        return Module(real, missing, open=_open, fsync=_fsync)
    if real.__name__ == "sys":
        return Module(real, missing, platform="win32")
    if real.__name__ == "multiprocessing":
        return Module(real, missing, get_all_start_methods=_start_methods, get_context=_context(real))
    return Module(real, missing)


def _install_names() -> None:
    real_import, changed = builtins.__import__, {}

    def importing(name, globals=None, locals=None, fromlist=(), level=0):  # noqa: A002
        ours = not level and (globals or {}).get("__name__", "").startswith(OURS)
        if ours and name in NO_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r} (on Windows)", name=name)
        module = real_import(name, globals, locals, fromlist, level)
        if ours and name in (*NO_NAMES, "sys"):
            return changed.setdefault(name, _as_windows(module))
        return module

    builtins.__import__ = importing


def _open_files() -> Iterator[str]:
    """Yield the files that are open or mapped, here and in processes that were started with this file."""
    group = os.getpgrp()
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getpgid(int(process)) != group:
                continue
            for number in os.listdir(f"/proc/{process}/fd"):
                yield os.readlink(f"/proc/{process}/fd/{number}")
            with open(f"/proc/{process}/maps", encoding="utf-8") as maps:
                yield from (line.split(maxsplit=5)[5].rstrip("\n") for line in maps if len(line.split(maxsplit=5)) > 5)
        except OSError:  # it has ended
            continue


def _refuse_open(path: object, folder: int | None = None) -> None:
    where = os.readlink(f"/proc/self/fd/{folder}") if folder is not None else os.getcwd()
    full = os.path.normpath(os.path.join(where, os.fsdecode(path)))
    if not full.startswith(FOLDER) or os.path.basename(full) == ".lock":  # filelock does it otherwise on Windows
        return
    if held := next((f for f in _open_files() if f == full or f.startswith(f"{full}/")), None):
        if os.path.isdir(full) and held == full:
            return  # a folder that is being walked
        raise PermissionError(32, "it is used by a process (on Windows)", held)


def _install_files() -> None:
    def guarded(name: str, both: bool) -> None:
        real = getattr(os, name)

        def call(path, *rest, dir_fd=None, **more):
            _refuse_open(path, dir_fd)
            if both:
                _refuse_open(rest[0])
                return real(path, *rest, **more)
            return real(path, *rest, dir_fd=dir_fd, **more)

        setattr(os, name, call)

    for name, both in (("rename", True), ("replace", True), ("unlink", False), ("remove", False)):
        guarded(name, both)


_install_names()
_install_files()
sys.dont_write_bytecode = True
