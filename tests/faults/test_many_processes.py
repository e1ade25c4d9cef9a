"""The same run on one process and on several, killed, stopped, stretched and shrunk."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hf_embeddings.pretraining.checkpoints.store import Checkpoints
from hf_embeddings.pretraining.checkpoints.verification import verify_run
from hf_embeddings.pretraining.training.stop import PREEMPTED
from tests.faults.hooks import MeanOfMeans, SignalAt, Spoil, StepLog, Uneven, together
from tests.faults.small_run import (
    PATIENCE,
    ROOT,
    STEPS_PER_EPOCH,
    Run,
    chain_of_stops,
    finish,
    settings,
    state,
    weights,
)

full_only = pytest.mark.faults


def recorded(file: Path) -> dict[int, dict]:
    """Return what `StepLog` wrote for each step: losses, norm, and the samples of all processes."""
    steps: dict[int, dict] = {}
    for line in map(json.loads, file.read_text().splitlines()):
        entry = steps.setdefault(line["step"], line | {"samples": []})
        entry["samples"] = sorted(entry["samples"] + line["samples"])
    return steps


def difference(one: dict[int, dict], other: dict[int, dict]) -> tuple[float, float]:
    """Return the largest difference of a loss in step 0, and in any step."""
    assert one.keys() == other.keys()
    each = {
        step: max(abs(one[step]["losses"][name] - other[step]["losses"][name]) for name in one[step]["losses"])
        for step in one
    }
    return each[0], max(each.values())


@pytest.mark.slow
def test_f12_any_number_of_processes_optimises_the_same(tmp_path, times, figures) -> None:
    """1 x 4, 2 x 2 and 4 x 1 micro-batches with very different numbers of labels; and the mistake is noticed."""
    steps = times(4, 24)
    found = {}
    numbers = times(("2",), ("2", "4"))
    cases = {name: (int(name), [Uneven()]) for name in ("1", *numbers)} | {"wrong": (2, [Uneven(), MeanOfMeans()])}
    for name, (ranks, hooks) in cases.items():
        hook = together(*hooks, StepLog(tmp_path / f"{name}.jsonl"))
        options = settings(
            tmp_path / name,
            training__max_steps=steps,
            training__learning_rate=0.001,
            checkpoints__save_steps=None,
        )
        assert finish(options, ranks=ranks, before=hook) == 0
        found[name] = recorded(tmp_path / f"{name}.jsonl")
    for name in numbers:
        first, largest = difference(found["1"], found[name])
        figures(f"F12 1 process against {name}", step_0=f"{first:.1e}", any_step=f"{largest:.1e}")
        assert first <= 1e-6
        for step, entry in found["1"].items():
            assert entry["samples"] == found[name][step]["samples"]
    mutant, _ = difference(found["1"], found["wrong"])
    figures("F12 mean of means", step_0=f"{mutant:.1e}")
    assert mutant > 1e-3


def test_f10_strict_determinism_gives_the_same_bits_on_any_number(tmp_path, times, figures) -> None:
    """Also through a chain of stops, within epochs and at their ends, each time other processes and workers.

    The 4 micro-batches of a step are 4, 2 or 1 for each process. Losses and norms, which steps are skipped by, are the
    same bits too.
    """
    hashes, told = {}, {}
    common = {
        "training__strict_determinism": "true",
        "training__max_steps": times(12, 48),
        "checkpoints__save_steps": None,
    }
    for ranks in times((1, 2), (1, 2, 4)):
        folder = tmp_path / f"ranks{ranks}"
        log = tmp_path / f"{ranks}.jsonl"
        assert finish(settings(folder, **common), ranks=ranks, before=StepLog(log)) == 0
        hashes[ranks], told[ranks] = weights(folder), recorded(log)
        assert told[ranks] == told[1]
    folder, stops = tmp_path / "chain", chain_of_stops(common["training__max_steps"], times(2, 30))
    ways = [(ranks, workers) for ranks in hashes for workers in (0, 1, 3)]
    chain = random.Random(0).sample(ways * len(stops), len(stops))
    for at, (ranks, workers) in zip(stops, chain, strict=True):
        options = settings(folder, training__dataloader_num_workers=workers, **common)
        assert finish(options, ranks=ranks, before=SignalAt(at, signal.SIGTERM, rank=ranks - 1)) == PREEMPTED
        assert state(folder)["step"] == at
    assert finish(settings(folder, **common)) == 0
    hashes["chain"] = weights(folder)
    figures(
        "F10, F11 strict_determinism, one chain", stops=len(stops), of_these_at_ends_of_epochs=at_ends(stops),
        processes_x_accumulation=sorted({f"{ranks} x {4 // ranks}" for ranks, _ in chain}),
        workers=sorted({workers for _, workers in chain}),
        identical_to_uninterrupted_on=list(hashes)[:-1] if len(set(hashes.values())) == 1 else None,
    )  # fmt: skip
    assert len(set(hashes.values())) == 1


def at_ends(stops: list[int]) -> int:
    """Return how many of these steps end an epoch."""
    return sum(step % STEPS_PER_EPOCH == 0 for step in stops)


@pytest.mark.slow
def test_f11_elastic_runs_see_the_same_samples(tmp_path, times, figures) -> None:
    """1, 2, 4 and 1 processes, one after the other, against one process all the way."""
    numbers = times((1, 2, 1), (1, 2, 4, 1))
    changed = {"training__learning_rate": 0.001, "checkpoints__save_steps": None}
    alone = StepLog(tmp_path / "alone.jsonl")
    assert finish(settings(tmp_path / "alone", **changed), before=alone) == 0
    for index, ranks in enumerate(numbers):
        hooks = [StepLog(tmp_path / "elastic.jsonl")]
        last = index == len(numbers) - 1
        if not last:
            hooks.append(SignalAt(6 * (index + 1), signal.SIGTERM))
        code = finish(settings(tmp_path / "elastic", **changed), ranks=ranks, before=together(*hooks))
        assert code == (0 if last else PREEMPTED)
    one, other = recorded(tmp_path / "alone.jsonl"), recorded(tmp_path / "elastic.jsonl")
    assert [entry["samples"] for entry in one.values()] == [entry["samples"] for entry in other.values()]
    _, largest = difference(one, other)
    figures("F11 elastic", processes=list(numbers), same_samples=True, largest_loss_difference=f"{largest:.1e}")
    assert largest <= 1e-6


def test_fsdp2_trains_what_ddp_trains_and_leaves_one_file(tmp_path, figures) -> None:
    """Shares of the model; the checkpoint goes on in one process, and loads as any model."""
    changed = {"training__max_steps": 6, "training__learning_rate": 0.001, "checkpoints__save_steps": 3}
    for name, sharding in (("whole", "none"), ("shared", "fsdp2")):
        options = settings(tmp_path / name, training__sharding=sharding, **changed)
        assert finish(options, ranks=2, before=StepLog(tmp_path / f"{name}.jsonl")) == 0
        assert not any(verify_run(tmp_path / name).values())
    _, largest = difference(recorded(tmp_path / "whole.jsonl"), recorded(tmp_path / "shared.jsonl"))
    figures("FSDP2 against DDP, 2 processes", largest_loss_difference=f"{largest:.1e}")
    assert largest <= 1e-6
    source = tmp_path / "shared/checkpoints/step-00000003"
    assert finish(settings(tmp_path / "alone", **changed), resume=str(source)) == 0
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("alone", "shared"))
    assert one.keys() == other.keys() == load_file(tmp_path / "whole/model.safetensors").keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_f9_one_rank_is_not_finite_and_all_skip(tmp_path, what, figures) -> None:
    folder = tmp_path / "run"
    options = settings(folder, training__max_steps=8, checkpoints__save_steps=None)
    assert finish(options, ranks=2, before=Spoil(what, range(3, 5), rank=1)) == 0
    assert state(folder)["monitor"]["skipped"] == 2
    assert all(tensor.isfinite().all() for tensor in load_file(folder / "model.safetensors").values())
    figures(f"F9 two steps with a {what} that is not finite on one of 2 ranks", both_skip=2, weights_finite=True)


@full_only
def test_f3_a_random_rank_is_killed(tmp_path, figures) -> None:
    """The other one ends by itself; both start again, and end with the weights of the undisturbed run."""
    choice = random.Random(0)
    alone, options = (settings(tmp_path / name, training__max_steps=400) for name in ("alone", "run"))
    undisturbed = Run(alone, ranks=2)
    checkpoints, kills, slowest = Checkpoints(tmp_path / "run/checkpoints"), 0, 0.0
    while kills < 50:
        before = (checkpoints.steps() or [0])[0]
        run = Run(options, ranks=2)
        run.until(lambda before=before: (checkpoints.steps() or [0])[0] > before)
        time.sleep(choice.uniform(0, 0.5))
        run.signal(signal.SIGKILL, rank=choice.randrange(2))
        killed = time.monotonic()
        code = run.wait(60)
        slowest = max(slowest, time.monotonic() - killed)
        if code == 0:
            break
        kills += 1
    code = finish(options, ranks=2)
    assert undisturbed.wait(3000) == 0
    identical = weights(tmp_path / "run") == weights(tmp_path / "alone")
    figures("F3 SIGKILL of one of 2 ranks", kills=kills, other_rank_ended_within=f"{slowest:.1f} s", exit_code=code,
            weights_identical=identical)  # fmt: skip
    assert kills == 50 and code == 0 and identical


@full_only
def test_f3_torchrun_starts_killed_processes_again(tmp_path, figures) -> None:
    """One rank is killed three times, and `torchrun --max-restarts` starts all again; then it is told to stop."""
    steps, choice = 300, random.Random(0)
    alone, folder = tmp_path / "alone", tmp_path / "run"
    undisturbed = Run(settings(alone, training__max_steps=steps), ranks=2)
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"),
        *("--max-restarts", "3", "--signals-to-handle", "SIGTERM,SIGINT,SIGUSR1"),
        *("-m", "tests.faults.launched", str(folder), str(steps)),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    launcher = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    checkpoints, resumed = Checkpoints(folder / "checkpoints"), 0
    for kill in range(3):
        before = (checkpoints.steps() or [0])[0]
        while launcher.poll() is None and (checkpoints.steps() or [0])[0] <= before + 10:
            time.sleep(0.01)
        assert launcher.poll() is None, kill
        os.kill(int((tmp_path / f"process{choice.randrange(2)}").read_text()), signal.SIGKILL)
        before = (checkpoints.steps() or [0])[0]
        while launcher.poll() is None and resumed == said(folder).count("resuming step"):
            time.sleep(0.01)
        resumed = said(folder).count("resuming step")
    while launcher.poll() is None and (checkpoints.steps() or [0])[0] <= before + 10:
        time.sleep(0.01)
    launcher.send_signal(signal.SIGTERM)
    launcher.wait(PATIENCE)
    stopped = json.loads((folder / "status.json").read_text())
    assert stopped["state"] == "preempted" and state(folder)["step"] == stopped["step"] < steps, said(folder)
    assert subprocess.run(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL).returncode == 0, said(folder)
    assert undisturbed.wait() == 0
    identical = weights(folder) == weights(alone)
    figures("F3 torchrun --max-restarts 3", kills=3, resumed=resumed, stopped_by="SIGTERM", identical=identical)
    assert resumed == 3 and identical


def said(folder: Path) -> str:
    """Return what the processes of a launched run have printed."""
    log = folder.parent / f"{folder.name}.log"
    return log.read_text() if log.exists() else ""
