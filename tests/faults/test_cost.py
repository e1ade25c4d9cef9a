"""What reliability costs, measured beside the same work without it: figures rather than bounds."""

import json
import resource
import shutil
import statistics
import time

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hf_embeddings.pretraining.checkpoints import Checkpoints
from hf_embeddings.pretraining.manifest import check
from hf_embeddings.pretraining.packing import SAMPLES_PER_BLOCK
from hf_embeddings.pretraining.randomness import permuted
from tests.faults.hooks import BadHub
from tests.faults.small_run import finish, settings

pytestmark = pytest.mark.faults
BERT_BASE = 110_000_000  # parameters


def test_f19_hashing_and_forcing_to_the_disk(tmp_path, figures) -> None:
    """A save of BERT-base with its optimizer, in fp32: files alone, against the time that a step waits for ours."""
    weights = {"weights": torch.randn(BERT_BASE)}
    optimizer = {"mean": torch.randn(BERT_BASE), "square": torch.randn(BERT_BASE)}

    def write(folder) -> None:
        save_file(weights, folder / "model.safetensors")
        save_file(optimizer, folder / "optimizer.safetensors")

    checkpoints = Checkpoints(tmp_path / "checkpoints")
    plain, waited, whole = [], [], []
    for number in range(5):
        folder = tmp_path / "plain"
        folder.mkdir()
        began = time.perf_counter()
        write(folder)
        plain.append(time.perf_counter() - began)
        shutil.rmtree(folder)
        began = time.perf_counter()
        assert checkpoints.save(number, write, {})
        waited.append(time.perf_counter() - began)
        assert checkpoints.settle()
        whole.append(time.perf_counter() - began)
    began = time.perf_counter()
    check(checkpoints.path(4))
    verified = time.perf_counter() - began
    ratios = sorted(ours / theirs for ours, theirs in zip(waited, plain, strict=True))
    figures(
        "F19 a save at BERT-base size, 1.3 GB", plain_seconds=f"{statistics.median(plain):.2f}",
        training_waits_seconds=f"{statistics.median(waited):.2f}", median_ratio=f"{statistics.median(ratios):.2f}",
        committed_after_seconds=f"{statistics.median(whole):.2f}", verified_in_seconds=f"{verified:.2f}",
    )  # fmt: skip
    assert checkpoints.steps() == [4, 3]


def test_f18_a_hub_that_fails_and_hangs(tmp_path, figures) -> None:
    """Steps take as long as without a Hub; what is pushed last is the finished model."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for number in range(10):
        pushes, folder, arrived = bool(number % 2), tmp_path / f"run{number}", tmp_path / f"arrived{number}.txt"
        options = settings(
            folder,
            training__max_steps=400,
            checkpoints__save_steps=10,
            hub__model_id="tester/model" if pushes else None,
            hub__hub_strategy="checkpoint",
        )
        assert finish(options, before=BadHub(arrived)) == 0
        seconds[pushes].append(json.loads((folder / "pretraining.json").read_text())["training_seconds"])
        if pushes:
            lines = arrived.read_text().splitlines()
            steps = [int(line.split()[2].rstrip(",")) for line in lines if "step" in line]
            assert steps == sorted(steps) and len(steps) > 3 and "to resume from" in arrived.read_text()
    ratios = sorted(theirs / ours for theirs, ours in zip(seconds[True], seconds[False], strict=True))
    figures(
        "F18 pushing to a Hub that fails and hangs", runs=5, steps=400,
        seconds_without=f"{statistics.median(seconds[False]):.2f}",
        seconds_with=f"{statistics.median(seconds[True]):.2f}", median_ratio=f"{statistics.median(ratios):.3f}",
    )  # fmt: skip
    assert statistics.median(ratios) < 1.5  # on a machine with much to do; in quiet, see the log


def test_f16_a_step_of_a_huge_corpus_is_found_at_once(figures) -> None:
    size, random = 10**9, np.random.default_rng(0)
    before, seconds = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
    for block in random.integers(0, size // SAMPLES_PER_BLOCK, 20):
        began = time.perf_counter()
        samples = permuted(0, "order", 3, block * SAMPLES_PER_BLOCK + np.arange(SAMPLES_PER_BLOCK), size)
        seconds.append(time.perf_counter() - began)
        assert len(np.unique(samples)) == SAMPLES_PER_BLOCK and samples.min() >= 0 and samples.max() < size
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    figures(
        "F16 order of a block of 32768 among 10^9 samples", median_ms=f"{1000 * statistics.median(seconds):.0f}",
        memory_MiB=f"{grown:.0f}",
    )  # fmt: skip
    assert grown < 50
