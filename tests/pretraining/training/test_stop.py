"""The monitor against bad steps, the clock of a job, and the push in the background."""

import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hf_embeddings.pretraining.checkpoints.push import LAST, Push
from hf_embeddings.pretraining.checkpoints.store import Checkpoints
from hf_embeddings.pretraining.options import HubOptions
from hf_embeddings.pretraining.training import stop as stopping
from hf_embeddings.pretraining.training.progress import Progress
from hf_embeddings.pretraining.training.step_monitor import ENOUGH, WINDOW, StepMonitor
from hf_embeddings.pretraining.training.stop import Stop
from tests.pretraining.checkpoints.test_store import write

ROOT = Path(__file__).parents[3]


def test_a_signal_before_training_asks_for_another_start(tmp_path: Path) -> None:
    arguments = ["pretrain", str(ROOT / "configs/pretraining/demo.yaml"), f"model.base={ROOT}/configs/model/mini.json"]
    line = [sys.executable, "-m", "hf_embeddings.cli.main", *arguments, "corpus.source=pydoc:torch"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment) as process:
        assert "starting at step 0" in process.stderr.readline()  # and then the corpus is read, for seconds
        process.send_signal(signal.SIGUSR1)
        said = process.stderr.read()
    assert process.returncode == stopping.PREEMPTED
    assert said.endswith("stopped by SIGUSR1 outside training; rerun the command to resume\n")
    assert "Traceback" not in said


def test_the_progress_of_earlier_checkpoints_is_read() -> None:
    """Version 0.1 called the monitor `guard`."""
    progress = Progress(step=7, monitor=StepMonitor(losses=[1.0], skipped=2))
    values = progress.to_dict()
    assert Progress.from_dict(values) == progress
    assert (
        Progress.from_dict({"guard" if name == "monitor" else name: value for name, value in values.items()})
        == progress
    )


def test_a_monitor_counts_what_is_not_finite_and_forgives() -> None:
    monitor = StepMonitor()
    assert not monitor.judge(1.0, 1.0, "warn")
    for value in (math.nan, math.inf, -math.inf):
        assert "not finite" in monitor.judge(value, 1.0, "off") and "not finite" in monitor.judge(1.0, value, "off")
    assert monitor.skipped == monitor.in_a_row == 6
    assert not monitor.judge(1.0, 1.0, "warn") and monitor.in_a_row == 0 and monitor.losses == [1.0, 1.0]


def test_a_spike_is_far_above_what_was_ordinary() -> None:
    choice, monitor = random.Random(0), StepMonitor()
    for step in range(3 * WINDOW):
        assert not monitor.judge(choice.gauss(3, 0.1), choice.gauss(1, 0.1), "skip"), step
    assert len(monitor.losses) == WINDOW
    assert "spike" in monitor.judge(5.0, 1.0, "skip") and "spike" in monitor.judge(3.0, 5.0, "warn")
    assert monitor.spikes == 2 and monitor.skipped == 1 and monitor.in_a_row == 0
    assert not monitor.judge(500.0, 1.0, "off") and not monitor.judge(0.0, 0.0, "skip")
    young = StepMonitor()
    assert not any(young.judge(10.0**step, 1.0, "skip") for step in range(ENOUGH))


def test_a_time_limit_leaves_room_for_a_step_and_a_save(monkeypatch) -> None:
    now = time.monotonic()
    stop = Stop(1.0)
    try:
        begun = stop._deadline - 3600
        assert begun <= now
        for passed, reserve, wanted in ((0, 0, False), (3000, 500, False), (3000, 700, True)):
            monkeypatch.setattr(stopping.time, "monotonic", lambda passed=passed: begun + passed)
            assert stop.check(reserve) == wanted
        assert "max_job_hours" in stop.reason
    finally:
        stop.release()


@pytest.mark.parametrize("jump", [-86400 * 365, -7200, 7200, 86400 * 365])
def test_a_clock_that_is_set_moves_no_time_limit(jump: int, monkeypatch) -> None:
    clock = time.time
    stop = Stop(1.0)
    try:
        monkeypatch.setattr(stopping.time, "time", lambda: clock() + jump)
        assert not stop.check(0) and stop.check(3600)
    finally:
        stop.release()


def test_a_clock_that_was_set_back_makes_no_process_younger_than_none(monkeypatch) -> None:
    clock = time.time
    monkeypatch.setattr(stopping.time, "time", lambda: clock() - 86400)
    stop = Stop(1.0)
    stop.release()
    assert stop.deadline is not None and stop.deadline <= time.monotonic() + 3600


def test_a_signal_that_a_launcher_passes_on_is_the_same_signal() -> None:
    before = signal.getsignal(signal.SIGTERM)
    stop = Stop(None)
    try:
        assert not stop.check(0)
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1):
            os.kill(os.getpid(), number)
        assert stop.check(0) and stop.reason == "SIGTERM"
    finally:
        stop.release()
    assert signal.getsignal(signal.SIGTERM) == before


