"""The checkpoints of a run: directories that are whole or absent, the newest good one, and what becomes of the others.

A checkpoint is written under a hidden name, forced to the disk, sealed with a manifest and renamed. Whatever is cut off
on the way leaves the older ones as they were. The order is that of the step numbers; no clock has a say.
"""

import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from safetensors import SafetensorError

from hf_embeddings.files.atomic import fsync_directory
from hf_embeddings.files.manifest import Damaged, check_manifest, seal_directory
from hf_embeddings.files.modes import as_umask_says
from hf_embeddings.progress import print_to_stderr

MIN_KEPT = 2  # the last one may be the one that is being replaced
FAILURES_ALLOWED = 3  # saves in a row
SPARE = 1.5  # free space wanted before a save, times the size of the one before


class Checkpoints:
    """The directory `checkpoints/` of a run. One process writes; only what this class has seen whole counts as good."""

    def __init__(self, folder: Path, *, keep: int | None = MIN_KEPT) -> None:
        """Open the directory; `keep` good ones stay (at least 2), None keeps all."""
        self.folder, self.keep = folder, keep
        self.good: set[int] = set()
        self.held: set[int] = set()  # steps that something else reads at the moment; they are not pruned
        self.kept: frozenset[int] = frozenset()  # steps whose checkpoints stay, as others may go on from them
        self.failures = 0
        self.last_error = ""
        self.seconds = 0.0  # of the slowest save
        self._bytes = 0
        self._pending: Future[None] | None = None
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")

    def path(self, step: int) -> Path:
        """Return where the checkpoint of a step is, or would be."""
        return self.folder / f"step-{step:08d}"

    def steps(self) -> list[int]:
        """Return the steps that have a checkpoint, good or not, newest first."""
        names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return sorted((int(m[1]) for name in names if (m := re.fullmatch(r"step-(\d{8,})", name))), reverse=True)

    # Reading

    def newest(self) -> tuple[int, list[str]] | None:
        """Verify from the newest down to the first good one, and set the damaged ones aside as `damaged-step-...`.

        Returns:
            Its step, and a line about each damaged one; None where there is no checkpoint at all.

        Raises:
            ValueError: there are checkpoints, and all are damaged; or one bears the name of another step.
        """
        damage_lines = []
        for step in self.steps():
            try:
                actual = int(check_manifest(self.path(step)).facts["step"])
            except Damaged as error:
                damage_lines.append(f"{error}; set aside as {self._set_aside(step).name}")
            else:
                if actual != step:
                    raise ValueError(
                        f"{self.path(step)}: its manifest says step {actual}; rename it to {self.path(actual).name}, "
                        "or move it away"
                    )
                self.good.add(step)
                return step, damage_lines
        aside = sorted(path.name for path in self.folder.glob("damaged-step-*"))
        if damage_lines or aside:
            raise ValueError(
                f"{self.folder}: every checkpoint is damaged ({', '.join(aside)}), expected a good one to resume from; "
                "restore one, or start again with --resume never --overwrite"
            )
        return None

    def _set_aside(self, step: int) -> Path:
        number = 0
        while (target := self.folder / f"damaged-{self.path(step).name}{f'.{number}' if number else ''}").exists():
            number += 1
        os.rename(self.path(step), target)
        fsync_directory(self.folder)
        return target

    def sweep(self) -> None:
        """Remove what an interrupted save or removal left."""
        for pattern in (".tmp-*", ".trash-*"):
            for path in self.folder.glob(pattern):
                shutil.rmtree(path, ignore_errors=True)

    # Writing

    def save(self, step: int, write: Callable[[Path], None], facts: Mapping[str, object]) -> bool:
        """Write a checkpoint now, and force it to the disk and commit it while the caller goes on.

        A full or failing disk is no exception here: it is reported, counted in `failures`, and leaves nothing behind.

        Args:
            step: number of optimizer steps done.
            write: writes the files into the directory it is given.
            facts: what the manifest says beside the files.

        Returns:
            Whether all went well so far; `settle` tells the rest.
        """
        self.settle()
        if step in self.good:
            return True
        start = time.monotonic()
        try:
            staging = self._stage(step, write)
        except (OSError, SafetensorError) as error:
            self._failed(step, error)
            return False
        self._pending = self._committer.submit(self._commit, staging, step, facts, start)
        return True

    def settle(self) -> bool:
        """Wait until the last save is committed; return whether the last attempt succeeded."""
        if self._pending is not None:
            self._pending.result()
            self._pending = None
        return not self.failures

    def _stage(self, step: int, write: Callable[[Path], None]) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if free < SPARE * self._bytes:
            raise OSError(errno.ENOSPC, f"{free / 1e9:.1f} GB free, a save wants {SPARE * self._bytes / 1e9:.1f} GB")
        staging = Path(tempfile.mkdtemp(prefix=f".tmp-{self.path(step).name}-", dir=self.folder))
        try:
            write(staging)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        return staging

    def _commit(self, staging: Path, step: int, facts: Mapping[str, object], start: float) -> None:
        try:
            seal_directory(staging, {"step": step, **facts})
            as_umask_says(staging)
            os.rename(staging, self.path(step))
            fsync_directory(self.folder)
        except OSError as error:
            shutil.rmtree(staging, ignore_errors=True)
            self._failed(step, error)
            return
        self.good.add(step)
        self.failures = 0
        self.seconds = max(self.seconds, time.monotonic() - start)
        self._bytes = sum(path.stat().st_size for path in self.path(step).rglob("*"))
        self._prune()

    def _prune(self) -> None:
        """Remove what is older than the newest good ones."""
        kept_steps = sorted(self.good, reverse=True)[: self.keep]
        for step in self.steps():
            if (
                self.keep is not None
                and step < kept_steps[-1]
                and len(kept_steps) >= self.keep
                and step not in self.held | self.kept
            ):
                trash = self.folder / f".trash-{self.path(step).name}"
                try:
                    os.rename(self.path(step), trash)
                    shutil.rmtree(trash)
                except OSError as error:
                    print_to_stderr(f"warning: {trash} could not be removed: {error}")
                self.good.discard(step)

    def _failed(self, step: int, error: Exception) -> None:
        self.failures += 1
        self.last_error = f"the checkpoint of step {step} could not be written: {error}"
        print_to_stderr(
            f"warning: {self.last_error}; older ones are intact, training continues (failure {self.failures} of "
            f"{FAILURES_ALLOWED} in a row)"
        )
