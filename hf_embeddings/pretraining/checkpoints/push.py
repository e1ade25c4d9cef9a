"""Publishing while training: committed checkpoints, in the background; what goes wrong there stays there.

What goes up is what `hf-embeddings publish` would send: see `hf_embeddings/uploads`.
"""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from hf_embeddings.file_names import NOT_OF_THE_MODEL
from hf_embeddings.pretraining.checkpoints.store import Checkpoints
from hf_embeddings.pretraining.options import HubOptions
from hf_embeddings.progress import print_to_stderr
from hf_embeddings.uploads.listing import Finding, list_uploads

Files = dict[str, Path | bytes]  # path in the repository -> a file, or what it holds
Upload = Callable[..., object]  # of files, a commit message, and a folder in the repository that they replace
LAST = "last-checkpoint"  # as transformers names it
PATIENCE = 600.0  # seconds that the end of a run waits for its last push
SHOWN = 5  # files that a warning names
PAUSES = (0.0, 1.0, 5.0, 25.0)  # seconds before each try of the last push, which no later one makes up for


class Push:
    """One push at a time; the newest checkpoint waits, older ones that never got their turn are left out."""

    def __init__(self, options: HubOptions, checkpoints: Checkpoints, upload: Upload | None = None) -> None:
        self.options, self.checkpoints = options, checkpoints
        self.upload = upload or _uploader(options)
        self.pushed: int | None = None  # the newest step that is on the Hub
        self._offered: int | None = None
        self._waiting: int | None = None
        self._said: set[str] = set()
        self._running = False
        self._changed = threading.Condition()

    def offer(self, step: int) -> None:
        """Push a committed checkpoint when the push before it is done. Returns at once."""
        if self.options.hub_strategy == "end" or step == self._offered:
            return
        self._offered = step
        with self._changed:
            if self._waiting is not None:
                self.checkpoints.held.discard(self._waiting)
            self._waiting = step
            self.checkpoints.held.add(step)
            if not self._running:
                self._running = True
                # A daemon: a push that hangs must not keep the process.
                threading.Thread(target=self._work, daemon=True, name="hub").start()

    def finish(self, folder: Path, patience: float = PATIENCE) -> bool:
        """Wait for what is under way, then push the last checkpoint, if that failed, and the finished model.

        Returns:
            Whether the finished model is on the Hub.
        """
        idle = self.wait(patience)
        outcome: list[bool | None] = []

        def last() -> None:
            newest = self._offered
            if idle and newest is not None and newest != self.pushed:
                _insist(lambda: self._push(newest))
            outcome.append(_insist(lambda: self._try(folder, ".", "the finished model")))

        thread = threading.Thread(target=last, daemon=True, name="hub")
        thread.start()
        thread.join(patience)
        if not (is_pushed := bool(outcome and outcome[0])):
            reason = f"takes more than {patience:.0f} s" if thread.is_alive() else f"failed {len(PAUSES)} times"
            reason = "is refused" if outcome == [None] else reason
            _warn(
                f"{self.options.model_id}: the push of the finished model {reason}; gave up: rerun the command, or "
                f"push it yourself: hf-embeddings publish {folder} {self.options.model_id}"
            )
        return is_pushed

    def wait(self, patience: float) -> bool:
        """Wait until nothing is under way; return whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, timeout=patience)

    def _work(self) -> None:
        while True:
            with self._changed:
                step, self._waiting = self._waiting, None
                if step is None:
                    self._running = False
                    self._changed.notify_all()
                    return
            self._push(step)
            self.checkpoints.held.discard(step)

    def _push(self, step: int) -> bool | None:
        folder, name = self.checkpoints.path(step), f"step {step}"
        is_pushed = self._try(folder, ".", name, exclude=NOT_OF_THE_MODEL)
        if self.options.hub_strategy == "checkpoint":
            is_pushed = self._try(folder, LAST, f"{name}, to resume from") and is_pushed
        if self.options.hub_strategy == "all_checkpoints":
            is_pushed = self._try(folder, folder.name, f"{name}, to resume from") and is_pushed
        if is_pushed:
            self.pushed = step
        return is_pushed

    def _try(self, folder: Path, target: str, name: str, *, exclude: Iterable[str] = ()) -> bool | None:
        """Push a folder to where it belongs in the repository; say what is left out, and why it did not work.

        Whatever is not the model at the top is a checkpoint to resume from. That of `last-checkpoint/` replaces the one
        before, file by file.

        Returns:
            Whether it arrived; None where it must not go, so that to try again is of no use.
        """
        try:
            uploads = list_uploads(folder, exclude=exclude, checkpoint=target != ".")
            if uploads.refused:
                self._say_once(f"{name} is not pushed: {_listed(uploads.refused)}; change or remove that")
                return None
            if uploads.unknown:
                self._say_once(f"not pushed with the model: {_listed(uploads.unknown)}")
            files = {path if target == "." else f"{target}/{path}": source for path, source in uploads.files.items()}
            replaces = f"{target}/" if target == LAST else None
            self.upload(files=files, commit_message=f"Pretraining: {name}", replaces=replaces)
        except Exception as error:  # noqa: BLE001  whatever a network and a client library can raise
            _warn(f"{self.options.model_id}: the push of {name} failed ({error}); the next push makes up for it")
            return False
        return True

    def _say_once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            _warn(f"{self.options.model_id}: {message}")


def _listed(findings: list[Finding]) -> str:
    more = f"; and {len(findings) - SHOWN} more" if len(findings) > SHOWN else ""
    return "; ".join(f"{path}: {reason}" for path, reason in findings[:SHOWN]) + more


def _insist(push: Callable[[], bool | None]) -> bool | None:
    """Try a push again and again, a few times, unless it is refused."""
    for pause in PAUSES:
        time.sleep(pause)
        if (outcome := push()) is not False:
            return outcome
    return False


def _uploader(options: HubOptions) -> Upload:
    """Return a function that uploads to the repository of the options, which the first call makes.

    Each commit names its parent, the newest one at the time: what somebody else commits meanwhile makes it fail, to be
    tried again on top of that, and is never mixed up with it.
    """
    own: str | None = None  # the last commit made here
    repository = options.model_id or ""

    def upload(*, files: Files, commit_message: str, replaces: str | None = None) -> object:
        nonlocal own
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

        api = HfApi()
        api.create_repo(repository, private=options.private, exist_ok=True)
        newest = str(api.model_info(repository).sha)
        if own not in (None, newest):
            _warn(f"{repository}: somebody else has pushed commit {newest[:8]} meanwhile; continuing from it")
        there = api.list_repo_files(repository, revision=newest) if replaces else []
        old = [path for path in there if replaces and path.startswith(replaces) and path not in files]
        operations = [CommitOperationAdd(path, content) for path, content in files.items()]
        removals = [CommitOperationDelete(path) for path in old]
        commit = api.create_commit(
            repository, [*operations, *removals], commit_message=commit_message, parent_commit=newest
        )
        own = commit.oid
        return commit

    return upload


def _warn(message: str) -> None:
    print_to_stderr(f"warning: {message}")
