"""Faults at any call that changes the disk, whoever makes it, Python, C or Rust: a kill there, or an error instead.

The kernel asks another process before it carries out such a call (seccomp_unotify(2), Linux 5.5 or newer, no rights
needed). That one knows the number of the call, and lets it happen, answers with an error, or kills who asks; of a
write, half gets through then.
"""

import ctypes
import errno
import fcntl
import json
import os
import platform
import select
import signal
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hf_embeddings.pretraining.checkpoints import store
from hf_embeddings.pretraining.training import result as conclusion

POSSIBLE = sys.platform == "linux" and platform.machine() == "x86_64"  # the numbers below are those of this machine
# Name: number, and where the file is: the argument that is a descriptor, or those that are directory and name.
CALLS: dict[str, tuple[int, int | tuple[int | None, int]]] = {
    "write": (1, 0), "pwrite64": (18, 0), "writev": (20, 0), "pwritev": (296, 0), "sendfile": (40, 0),
    "copy_file_range": (326, 2), "fsync": (74, 0), "fdatasync": (75, 0), "ftruncate": (77, 0), "fchmod": (91, 0),
    "fallocate": (285, 0), "open": (2, (None, 0)), "openat": (257, (0, 1)), "creat": (85, (None, 0)),
    "truncate": (76, (None, 0)), "rename": (82, (None, 0)), "renameat": (264, (0, 1)), "renameat2": (316, (0, 1)),
    "mkdir": (83, (None, 0)), "mkdirat": (258, (0, 1)), "rmdir": (84, (None, 0)), "unlink": (87, (None, 0)),
    "unlinkat": (263, (0, 1)), "link": (86, (None, 1)), "linkat": (265, (2, 3)), "symlink": (88, (None, 1)),
    "symlinkat": (266, (1, 2)), "chmod": (90, (None, 0)), "fchmodat": (268, (0, 1)),
}  # fmt: skip
NAMES = {number: name for name, (number, _) in CALLS.items()}
FLAGS = {"open": 1, "openat": 2}  # the argument that says how a file is opened
CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
AT_WORKING_DIRECTORY = 2**32 - 100  # AT_FDCWD
SYNCING, REMOVING = {"fsync", "fdatasync"}, {"unlink", "unlinkat", "rmdir"}
LET, KILL = 0, -1
# What becomes of a call, by its number from 0, its name and the path: LET, KILL or the number of an error. At the end
# of what is watched, it is asked once more, with the name "end".
Fate = Callable[[int, str, str], int]
EXPORT = 10**6  # in place of the number of a save


def no_fault(number: int, name: str, path: str) -> int:
    """Let everything happen, and have it counted."""
    return LET


def kill_at(place: int) -> Fate:
    """Kill at the call with this number, or after the last one."""
    return lambda number, name, path: KILL if number == place or name == "end" else LET


def disk_full_from(place: int) -> Fate:
    """Let no call from this number on take space: what removes, forces to the disk or opens what is there goes on."""

    def fate(number: int, name: str, path: str) -> int:
        is_free = name in SYNCING | REMOVING | {"end"} or (name in FLAGS and os.path.lexists(path))
        return LET if number < place or is_free else errno.ENOSPC

    return fate


def no_directory_fsync(number: int, name: str, path: str) -> int:
    """Answer as file systems do that know no fsync of directories: SMB, FUSE, some containers."""
    return errno.EINVAL if name in SYNCING and os.path.isdir(path) else LET


class DieAt:
    """Kill the process at call number `place` of a save, or after its last call; with None, count and print them."""

    def __init__(self, folder: Path, save: int, place: int | None) -> None:
        """Look at what happens below `folder` during save number `save`, from 0, or during EXPORT."""
        self.folder, self.save, self.place = str(folder), save, place

    def __call__(self, rank: int) -> None:
        self._mark(summon(self.folder, no_fault if self.place is None else kill_at(self.place)))

    def _mark(self, judge: socket.socket) -> None:
        """Tell the judge when the save begins and ends."""
        saves = -1
        real_save, real_settle = store.Checkpoints.save, store.Checkpoints.settle
        real_export = conclusion.write_finished_model

        def save(own, *arguments):
            nonlocal saves
            own.settle()
            saves += 1
            if saves == self.save:
                tell(judge, "begin")
            done = real_save(own, *arguments)
            real_settle(own)
            if saves == self.save:
                tell(judge, "end")
            return done

        def export(*arguments, **given):
            tell(judge, "begin")
            real_export(*arguments, **given)
            tell(judge, "end")

        store.Checkpoints.save = save
        if self.save == EXPORT:
            conclusion.write_finished_model = export


def summon(folder: str, fate: Fate) -> socket.socket:
    """Have another process judge the calls of this one below `folder`; return the line to it, for `tell`."""
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        try:
            ours.close()
            Judge(theirs, os.getppid(), folder, fate).watch()
        finally:
            os._exit(0)
    theirs.close()
    listener = _ask_before(sorted(NAMES))
    socket.send_fds(ours, [b"here"], [listener])
    os.close(listener)
    return ours


