"""A run that is killed, at random times and at every call that changes the disk, against the same run left alone."""

import json
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from hf_embeddings.files.lock import LOCK_FILES
from hf_embeddings.files.manifest import MANIFEST
from hf_embeddings.pretraining.checkpoints.store import Checkpoints
from hf_embeddings.pretraining.checkpoints.verification import verify_run
from hf_embeddings.publishing.card import write_card
from hf_embeddings.publishing.checkpoint import Checkpoint
from hf_embeddings.publishing.sections import CURVE_FILE
from tests.faults.small_run import Run, finish, settings, weights
from tests.faults.system_calls import EXPORT, POSSIBLE, DieAt

full_only = pytest.mark.faults
asks_the_kernel = pytest.mark.skipif(not POSSIBLE, reason="asks the kernel of Linux, by x86-64 numbers")


def calls_of(run: Run) -> dict[str, int]:
    """Return how often a run that only counts made each call."""
    assert run.wait() == 0, run.said()
    return json.loads(run.said().split("calls ")[1].splitlines()[0])


def places_among(calls: dict[str, int], few: int | None) -> list[int]:
    """Return the places to kill at, 0 to after the last call: all of them, or a few."""
    total = sum(calls.values())
    return list(range(total + 1)) if few is None else sorted({total * part // few for part in range(few + 1)})


@asks_the_kernel
def test_f2_f15_killed_at_any_call_of_a_save(tmp_path, reference, times, figures) -> None:
    """Committing and pruning: at least the checkpoint before is there, whole; the next start ends with the weights."""
    calls = calls_of(Run(settings(tmp_path / "count"), before=DieAt(tmp_path / "count", 3, None)))
    places = places_among(calls, times(4, None))
    newest, halves, in_prune = [], 0, 0
    for place in places:
        folder = tmp_path / f"at{place}"
        options = settings(folder)
        assert finish(options, before=DieAt(folder, 3, place)) == -signal.SIGKILL, place
        halves += any((folder / "checkpoints").glob(".tmp-*"))
        in_prune += any((folder / "checkpoints").glob(".trash-*"))
        newest.append(Checkpoints(folder / "checkpoints").newest())
        assert newest[-1] in ((3, []), (4, [])), place
        assert finish(settings(folder, checkpoints__save_steps=None)) == 0 and weights(folder) == reference, place
        assert not list((folder / "checkpoints").glob(".*")) and not any(verify_run(folder).values())
        shutil.rmtree(folder)
    figures(
        "F2, F15 killed at each call of a save", calls=calls, kills=len(places), left_a_part=halves, in_prune=in_prune,
        resumed_from_the_new_one=newest.count((4, [])), from_the_one_before=newest.count((3, [])), lost=0,
        weights_identical=len(places),
    )  # fmt: skip


@asks_the_kernel
@pytest.mark.parametrize("over", ["an empty directory", "an older export"])
def test_f2_killed_at_any_call_of_the_export(tmp_path, over, times, figures) -> None:
    """The next start has nothing to train, and leaves the same files, card and curve too.

    In between, what says that it is whole is so: every file is that of one export.
    """
    folder, source, changed = tmp_path / "run", tmp_path / "source", {"allow_changes": True, "finish": write_card}
    options = settings(folder, training__tensorboard="true", training__logging_steps=4)
    old: dict[str, bytes] = {}
    if over == "an older export":
        shorter = settings(folder, training__tensorboard="true", training__logging_steps=4, training__max_steps=20)
        assert finish(shorter, finish=write_card) == 0
        old = exported(folder)
    assert finish(options, before=DieAt(folder, EXPORT, 0), **changed) == -signal.SIGKILL
    folder.rename(source)

    def begin(place: int | None) -> Run:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        return Run(options, before=DieAt(folder, EXPORT, place), **changed)

    calls = calls_of(begin(None))
    whole, looked_whole, places = exported(folder), 0, places_among(calls, times(2, None))
    assert {"README.md", "model.safetensors", CURVE_FILE, MANIFEST} <= whole.keys()
    for place in places:
        assert begin(place).wait() == -signal.SIGKILL, place
        if (folder / MANIFEST).exists() and not any(verify_run(folder).values()):
            looked_whole += 1
            assert is_one_of((old, whole), folder), place
        again = Run(options, **changed)
        assert again.wait() == 0 and "resuming step 24" in again.said()
        assert exported(folder) == whole, place
        assert {path.name for path in folder.glob(".*")} <= {".status.json.staged", ".eval_results"}
    figures(
        f"F2 killed at each call of the export into {over}", calls=calls, kills=len(places), lost=0,
        completed_by_the_next_start=len(places), looked_whole_before=looked_whole, wrong_ones_among_these=0,
    )  # fmt: skip


def exported(folder: Path) -> dict[str, bytes]:
    """Return what a run leaves, by name: not what it tells while it runs."""
    names = [path for path in folder.iterdir() if path.is_file() and "status.json" not in path.name]
    return {path.name: path.read_bytes() for path in names if path.name not in LOCK_FILES}


def is_one_of(exports: tuple[dict[str, bytes], ...], folder: Path) -> bool:
    """Tell whether everything that the manifest lists is from one of these exports, the manifest too."""
    names = [MANIFEST, *json.loads((folder / MANIFEST).read_text())["files"]]
    there = {name: (folder / name).read_bytes() for name in names}
    return any(all(export.get(name) == there[name] for name in names) for export in exports)


@full_only
def test_f1_killed_at_random_times(tmp_path, reference, times, figures) -> None:
    choice, options = random.Random(0), settings(tmp_path / "run", training__max_steps=1000)
    alone = settings(tmp_path / "alone", training__max_steps=1000)
    undisturbed = Run(alone)
    checkpoints = Checkpoints(tmp_path / "run/checkpoints")
    kills, inside, unusable = 0, 0, 0
    started = time.monotonic()
    while kills < 200:
        before = (checkpoints.steps() or [0])[0]
        run = Run(options)
        run.until(lambda before=before: (checkpoints.steps() or [0])[0] > before)
        time.sleep(choice.uniform(0, 0.3))
        run.signal(signal.SIGKILL)
        if run.wait() == 0:
            break
        kills += 1
        inside += any(checkpoints.folder.glob(".tmp-*"))
        try:
            unusable += Checkpoints(checkpoints.folder).newest() is None
        except ValueError:
            unusable += 1
    code = finish(options)
    assert undisturbed.wait(3000) == 0
    figures(
        "F1 SIGKILL at random times", kills=kills, inside_a_save=inside, unusable=unusable, exit_code=code,
        weights_identical=weights(tmp_path / "run") == weights(tmp_path / "alone"),
        seconds=round(time.monotonic() - started),
    )  # fmt: skip
    assert kills == 200 and not unusable and code == 0
    assert weights(tmp_path / "run") == weights(tmp_path / "alone")


@asks_the_kernel
def test_the_curve_has_each_step_once(tmp_path) -> None:
    """A run that was killed has logged steps that are done, and logged, again."""
    folder = tmp_path / "run"
    options = settings(
        folder,
        training__tensorboard="true",
        training__logging_steps=1,
        checkpoints__save_steps=4,
        training__max_steps=8,
    )
    assert finish(options, before=DieAt(folder, 1, 5)) == -signal.SIGKILL and finish(options) == 0
    curve = Checkpoint(folder).curves()["mlm"]
    assert [step for step, _ in curve] == list(range(1, 9))
