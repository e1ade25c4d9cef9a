"""A run that is told to stop, by signals and limits, and started again, against the same run left alone."""

import json
import os
import random
import shutil
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from hf_embeddings.pretraining.checkpoints.store import Checkpoints
from hf_embeddings.pretraining.checkpoints.verification import verify_run
from hf_embeddings.pretraining.training.stop import PREEMPTED
from tests.faults import small_run
from tests.faults.hooks import Clock, SignalAt, together
from tests.faults.small_run import STEPS_PER_EPOCH, Run, chain_of_stops, finish, settings, state, weights

full_only = pytest.mark.faults


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
    """Whenever it comes, the run asks by its exit code to be started again, and then ends with the same weights."""
    choice, same, codes, outside, spare, slowest = random.Random(0), 0, [], 0, [], 0.0
    for number in range(50):
        folder, clock = tmp_path / f"run{number}", tmp_path / "clock.json"
        options = settings(folder, checkpoints__save_steps=5)
        run = Run(options, before=Clock(clock))
        run.until((folder / "checkpoints").exists)
        time.sleep(choice.uniform(0, 0.6))
        sent = time.monotonic()
        run.signal(signal.SIGTERM)
        codes.append(run.wait())
        seconds = time.monotonic() - sent
        outside += "outside training" in run.said()
        if "stopped by SIGTERM after step" in run.said():
            timed = json.loads(clock.read_text())
            spare.append(timed["step"] + timed["save"] - seconds)
            slowest = max(slowest, seconds)
        same += finish(options) == 0 and weights(folder) == reference
        shutil.rmtree(folder)
    figures(
        "F7 SIGTERM at random times", signals=50, saved_and_left_75=len(spare), left_75_outside_of_training=outside,
        finished=codes.count(0), other_exits=len(codes) - codes.count(0) - codes.count(PREEMPTED),
        weights_identical=same, slowest_exit=f"{slowest:.2f} s",
        by_more_than_a_step_and_a_save=f"{max(0.0, -min(spare)):.2f} s",
    )  # fmt: skip
    assert same == 50 and len(spare) > 10 and set(codes) <= {0, PREEMPTED}


def test_f7_the_second_signal_ends_a_run_that_the_first_does_not(tmp_path, figures) -> None:
    folder = tmp_path / "run"
    hook = together(Hang(tmp_path / "sent"), SignalAt(3, signal.SIGTERM))
    run = Run(settings(folder, checkpoints__save_steps=None), before=hook)
    assert run.wait() == 128 + signal.SIGTERM
    seconds = time.time() - float((tmp_path / "sent").read_text())
    figures("F7 a second SIGTERM while a save hangs", exit_code=128 + signal.SIGTERM, gone_after=f"{seconds:.2f} s")


class Hang:
    """Make saves hang, and send a second signal meanwhile, when the first is old enough to be another."""

    def __init__(self, sent: Path) -> None:
        self.sent = sent

    def __call__(self, rank: int) -> None:
        from hf_embeddings.pretraining.training import stop as stopping

        def save(*arguments) -> None:
            stopping.SAME_SIGNAL_SECONDS = 0.0
            self.sent.write_text(str(time.time()))
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()

        Checkpoints.save = save


@full_only
def test_f8_a_time_limit_of_the_job_is_kept(tmp_path, figures) -> None:
    """The process is gone before the limit, and the last step that it finished is saved."""
    choice, spare, allowed, steps = random.Random(0), [], [], 0
    for number in range(20):
        folder, limit = tmp_path / f"run{number}", choice.uniform(3, 8)
        options = settings(
            folder,
            training__max_steps=1_000_000,
            training__max_job_hours=limit / 3600,
            checkpoints__save_steps=choice.choice([None, 7, 50]),
        )
        run = Run(options, before=Clock(tmp_path / "clock.json"))
        limit += psutil.Process(run.processes[0].pid).create_time()
        assert run.wait() == PREEMPTED
        spare.append(limit - time.time())
        clock = json.loads((tmp_path / "clock.json").read_text())
        allowed.append(spare[-1] + clock["step"] + clock["save"])
        status = json.loads((folder / "status.json").read_text())
        assert Checkpoints(folder / "checkpoints").newest() == (status["step"], []) and status["step"] > 0
        assert not any(verify_run(folder).values())
        steps += status["step"]
        shutil.rmtree(folder)
    figures(
        "F8 max_job_hours of 3 to 8 seconds", limits=20, steps=steps, last_finished_step_saved=20,
        gone_after_the_limit=sum(left < 0 for left in spare),
        by_more_than_a_step_and_a_save=sum(left < 0 for left in allowed),
        least_seconds_left=f"{min(spare):.2f}", median_seconds_left=f"{statistics.median(spare):.2f}",
    )  # fmt: skip
    assert min(allowed) > 0


