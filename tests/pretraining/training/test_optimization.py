"""Laws of optimizers, schedules and the average of the weights."""

import math

import pytest
import torch

from hf_embeddings import TriEmbedConfig, TriEmbedForPreTraining
from hf_embeddings.model.positions import POSITION_TYPES
from hf_embeddings.pretraining.options import TrainingOptions
from hf_embeddings.pretraining.phase_options import PhaseOptions
from hf_embeddings.pretraining.training.muon import Muon
from hf_embeddings.pretraining.training.optimization import (
    OPTIMIZERS,
    build_optimizers,
    rate_factor,
    schedule_factor,
    set_learning_rates,
)
from hf_embeddings.pretraining.training.weight_average import WeightAverage


@pytest.fixture
def model() -> TriEmbedForPreTraining:
    torch.manual_seed(0)
    return TriEmbedForPreTraining(
        TriEmbedConfig(
            vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
            position_embedding_type="learned+relative_bias",
        )
    )  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_parameter_is_held_once_and_tables_do_not_decay(model, name: str) -> None:
    optimizers = build_optimizers(model, TrainingOptions(optimizer=name))
    held = [p for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]
    assert len({id(p) for p in held}) == len(held) and {id(p) for p in held} == {id(p) for p in model.parameters()}
    decayed = {
        id(p) for optimizer in optimizers for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]
    }
    for parameter_name, parameter in model.named_parameters():
        kept = parameter.dim() < 2 or any(table in parameter_name for table in ("token", "position", "segment"))
        assert (id(parameter) in decayed) != kept, parameter_name


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("positions", POSITION_TYPES)
def test_weight_decay_falls_on_linear_layers_only(positions: str, name: str) -> None:
    """Roles by name, as people would list them: each `weight` of a projection, and nothing else of any type."""
    projections = ("query", "key", "value", "out", "up", "down", "dense", "seq_relationship", "step")
    model = TriEmbedForPreTraining(
        TriEmbedConfig(
            vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
            position_embedding_type=positions,
        )
    )  # fmt: skip
    optimizers = build_optimizers(model, TrainingOptions(optimizer=name))
    decayed = {
        id(p) for optimizer in optimizers for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]
    }
    for parameter_name, parameter in model.named_parameters():
        expected = parameter_name.endswith(tuple(f"{projection}.weight" for projection in projections))
        assert (id(parameter) in decayed) == expected, parameter_name


def test_muon_takes_the_matrices_of_the_encoder(model) -> None:
    muon, adamw = build_optimizers(model, TrainingOptions(optimizer="muon"))
    assert isinstance(muon, Muon) and isinstance(adamw, torch.optim.AdamW)
    expected = {id(p) for p in model.triembed.layers.parameters() if p.dim() == 2}
    expected -= {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    assert {id(p) for group in muon.param_groups for p in group["params"]} == expected


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_a_loss(model, name: str) -> None:
    ids = torch.randint(5, 50, (4, 12))
    optimizers = build_optimizers(model, TrainingOptions(optimizer=name, learning_rate=0.01))
    losses = []
    for _ in range(30):
        loss = model(ids, labels=ids).loss
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(("given", "expected"), [(0.001, 0.001), (None, 0.005)])
def test_what_muon_leaves_has_a_peak_of_its_own(model, given: float | None, expected: float) -> None:
    options = TrainingOptions(
        optimizer="muon", learning_rate=0.005, adamw_learning_rate=given, warmup_fraction=0.1, schedule="linear"
    )
    muon, adamw = optimizers = build_optimizers(model, options)
    for progress, factor in ((0.05, 0.5), (0.1, 1.0), (0.55, 0.5), (1.0, 0.0)):
        set_learning_rates(optimizers, schedule_factor(progress, options))
        assert [group["lr"] for group in muon.param_groups] == pytest.approx([0.005 * factor])
        assert [group["lr"] for group in adamw.param_groups] == pytest.approx([expected * factor] * 2)


def test_a_peak_for_adamw_beside_muon_needs_muon() -> None:
    with pytest.raises(ValueError, match="adamw_learning_rate: got 0.001 beside optimizer 'adamw', expected null"):
        TrainingOptions(optimizer="adamw", adamw_learning_rate=0.001)


def test_schedules_rise_and_fall() -> None:
    def curve(schedule: str) -> list[float]:
        options = TrainingOptions(warmup_fraction=0.1, schedule=schedule, decay_fraction=0.5)
        return [schedule_factor(progress, options) for progress in (0, 0.05, 0.1, 0.55, 0.775, 1)]

    assert curve("linear") == pytest.approx([0, 0.5, 1, 0.5, 0.25, 0])
    assert curve("cosine") == pytest.approx([0, 0.5, 1, 0.5, 0.5 * (1 - math.cos(math.pi / 4)), 0])
    assert curve("wsd") == pytest.approx([0, 0.5, 1, 1, 1 - math.sqrt(0.5), 0])


def test_each_phase_has_its_learning_rate_and_knows_none_that_follow() -> None:
    stable = PhaseOptions(steps=4, schedule="constant", warmup_steps=2)
    fall = PhaseOptions(steps=4, schedule="linear")
    rise = PhaseOptions(tokens=1000, tokens_per_step=500, schedule="sqrt", learning_rate=2e-3, warmup_steps=1)

    def curve(*phases: PhaseOptions) -> list[float]:
        options = TrainingOptions(phases=list(phases), learning_rate=1e-3)
        return [rate_factor(options, step, 0.0) for step in range(options.total_steps)]

    assert curve(stable, fall, rise) == pytest.approx([0, 0.5, 1, 1, 1, 0.75, 0.5, 0.25, 0, 2])
    assert curve(stable) == curve(stable, fall)[:4] == curve(stable, rise)[:4]
    assert curve(stable, rise)[4:] == pytest.approx([1, 2])  # from where the phase before ended


def test_phases_without_schedules_follow_that_of_the_run() -> None:
    phases = [PhaseOptions(steps=5), PhaseOptions(steps=15)]
    alone, parted = TrainingOptions(max_steps=20), TrainingOptions(phases=phases)
    for step in range(20):
        assert rate_factor(parted, step, step / 20) == schedule_factor(step / 20, alone)


def test_the_average_equals_one_written_by_hand(model) -> None:
    average = WeightAverage(model, decay=0.5)
    name, weight = next(iter(model.named_parameters()))
    expected = weight.detach().clone()
    for step in range(1, 4):
        with torch.no_grad():
            weight += 1.0
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight.detach()
        average.update(model)
    average.copy_to(model)
    torch.testing.assert_close(dict(model.named_parameters())[name], expected)