def tell(judge: socket.socket, word: str) -> None:
    """Let the judge "begin" or "end"; at the end, the calls are printed if the process is still there."""
    judge.send(word.encode())
    if found := json.loads(judge.recv(1 << 20)):
        print(f"calls {json.dumps(found)}", file=sys.stderr, flush=True)


class Judge:
    """The other process: gives each call its fate."""

    def __init__(self, told: socket.socket, process: int, folder: str, fate: Fate) -> None:
        self.told, self.process, self.folder, self.fate = told, process, folder, fate
        self.watching, self.seen = False, Counter()

    def watch(self) -> None:
        """Answer until the process is gone."""
        _, [listener], _, _ = socket.recv_fds(self.told, 16, 1)
        poll = select.poll()
        for handle in (listener, self.told.fileno()):
            poll.register(handle, select.POLLIN)
        while True:
            for handle, event in poll.poll():
                if event & select.POLLHUP and not event & select.POLLIN:
                    return
                if handle == listener:
                    self._answer(listener)
                else:
                    self._listen()

    def _listen(self) -> None:
        word = self.told.recv(16)
        self.watching = word == b"begin"
        ended = word == b"end"
        if ended and self.fate(self.seen.total(), "end", self.folder) == KILL:
            self._kill()
        self.told.send(json.dumps(self.seen if ended else None).encode())

    def _answer(self, listener: int) -> None:
        asked = bytearray(80)  # struct seccomp_notif
        try:
            fcntl.ioctl(listener, 0xC0502100, asked)  # SECCOMP_IOCTL_NOTIF_RECV
        except OSError:  # the one who asked is gone
            return
        number, thread, _, call, _, _, *arguments = struct.unpack("=QIIiIQ6Q", asked)
        name, fate = NAMES[call], LET
        if self.watching and (path := self._changed_path(thread, name, arguments)):
            fate = self.fate(self.seen.total(), name, path)
            if fate == KILL:
                if name == "write":
                    self._write_half(thread, *arguments[:3])
                self._kill()
            self.seen[name] += 1
        try:  # SECCOMP_IOCTL_NOTIF_SEND, with SECCOMP_USER_NOTIF_FLAG_CONTINUE or an error
            fcntl.ioctl(listener, 0xC0182101, struct.pack("=QqiI", number, 0, -fate, fate == LET))
        except OSError:
            return

    def _kill(self) -> None:
        os.kill(self.process, signal.SIGKILL)
        os._exit(0)

    def _changed_path(self, thread: int, name: str, arguments: list[int]) -> str:
        """Return the path below the folder that a call changes, or nothing."""
        if name in FLAGS and not arguments[FLAGS[name]] & CHANGING:
            return ""
        place = CALLS[name][1]
        if isinstance(place, int):
            path = _opened(thread, arguments[place])
        else:
            directory, path = place[0], _text(thread, arguments[place[1]])
            if directory is not None and arguments[directory] & 0xFFFFFFFF != AT_WORKING_DIRECTORY:
                path = os.path.join(_opened(thread, arguments[directory]), path)
            else:
                path = os.path.join(os.readlink(f"/proc/{thread}/cwd"), path)
        return path if path == self.folder or path.startswith(f"{self.folder}/") else ""

    def _write_half(self, thread: int, handle: int, address: int, size: int) -> None:
        position = int(Path(f"/proc/{thread}/fdinfo/{handle}").read_text().split()[1])
        with open(f"/proc/{thread}/fd/{handle}", "r+b", buffering=0) as file:
            os.pwrite(file.fileno(), _memory(thread, address, size // 2), position)


def _ask_before(calls: list[int]) -> int:
    """Have the kernel ask before these calls of this thread and those it starts; return where it asks."""
    allow, ask, count = 0x7FFF0000, 0x7FC00000, len(calls)
    code = [(0x20, 0, 0, 0)]  # load the number of the call
    code += [(0x15, count - index, 0, call) for index, call in enumerate(calls)]  # is it this one: ask
    code += [(0x06, 0, 0, allow), (0x06, 0, 0, ask)]
    text = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in code))
    program = struct.pack("@HP", len(code), ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(0x59616D61, -1, 0, 0, 0)  # PR_SET_PTRACER: others may read the memory of this process
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    listener = libc.syscall(317, 1, 8, program)  # seccomp: SET_MODE_FILTER, FLAG_NEW_LISTENER
    if listener < 0:
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")
    return listener


def _opened(thread: int, handle: int) -> str:
    try:
        return os.readlink(f"/proc/{thread}/fd/{handle & 0xFFFFFFFF}")
    except OSError:  # not open: the call will fail
        return ""


def _memory(thread: int, address: int, size: int) -> bytes:
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
        return os.pread(memory.fileno(), size, address)


def _text(thread: int, address: int) -> str:
    """Return the text at an address, which ends with a zero."""
    found = b""
    while b"\0" not in found:
        found += _memory(thread, address + len(found), 4096 - (address + len(found)) % 4096)
    return os.fsdecode(found.split(b"\0")[0])