@full_only
def test_f8_a_time_limit_of_the_training_is_kept(tmp_path, figures) -> None:
    """Steps end with the first that ends after the limit, also when the run was stopped before; then it exports."""
    choice, over, allowed, steps = random.Random(0), [], [], 0
    for number in range(20):
        folder, limit = tmp_path / f"run{number}", choice.uniform(0.5, 3)
        options = settings(
            folder,
            training__max_steps=1_000_000,
            training__max_hours=limit / 3600,
            checkpoints__save_steps=choice.choice([None, 7, 50]),
        )
        clock = Clock(tmp_path / "clock.json")
        if number % 2:
            assert finish(options, before=SignalAt(choice.randrange(1, 6), signal.SIGTERM)) == PREEMPTED
        assert finish(options, before=clock) == 0
        taken = state(folder)["seconds"]
        over.append(taken - limit)
        timed = json.loads((tmp_path / "clock.json").read_text())
        allowed.append(timed["step"] + timed["save"] - over[-1])
        steps += state(folder)["step"]
        findings = verify_run(folder)
        assert "the finished model" in findings and not any(findings.values())
        shutil.rmtree(folder)
    figures(
        "F8 max_hours of 0.5 to 3 seconds, half of the runs stopped on the way", limits=20, steps=steps, exported=20,
        by_more_than_a_step_and_a_save=sum(left < 0 for left in allowed),
        most_seconds_over=f"{max(over):.3f}", median_seconds_over=f"{statistics.median(over):.3f}",
    )  # fmt: skip
    assert min(allowed) > 0 and min(over) >= 0


def test_f10_a_chain_of_stops(tmp_path, times, figures) -> None:
    """Stopped again and again, within epochs and at their ends, each time with other workers: the same weights."""
    choice, folder, alone = random.Random(0), tmp_path / "run", tmp_path / "alone"
    length = {"training__max_steps": times(12, 48)}
    assert finish(settings(alone, **length)) == 0
    stops = chain_of_stops(length["training__max_steps"], times(2, 30))
    for at in stops:
        workers = choice.choice([0, 1, 3])
        options = settings(folder, checkpoints__save_steps=None, training__dataloader_num_workers=workers, **length)
        assert finish(options, before=SignalAt(at, signal.SIGTERM)) == PREEMPTED
        assert state(folder)["step"] == at
    assert finish(settings(folder, **length)) == 0
    figures(
        "F10 chain of stops on one process, workers 0, 1 and 3", stops=stops, steps_per_epoch=STEPS_PER_EPOCH,
        identical=weights(folder) == weights(alone),
    )  # fmt: skip
    assert weights(folder) == weights(alone)


def test_resume_says_what_it_does(tmp_path, reference) -> None:
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


def test_a_run_that_hides_nothing(tmp_path: Path) -> None:
    """A directory that is no run, and one that another run writes, are refused."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    run = Run(settings(folder))
    assert run.wait() == 2 and "holds no run" in run.said()
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_a_run_that_hangs_fails_the_test_with_what_it_said(tmp_path, monkeypatch) -> None:
    """One that works goes on meanwhile, up to the patience of the test."""
    monkeypatch.setattr(small_run, "IDLE", 2)
    # On a busy machine, the start of the process is work for some seconds more.
    for hang, seconds, patience in ((signal.pause, "without work", 60), (spin, "after 4 s", 3)):
        with pytest.raises(TimeoutError, match=f"1 processes still there .*{seconds}(?s:.*)here I am"):
            Run(settings(tmp_path / "run"), before=Stall(hang)).wait(patience)


def spin() -> None:
    """Work without end."""
    while True:
        pass


class Stall:
    """Say something, and go no further."""

    def __init__(self, hang: Callable[[], None]) -> None:
        self.hang = hang

    def __call__(self, rank: int) -> None:
        print("here I am", flush=True)
        self.hang()
