"""Processes asked for and got, batches for any number of them, and gradients that do not depend on it."""

import gc
import itertools
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from hf_embeddings import hardware
from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.model.modeling_triembed import TriEmbedForPreTraining
from hf_embeddings.pretraining.checkpoints.resume import micro_batches_per_step
from hf_embeddings.pretraining.examples.batches import joined_batches
from hf_embeddings.pretraining.examples.chunks import cut_chunks
from hf_embeddings.pretraining.examples.training_phases import plan_phases
from hf_embeddings.pretraining.options import ExampleOptions, TrainingOptions
from hf_embeddings.pretraining.phase_options import PhaseOptions, default_micro_batches
from hf_embeddings.pretraining.training import processes as processes_of_runs
from hf_embeddings.pretraining.training.gradients import compute_gradients, dropout_seed
from hf_embeddings.pretraining.training.micro_batches import MicroBatches
from hf_embeddings.pretraining.training.processes import (
    ASKED,
    check_processes,
    choose_precision,
    leave,
    restart_warning,
)
from tests.pretraining.numbered_corpus import VOCABULARY, numbered_corpus


@pytest.fixture
def launched(monkeypatch):
    """Set the environment that a launcher leaves, and nothing else of the kind."""

    def set_all(**given: str) -> None:
        for name in (*ASKED, "MASTER_ADDR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in given.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize(
    "environment, got, options, message",
    [
        ({}, 1, {}, ""),
        ({"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}, 2, {}, ""),
        ({"SLURM_NTASKS": "4"}, 1, {}, "SLURM_NTASKS: asked for 4 processes, got 1"),
        ({"MASTER_ADDR": "127.0.0.1"}, 1, {}, "accelerate launch --cpu"),
        ({"MASTER_ADDR": "127.0.0.1"}, 1, {"num_processes": 1}, ""),
        ({}, 1, {"num_processes": 2}, "training.num_processes: asked for 2 processes, got 1"),
    ],
)
def test_what_was_asked_is_what_is_there(launched, environment, got, options, message) -> None:
    launched(**environment)
    training = TrainingOptions(**options)
    if not message:
        return check_processes(got, training)
    with pytest.raises(ValueError, match=message):
        check_processes(got, training)


@pytest.mark.parametrize(
    ("asked", "begun", "name", "reason"),
    [
        ("auto", "bf16", "bf16", "as the checkpoint"),  # also where bf16 is slow: resuming is exact
        ("auto", "no", "no", "as the checkpoint"),
        ("no", "bf16", "no", "as asked"),  # and then refused, unless changes are allowed
        ("bf16", None, "bf16", "as asked"),
    ],
)
def test_a_run_goes_on_in_the_precision_of_its_checkpoint(asked, begun, name, reason) -> None:
    options = SimpleNamespace(training=TrainingOptions(mixed_precision=asked))
    alone = SimpleNamespace(num_processes=1, device=torch.device("cpu"))
    assert choose_precision(options.training.mixed_precision, alone, old_format=begun) == (name, reason)


def test_processes_on_machines_that_differ_are_refused(monkeypatch) -> None:
    monkeypatch.setattr(processes_of_runs, "gather_object", lambda mine: [*mine, "bf16"])
    monkeypatch.setattr(hardware, "bf16_is_fast", lambda device: False)
    two = SimpleNamespace(num_processes=2, device=torch.device("cpu"))
    options = SimpleNamespace(training=TrainingOptions())
    with pytest.raises(ValueError, match="auto, which means bf16 and fp32 .* write training.mixed_precision=no"):
        choose_precision(options.training.mixed_precision, two)
    with pytest.raises(ValueError, match="keeps the checkpoint's fp16, which needs a GPU"):
        choose_precision(options.training.mixed_precision, two, old_format="fp16")


def micro_batches() -> MicroBatches:
    chunks, examples = cut_chunks(numbered_corpus(), max_tokens=61), ExampleOptions(max_length=64)
    training = TrainingOptions(max_steps=100, tokens_per_step=1024)
    return MicroBatches(plan_phases(chunks, examples, training, seed=3, per_step=4), VOCABULARY, examples, per_step=4)


def test_restarts_that_would_fail_are_announced(launched, monkeypatch) -> None:
    for shared, restarts, told in (("True", "3", True), ("False", "3", False), ("True", "0", False)):
        monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", shared)
        monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", restarts)
        assert bool(restart_warning()) == told


def test_every_step_is_divided_and_nothing_else_changes() -> None:
    """The processes' shares, laid together, are the micro-batches of one process, from any step on."""
    batches = micro_batches()
    whole = list(itertools.islice(batches.steps(0, process=0, processes=1, workers=0), 6))
    for processes in (1, 2, 4):
        shares = [batches.steps(2, process=p, processes=processes, workers=0) for p in range(processes)]
        for step in range(2, 6):
            parts = [next(share) for share in shares]
            together = [batch for group in zip(*parts, strict=True) for batch in group]
            for one, other in zip(whole[step], together, strict=True):
                assert all((one[name] == other[name]).all() for name in one)


def test_several_micro_batches_in_one_pass_have_the_gradients_of_each() -> None:
    """Packed rows, one after the other with the padding of each between them, up to so many tokens."""
    config = TriEmbedConfig(
        vocab_size=5000, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    batches = [batch for batch in next(micro_batches().steps(3, process=0, processes=1, workers=0))]
    rows = joined_batches(batches, tokens=3 * 256)
    assert [row["input_ids"].numel() for row in rows] == [768, 256] and rows[1] is batches[3]
    found = []
    for training in (TrainingOptions(), TrainingOptions(micro_batches=4)):  # a stated number is not joined
        torch.manual_seed(0)
        model = TriEmbedForPreTraining(config).double()
        figures = compute_gradients(model, batches, ExampleOptions(), training, Accelerator(cpu=True), seed=0, step=0)
        found.append((figures, [p.grad for p in model.parameters() if p.grad is not None]))
    (joined, gradients), (apart, others) = found
    assert joined.losses == pytest.approx(apart.losses, abs=1e-6) and joined.tokens == apart.tokens
    for one, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-6)


def passes(phases: list[PhaseOptions], **training: object) -> int:
    return default_micro_batches(TrainingOptions(phases=phases, **training).parts(), 128)


def test_the_number_of_micro_batches_follows_from_the_options_alone() -> None:
    assert passes([]) == 4  # 2,048 tokens, 128 of an example
    assert passes([], tokens_per_step=131072) == 16 and passes([], tokens_per_step=8190) == 2
    assert passes([], tokens_per_step=512) == 2 and passes([], tokens_per_step=300) == 1
    longer = [PhaseOptions(steps=1), PhaseOptions(steps=1, max_length=1024, tokens_per_step=4096)]
    assert passes(longer) == 2  # two of the longest examples in each


@pytest.mark.parametrize(
    ("training", "processes", "expected"),
    [
        ({}, 1, 4),
        ({}, 2, 4),
        ({}, 4, 4),
        ({"micro_batches": 6}, 3, 6),
        ({"gradient_accumulation_steps": 2}, 2, 4),  # earlier files say it of each process
        ({}, 3, "3 processes cannot share 4 micro-batches per step; start one of 1, 2, 4 processes or write"),
        ({"micro_batches": 1}, 2, "write training.micro_batches=2, each of which has to hold an example"),
    ],
)
def test_processes_share_the_micro_batches_of_the_run(training, processes: int, expected: int | str) -> None:
    options = TrainingOptions(**training)
    if isinstance(expected, int):
        assert micro_batches_per_step(None, options, processes, max_length=128) == expected
        return
    with pytest.raises(ValueError, match=expected):
        micro_batches_per_step(None, options, processes, max_length=128)


def test_both_spellings_are_refused() -> None:
    with pytest.raises(ValueError, match="gradient_accumulation_steps: got 2 beside micro_batches 4, expected null"):
        TrainingOptions(gradient_accumulation_steps=2, micro_batches=4)


def test_f17_an_epoch_uses_each_sample_once_over_all_processes(figures) -> None:
    batches = micro_batches()
    per_epoch = batches.phases[-1].schedule.batches_per_epoch
    samples = [batches.phases[-1].schedule.batch(number)[1].samples for number in range(per_epoch)]
    assert np.array_equal(np.sort(np.concatenate(samples)), np.arange(len(batches.phases[-1].schedule.chunks)))
    numbers = [set(range(p, per_epoch, 4)) for p in range(4)]
    assert set.union(*numbers) == set(range(per_epoch)) and sum(map(len, numbers)) == per_epoch
    taken = sum(map(len, samples))
    figures("F17 an epoch on 4 processes", samples=taken, taken_once=taken)


def test_a_step_that_went_wrong_tells_its_samples() -> None:
    told = micro_batches().samples(5)
    assert told["step"] == 5 and len(told["samples"]) == len(told["epochs"]) == 4


def test_dropout_depends_on_step_and_micro_batch_alone() -> None:
    seeds = {dropout_seed(0, step, number) for step in range(50) for number in range(8)}
    assert len(seeds) == 400 and all(0 <= seed < 2**63 for seed in seeds)
    assert dropout_seed(0, 7, 3) == dropout_seed(0, 7, 3) != dropout_seed(1, 7, 3)


def test_the_group_of_processes_outlives_the_run() -> None:
    """What frees a group can hang at once after the last exchange, so that is left to the end of the process."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    group = weakref.ref(torch.distributed.group.WORLD)
    leave(SimpleNamespace(num_processes=2, end_training=torch.distributed.destroy_process_group))
    gc.collect()
    assert not torch.distributed.is_initialized() and group() is not None
