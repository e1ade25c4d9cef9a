"""A run on a disk that is full, against the same run left alone."""

import json
import random
import shutil

import pytest

from hf_embeddings.pretraining.checkpoints.store import Checkpoints
from hf_embeddings.pretraining.checkpoints.verification import verify_run
from tests.faults.disks import LimitFiles, SmallDisk
from tests.faults.small_run import Run, finish, settings, weights

full_only = pytest.mark.faults


def test_f6_a_full_disk(tmp_path, reference, times, figures) -> None:
    """Training goes on; the old checkpoints stay whole; nothing is left of the attempts."""
    choice = random.Random(0)
    sizes = [choice.randrange(1, 100_000) for _ in range(times(2, 20))]
    failures = 0
    for size in sizes:
        folder = tmp_path / f"run{size}"
        run = Run(settings(folder, checkpoints__save_steps=4), before=LimitFiles(size, first=5, last=14))
        assert run.wait() == 0, run.said()
        failures += run.said().count("could not be written")
        assert weights(folder) == reference and not any(verify_run(folder).values())
        assert not list((folder / "checkpoints").glob(".*"))
    figures("F6 no file may grow", limits=len(sizes), failed_saves=failures, weights_identical=len(sizes))
    assert failures == 2 * len(sizes)


@full_only
def test_f6_a_disk_that_is_really_full(tmp_path, reference, figures) -> None:
    """A file system for each run, full at another place of a save; with TensorBoard, which writes there too."""
    choice, failures = random.Random(0), 0
    whole = settings(tmp_path / "whole", checkpoints__save_steps=4, checkpoints__save_total_limit=None)
    assert finish(whole) == 0
    save = sum(path.stat().st_size for path in (tmp_path / "whole/checkpoints/step-00000004").iterdir())
    for number in range(20):
        disk, kept = tmp_path / f"disk{number}", tmp_path / f"kept{number}"
        disk.mkdir()
        options = settings(disk / "run", checkpoints__save_steps=4, training__tensorboard="true")
        free = choice.randrange(save * 9 // 10)
        run = Run(options, before=SmallDisk(disk, kept, size=20 * save, free=free, first=5, last=14))
        assert run.wait() == 0, run.said()
        failures += run.said().count("No space left on device")
        assert run.said().count("could not be written") == 2 and "Traceback" not in run.said(), run.said()
        assert weights(kept) == reference and not any(verify_run(kept).values())
        assert not list((kept / "checkpoints").glob(".*"))
        shutil.rmtree(kept)
    figures("F6 a full disk, tmpfs", places=20, bytes_of_a_save=save, failed_saves=failures, weights_identical=20)
    assert failures >= 40


def test_f6_three_failures_in_a_row_stop_the_run(tmp_path, reference) -> None:
    folder = tmp_path / "run"
    run = Run(settings(folder, checkpoints__save_steps=4), before=LimitFiles(20_000, first=5))
    assert run.wait() == 1 and "3 times in a row; older checkpoints are intact" in run.said()
    assert Checkpoints(folder / "checkpoints").newest() == (4, [])
    assert json.loads((folder / "status.json").read_text())["state"] == "failed"
    assert finish(settings(folder)) == 0 and weights(folder) == reference
