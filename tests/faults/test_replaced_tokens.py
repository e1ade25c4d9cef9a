"""Runs of replaced-token detection that are killed, stopped and stretched: discriminator, generator and difference."""

import shutil
import signal
from pathlib import Path

import pytest

from hf_embeddings.file_names import GENERATOR, WEIGHTS
from hf_embeddings.files.manifest import sha256
from hf_embeddings.pretraining.checkpoints.store import Checkpoints
from hf_embeddings.pretraining.checkpoints.verification import verify_run
from hf_embeddings.pretraining.options import PretrainingOptions
from hf_embeddings.pretraining.training.stop import PREEMPTED
from tests.faults.hooks import SignalAt, StepLog
from tests.faults.small_run import Run, finish, settings
from tests.faults.system_calls import EXPORT, DieAt
from tests.faults.test_kills import asks_the_kernel, calls_of, places_among
from tests.faults.test_many_processes import difference, recorded


def detection(folder: Path, **changed: object) -> PretrainingOptions:
    changed = {"training__max_steps": 8, "checkpoints__save_steps": None} | changed
    return settings(folder, examples__objectives="[rtd]", **changed)


def both(folder: Path) -> tuple[str, str]:
    """Return the hashes of the weights of discriminator and generator."""
    return sha256(folder / WEIGHTS), sha256(folder / GENERATOR / WEIGHTS)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert finish(detection(folder)) == 0 and not any(verify_run(folder).values())
    return both(folder)


@asks_the_kernel
@pytest.mark.parametrize("moment", [2, EXPORT], ids=["a save", "the export"])
def test_killed_at_any_call_of(moment: int, tmp_path: Path, undisturbed: tuple[str, str], times, figures) -> None:
    """What is there is intact, the generator in its folder too; the next start ends with the same bits."""
    saves = {"checkpoints__save_steps": 1}
    calls = calls_of(Run(detection(tmp_path / "count", **saves), before=DieAt(tmp_path / "count", moment, None)))
    places = places_among(calls, times(2, None))
    for place in places:
        folder = tmp_path / f"at{place}"
        assert finish(detection(folder, **saves), before=DieAt(folder, moment, place)) == -signal.SIGKILL, place
        newest = Checkpoints(folder / "checkpoints").newest()
        assert newest in (((8, []),) if moment == EXPORT else ((2, []), (3, []))), place
        assert finish(detection(folder)) == 0 and both(folder) == undisturbed, place
        assert not any(verify_run(folder).values())
        shutil.rmtree(folder)
    figures(f"replaced tokens, killed at each call of {moment}", kills=len(places), weights_identical=len(places))


@pytest.mark.parametrize("phases", ["[]", "[{steps: 4}, {steps: 4, max_length: 24, masking_probability: 0.3}]"])
def test_a_stop_changes_no_bit(phases: str, tmp_path: Path, undisturbed: tuple[str, str]) -> None:
    whole, folder, steps = tmp_path / "whole", tmp_path / "run", {"training__phases": phases}
    if phases != "[]":
        assert finish(detection(whole, **steps)) == 0 and both(whole) != undisturbed
    for step in (3, 5):
        assert finish(detection(folder, **steps), before=SignalAt(step, signal.SIGTERM)) == PREEMPTED
    assert finish(detection(folder, **steps)) == 0
    assert both(folder) == (undisturbed if phases == "[]" else both(whole))


def test_strict_determinism_gives_the_same_bits_on_two_processes(tmp_path: Path, undisturbed: tuple[str, str]) -> None:
    assert finish(detection(tmp_path / "two", training__strict_determinism="true"), ranks=2) == 0
    assert both(tmp_path / "two") == undisturbed


@pytest.mark.slow
def test_shares_and_copies_of_the_models_train_the_same(tmp_path: Path) -> None:
    """DDP and FSDP2 on two processes, against one process."""
    changed = {"training__learning_rate": 0.001, "training__max_steps": 4}
    ways = {"one": (1, {}), "ddp": (2, {}), "fsdp2": (2, {"training__sharding": "fsdp2"})}
    for name, (ranks, own) in ways.items():
        options = detection(tmp_path / name, **changed | own)
        assert finish(options, ranks=ranks, before=StepLog(tmp_path / f"{name}.jsonl")) == 0
    for name in ("ddp", "fsdp2"):
        _, largest = difference(recorded(tmp_path / "one.jsonl"), recorded(tmp_path / f"{name}.jsonl"))
        assert largest <= 1e-6, name
