"""The output directory of a run: whether it may be written, by whom, and what lies in it."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from hf_embeddings.file_names import CHECKPOINTS
from hf_embeddings.files.directory import try_directory
from hf_embeddings.files.lock import LOCK_FILES, Lock
from hf_embeddings.files.ownership import refuse_inside, refuse_link, refuse_within
from hf_embeddings.files.staging import refuse_file_name
from hf_embeddings.pretraining.checkpoints.finished_model import STAGED
from hf_embeddings.pretraining.checkpoints.resume import choose
from hf_embeddings.pretraining.checkpoints.store import Checkpoints
from hf_embeddings.pretraining.options import CheckpointOptions


class OutputDirectory:
    """Acts in the main process alone. Nothing is created before `create`."""

    def __init__(
        self,
        folder: Path,
        options: CheckpointOptions,
        *,
        resume: str,
        overwrite: bool,
        inputs: Mapping[str, str | Path | None],
    ) -> None:
        """Take the directory, and what the run reads: `inputs` by the names of their options."""
        self.folder, self.overwrite, self.inputs = folder, overwrite, inputs
        self.resume = "never" if overwrite and resume == "auto" else resume
        self.checkpoints = Checkpoints(folder / CHECKPOINTS, keep=options.save_total_limit)
        self._lock: Lock | None = None

    def enter(self) -> None:
        """Look at the directory, and lock it if it is there.

        Raises:
            ValueError: it belongs to something else, or to a run that is alive, or cannot be made or written; or it
                holds what the run reads.
        """
        if self.overwrite and self.resume != "never":
            raise ValueError(f"--overwrite starts over, --resume {self.resume} resumes; give one of them")
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"output_dir: {self.folder} is a file, expected a directory; choose another")
        refuse_file_name(self.folder)
        self._refuse_overlap()
        try_directory(self.folder, "output_dir")
        if not self.folder.exists():
            return
        if any(path.name not in LOCK_FILES for path in self.folder.iterdir()) and not self.overwrite:
            if not self.checkpoints.folder.is_dir():
                raise ValueError(
                    f"output_dir: {self.folder} is not empty and holds no run; choose another or pass --overwrite"
                )
            if self.resume == "never":
                raise ValueError(
                    f"output_dir: {self.folder} holds a run; choose another, resume it, or add --overwrite"
                )
        self._lock = Lock(self.folder)

    def _refuse_overlap(self) -> None:
        """Refuse to replace what the run reads, or to begin in it; a run of an earlier version may go on there."""
        if not self.folder.exists():
            refuse_within(self.folder, self.inputs)
        elif self.overwrite:
            refuse_link(self.folder)
            refuse_inside(self.folder, self.inputs)

    def source(self) -> tuple[Path | None, str]:
        """Return the checkpoint to go on from, if any, and a line that says so."""
        return choose(self.resume, self.checkpoints)

    def create(self) -> None:
        """Make the directory and lock it; empty it where it is to be overwritten; sweep up what was interrupted."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._lock or Lock(self.folder)
        for path in self.folder.iterdir():
            if (self.overwrite and path.name not in LOCK_FILES) or path.name == STAGED:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self.checkpoints.folder.mkdir(exist_ok=True)
        self.checkpoints.sweep()

    def close(self) -> None:
        """Finish the last save, and let another run in."""
        self.checkpoints.settle()
        if self._lock:
            self._lock.release()
