"""A run in one process, stopped in every way there is, against the same run left alone."""

import json
import random
import shutil
import signal
import statistics
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from hf_embeddings.pretraining.checkpoints import Checkpoints
from hf_embeddings.pretraining.stopping import PREEMPTED
from hf_embeddings.pretraining.verification import verify
from hf_embeddings.publishing.checkpoint import Checkpoint
from tests.faults.disks import LimitFiles, SmallDisk
from tests.faults.hooks import EXPORT, DieAt, SignalAt, Spoil, together
from tests.faults.small_run import Run, finish, settings, state, weights

full_only = pytest.mark.faults


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> str:
    """The weights of the run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("reference") / "run"
    assert finish(settings(folder)) == 0
    assert not any(verify(folder).values())
    return weights(folder)


def test_f2_killed_at_any_call_of_a_save(tmp_path, reference, times, figures) -> None:
    """At least the checkpoint before is there, whole; going on from it gives the same weights."""
    folder = tmp_path / "count"
    counter = Run(settings(folder), before=DieAt(folder, 3, None))
    assert counter.wait() == 0
    calls = int(counter.said().split("calls ")[1].split()[0])
    places = sorted({*range(0, calls, times(calls // 4, 1)), calls - 1})  # counted from 0, and the last one surely
    newest = []
    for place in places:
        folder = tmp_path / f"at{place}"
        options = settings(folder)
        assert finish(options, before=DieAt(folder, 3, place)) == -signal.SIGKILL
        newest.append(Checkpoints(folder / "checkpoints").newest()[0])
        assert newest[-1] in (3, 4)
        if place % times(calls // 2, 10) == 0:
            assert finish(options) == 0 and weights(folder) == reference
            assert not [path for path in (folder / "checkpoints").iterdir() if path.name.startswith(".")]
    figures("F2 killed at each call of one save", calls=len(places), resumed_from_new=newest.count(4), lost=0)


def test_f2_killed_at_any_call_of_the_export(tmp_path, reference, times, figures) -> None:
    """The next start has nothing to train, and leaves the same finished model."""
    source = tmp_path / "source"
    assert finish(settings(source), before=SignalAt(23, signal.SIGTERM)) == PREEMPTED

    def copy(name: str) -> Path:
        return Path(shutil.copytree(source, tmp_path / name))

    folder = copy("count")
    counter = Run(settings(folder), before=DieAt(folder, EXPORT, None))
    assert counter.wait() == 0
    calls = int(counter.said().split("calls ")[1].split()[0])
    places = sorted({*range(0, calls, times(calls // 2, 1)), calls - 1})
    for place in places:
        folder = copy(f"at{place}")
        assert finish(settings(folder), before=DieAt(folder, EXPORT, place)) == -signal.SIGKILL
        again = Run(settings(folder))
        assert again.wait() == 0 and "resuming step 24" in again.said()
        assert weights(folder) == reference and not any(verify(folder).values())
        assert {path.name for path in folder.glob(".*")} <= {".status.json"}
        shutil.rmtree(folder)
    figures("F2 killed at each call of the export", calls=len(places), lost=0)


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
        while run.processes[0].is_alive() and (checkpoints.steps() or [0])[0] <= before:
            time.sleep(0.002)
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_f7_a_signal_saves_and_leaves_at_the_end_of_the_step(tmp_path, reference, number) -> None:
    folder = tmp_path / "run"
    options = settings(folder, checkpoints__save_steps=None)
    run = Run(options, before=SignalAt(7, number))
    assert run.wait() == PREEMPTED
    assert state(folder)["step"] == 7 and f"stopped by {signal.Signals(number).name} after step 7" in run.said()
    assert json.loads((folder / "status.json").read_text())["state"] == "preempted"
    assert finish(options, resume="must") == 0 and weights(folder) == reference


@full_only
def test_f7_sigterm_at_random_times(tmp_path, reference, figures) -> None:
    """Also a second one, which ends the process within 2 seconds."""
    choice, late, same, codes, slowest = random.Random(0), 0, 0, [], 0.0
    for number in range(50):
        folder = tmp_path / f"run{number}"
        options = settings(folder, checkpoints__save_steps=5)
        run = Run(options)
        while not (folder / "checkpoints").exists():
            time.sleep(0.002)
        time.sleep(choice.uniform(0.05, 1.5))
        sent = time.monotonic()
        run.signal(signal.SIGTERM)
        codes.append(run.wait())
        slowest = max(slowest, time.monotonic() - sent)
        late += codes[-1] not in (0, PREEMPTED, -signal.SIGTERM)
        same += finish(options) == 0 and weights(folder) == reference
    figures(
        "F7 SIGTERM at random times", signals=50, saved_and_left_75=codes.count(PREEMPTED), finished=codes.count(0),
        before_training=codes.count(-signal.SIGTERM), other_exits=late, weights_identical=same,
        slowest_exit_seconds=round(slowest, 2),
    )  # fmt: skip
    assert not late and same == 50


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


def test_f10_a_chain_of_stops(tmp_path, times, figures) -> None:
    """Stopped again and again, within epochs and at their ends, each time with other workers: the same weights."""
    choice, folder, alone = random.Random(0), tmp_path / "run", tmp_path / "alone"
    stops = times(2, 30)
    length = {"training__max_steps": times(12, 48)}
    assert finish(settings(alone, **length)) == 0
    for at in sorted(choice.sample(range(1, length["training__max_steps"]), stops)):
        workers = choice.choice([0, 1, 3])
        options = settings(folder, checkpoints__save_steps=None, training__dataloader_num_workers=workers, **length)
        assert finish(options, before=SignalAt(at, signal.SIGTERM)) == PREEMPTED
        assert state(folder)["step"] == at
    assert finish(settings(folder, **length)) == 0
    figures("F10 chain of stops, workers 0, 1 and 3", stops=stops, identical=weights(folder) == weights(alone))
    assert weights(folder) == weights(alone)


@full_only
def test_f8_a_time_limit_is_kept(tmp_path, figures) -> None:
    """The process is gone before the limit, and the last step that it finished is saved."""
    choice, spare, steps = random.Random(0), [], 0
    for number in range(20):
        folder, limit = tmp_path / f"run{number}", choice.uniform(3, 8)
        options = settings(
            folder,
            training__max_steps=1_000_000,
            training__max_job_hours=limit / 3600,
            checkpoints__save_steps=choice.choice([None, 7, 50]),
        )
        began = time.monotonic()
        assert finish(options) == PREEMPTED
        spare.append(limit - (time.monotonic() - began))
        status = json.loads((folder / "status.json").read_text())
        assert Checkpoints(folder / "checkpoints").newest() == (status["step"], []) and status["step"] > 0
        steps += status["step"]
        shutil.rmtree(folder)
    figures(
        "F8 time limits of 3 to 8 seconds", limits=20, overrun=sum(left < 0 for left in spare), steps=steps,
        least_seconds_left=f"{min(spare):.2f}", median_seconds_left=f"{statistics.median(spare):.2f}",
    )  # fmt: skip
    assert min(spare) > 0


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
        assert weights(folder) == reference and not any(verify(folder).values())
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
        assert weights(kept) == reference and not any(verify(kept).values())
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


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_f9_what_is_not_finite_is_skipped(tmp_path, what) -> None:
    folder = tmp_path / "run"
    run = Run(settings(folder), before=Spoil(what, range(5, 7)))
    assert run.wait() == 0
    assert state(folder)["guard"]["skipped"] == 2 and run.said().count("not finite; skipped") == 2
    assert all(tensor.isfinite().all() for tensor in load_file(folder / "model.safetensors").values())
    lines = (folder / "bad_steps.json").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [5, 6] and len(json.loads(lines[0])["samples"]) == 4


def test_f9_three_in_a_row_stop_the_run_without_damage(tmp_path) -> None:
    folder = tmp_path / "run"
    run = Run(settings(folder, checkpoints__save_total_limit=None), before=Spoil("weights", range(5, 6)))
    assert run.wait() == 1 and "step 7:" in run.said() and "3 steps in a row" in run.said()
    assert Checkpoints(folder / "checkpoints").steps() == [5, 4, 3, 2, 1]
    last = load_file(folder / "checkpoints/step-00000005/model.safetensors")
    assert all(tensor.isfinite().all() for tensor in last.values())


def test_f13_f14_resume_says_what_it_does(tmp_path, reference) -> None:
    """auto, must, never, a path, changed options, a finished run; and what is refused leaves no trace."""
    folder, other = tmp_path / "run", tmp_path / "other"
    options = settings(folder)
    run = Run(options, resume="must")
    assert run.wait() == 2 and "no checkpoint in" in run.said() and not folder.exists()
    assert finish(options, before=SignalAt(6, signal.SIGTERM)) == PREEMPTED
    run = Run(options, resume="never")
    assert run.wait() == 2 and "--overwrite" in run.said()
    run = Run(settings(folder, training__learning_rate=0.02))
    assert run.wait() == 2 and "training.learning_rate: 0.01 -> 0.02" in run.said() and "--allow-changes" in run.said()
    run = Run(settings(other), resume=str(folder))
    assert run.wait() == 0 and f"resuming step 6 from {folder}" in run.said() and weights(other) == reference
    damaged = folder / "checkpoints/step-00000006/state.json"
    damaged.write_text(damaged.read_text().replace("6", "7"))
    run = Run(options)
    assert run.wait() == 0 and weights(folder) == reference
    assert "resuming step 5" in run.said() and "1 newer damaged" in run.said()
    again = Run(options)
    assert again.wait() == 0 and f"{folder} is complete: step 24" in again.said()
    longer = Run(settings(folder, training__max_steps=26), allow_changes=True)
    assert longer.wait() == 0 and "training.max_steps: 24 -> 26" in longer.said() and state(folder)["step"] == 26


def test_the_second_signal_ends_a_run_that_the_first_does_not(tmp_path) -> None:
    folder = tmp_path / "run"
    hook = together(Hang(), SignalAt(3, signal.SIGTERM))
    run = Run(settings(folder, checkpoints__save_steps=None), before=hook)
    assert run.wait(60) == 128 + signal.SIGTERM


class Hang:
    """Make saves hang, and send a second signal meanwhile, when the first is old enough to be another."""

    def __call__(self, rank: int) -> None:
        import os

        from hf_embeddings.pretraining import stopping
        from hf_embeddings.pretraining.checkpoints import Checkpoints

        def save(*arguments) -> None:
            stopping.SAME_SIGNAL_SECONDS = 0.0
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()

        Checkpoints.save = save


def test_a_run_that_hides_nothing(tmp_path: Path) -> None:
    """A directory that is no run, and one that another run writes, are refused."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    run = Run(settings(folder))
    assert run.wait() == 2 and "holds no run" in run.said()
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
