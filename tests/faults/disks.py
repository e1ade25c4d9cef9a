"""Disks that are full: hooks for `Run(before=...)`, called in its process."""

import ctypes
import os
import shutil
from pathlib import Path

from hf_embeddings.pretraining import run
from hf_embeddings.pretraining.checkpoints import store
from hf_embeddings.pretraining.training.progress import Progress


class SmallDisk:
    """Give the run a disk of its own, and fill it up from one step to another; `kept` is what it leaves there.

    The disk is a tmpfs in a mount namespace of the process, which needs no rights where user namespaces are allowed.
    """

    def __init__(self, disk: Path, kept: Path, *, size: int, free: int, first: int, last: int) -> None:
        self.disk, self.kept, self.size, self.free, self.first, self.last = disk, kept, size, free, first, last

    def __call__(self, rank: int) -> None:
        _mount(self.disk, self.size)
        store.SPARE = 0.0  # no look at the free space: the disk is full in the middle of a file
        ballast = self.disk / "ballast"

        def at(step: int) -> None:
            if step == self.first:
                fill = shutil.disk_usage(self.disk).free - self.free
                with ballast.open("wb") as file:
                    file.write(bytes(max(0, fill)))
            if step == self.last:
                ballast.unlink()

        _after_steps(at)
        real = run.pretrain

        def pretrain(options, **given):
            try:
                return real(options, **given)
            finally:
                shutil.copytree(options.output_dir, self.kept)

        run.pretrain = pretrain


def _mount(folder: Path, size: int) -> None:
    """Mount an empty tmpfs that only this process sees."""
    new_mounts, new_users, private = 0x20000, 0x10000000, 0x44000  # CLONE_NEWNS, CLONE_NEWUSER, MS_REC | MS_PRIVATE
    libc = ctypes.CDLL(None, use_errno=True)
    for done in (
        lambda: libc.unshare(new_mounts if os.geteuid() == 0 else new_mounts | new_users),
        lambda: libc.mount(b"none", b"/", None, private, None),
        lambda: libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, f"size={size}".encode()),
    ):
        if done():
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _after_steps(at) -> None:
    """Call a function with the number of each step, when it is done and what was saved before it is committed."""
    real, real_save = Progress.add, store.Checkpoints.save
    writers: list[store.Checkpoints] = []

    def save(own, *arguments):
        writers.append(own)
        return real_save(own, *arguments)

    def add(own, *arguments, **given):
        real(own, *arguments, **given)
        for writer in writers:
            writer.settle()
        at(own.step)

    Progress.add, store.Checkpoints.save = add, save


class LimitFiles:
    """Let no file grow beyond a size, from a step on: the disk is full."""

    def __init__(self, size: int, first: int, last: int = 10**9) -> None:
        self.size, self.first, self.last = size, first, last

    def __call__(self, rank: int) -> None:
        import resource

        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)

        def at(step: int) -> None:
            if step == self.first:
                resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, unlimited[1]))
            if step == self.last:
                resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)

        _after_steps(at)