class Hub:
    """A stand-in for the Hub that fails and waits on command, and keeps the steps that arrived, and where."""

    def __init__(self) -> None:
        self.arrived: list[tuple[str, str]] = []
        self.failing, self.gate = 0, threading.Event()
        self.gate.set()

    def __call__(self, *, files: dict[str, Path | bytes], commit_message: str, replaces: str | None) -> None:
        self.gate.wait()
        assert all(isinstance(held, bytes) or held.is_file() for held in files.values())
        if self.failing:
            self.failing -= 1
            raise ConnectionError("the network is down")
        (folder,) = {str(Path(path).parent) for path in files}
        assert replaces == (f"{LAST}/" if folder == LAST else None)
        self.arrived.append((commit_message.removeprefix("Pretraining: ").partition(",")[0], folder))


@pytest.fixture
def checkpoints(tmp_path) -> Checkpoints:
    (tmp_path / "README.md").write_text("The finished model.")
    return Checkpoints(tmp_path / "checkpoints", keep=2)


def save(checkpoints: Checkpoints, step: int) -> None:
    assert checkpoints.save(step, write, {}) and checkpoints.settle()


def test_committed_checkpoints_are_pushed(checkpoints) -> None:
    for strategy, wanted in (
        ("end", []),
        ("every_save", [("step 1", ".")]),
        ("checkpoint", [("step 1", "."), ("step 1", LAST)]),
        ("all_checkpoints", [("step 1", "."), ("step 1", "step-00000001")]),
    ):
        hub = Hub()
        push = Push(HubOptions(model_id="a/b", hub_strategy=strategy), checkpoints, hub)
        save(checkpoints, 1)
        push.offer(1)
        push.offer(1)
        assert push.wait(30) and hub.arrived == wanted
        assert push.finish(checkpoints.folder.parent) and hub.arrived[-1][1] == "."


def test_a_push_that_hangs_or_fails_holds_nothing_up(checkpoints, capsys) -> None:
    """Steps go on; the newest waits; what is being pushed is not pruned; the last commit is the last checkpoint."""
    hub = Hub()
    push = Push(HubOptions(model_id="a/b"), checkpoints, hub)
    hub.gate.clear()
    hub.failing = 1
    for step in range(1, 8):
        save(checkpoints, step)
        push.offer(step)
    assert checkpoints.path(1).is_dir() and not hub.arrived and not push.wait(0)
    hub.gate.set()
    assert push.wait(30) and hub.arrived == [("step 7", ".")] and push.pushed == 7
    assert "the network is down" in capsys.readouterr().err
    save(checkpoints, 8)
    assert checkpoints.steps() == [8, 7] and not checkpoints.held


def test_the_last_push_is_tried_again(checkpoints, monkeypatch, capsys) -> None:
    """No later one makes up for it: the last checkpoint, if that has failed, then the finished model, and no more."""
    monkeypatch.setattr("hf_embeddings.pretraining.checkpoints.push.PAUSES", (0.0,) * 3)
    hub, folder = Hub(), checkpoints.folder.parent
    push = Push(HubOptions(model_id="a/b", hub_strategy="checkpoint"), checkpoints, hub)
    save(checkpoints, 1)
    hub.failing = 2
    push.offer(1)
    assert push.wait(30) and not hub.arrived and push.pushed is None
    hub.failing = 1
    assert push.finish(folder) and push.pushed == 1
    assert [target for _, target in hub.arrived] == [LAST, ".", LAST, "."] and hub.arrived[-1][
        0
    ] == "the finished model"
    hub.failing = 3
    assert not push.finish(folder)
    assert f"hf-embeddings publish {folder} a/b" in capsys.readouterr().err


def test_what_publish_would_refuse_is_not_pushed(checkpoints, monkeypatch, capsys) -> None:
    """Neither with a checkpoint nor with the finished model; what is of no known kind stays behind, and is told."""
    monkeypatch.setattr("hf_embeddings.pretraining.checkpoints.push.PAUSES", (0.0,) * 9)
    hub, folder = Hub(), checkpoints.folder.parent
    push = Push(HubOptions(model_id="a/b", hub_strategy="checkpoint"), checkpoints, hub)
    (folder / "slurm-1.out").write_text("a log")
    save(checkpoints, 1)
    (checkpoints.path(1) / "README.md").write_text("hf_" + "abcdefghij" * 4)
    push.offer(1)
    assert push.wait(30) and not hub.arrived and push.pushed is None
    (checkpoints.path(1) / "README.md").unlink()
    assert push.finish(folder) and hub.arrived[-1] == ("the finished model", ".")
    (folder / "README.md").write_text("hf_" + "abcdefghij" * 4)
    arrived = list(hub.arrived)
    assert not push.finish(folder) and hub.arrived == arrived
    said = capsys.readouterr().err
    assert said.count("step 1 is not pushed: README.md: it holds a Hugging Face token; change or remove that") == 1
    assert said.count("not pushed with the model: slurm-1.out: of no kind that is known to be harmless") == 1
    assert said.count("the push of the finished model is refused; gave up") == 1
