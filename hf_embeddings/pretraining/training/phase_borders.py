"""What changes at the borders of a run's phases, in words and in the model."""

from collections.abc import Iterator
from typing import Any

from torch import nn
from transformers import PreTrainedConfig

from hf_embeddings.pretraining.examples.chunks import SPECIAL_TOKENS_PER_PAIR
from hf_embeddings.pretraining.examples.training_phases import TrainingPhase
from hf_embeddings.pretraining.options import TrainingOptions


def describe(phase: TrainingPhase, training: TrainingOptions) -> str:
    """Return what holds in a phase, in words."""
    return ", ".join(_facts(phase, training))


def _facts(phase: TrainingPhase, training: TrainingOptions) -> Iterator[str]:
    options, masking = phase.options, phase.masking
    yield f"{options.steps:,} steps of {options.tokens_per_step:,} tokens"
    yield f"examples of at most {phase.schedule.chunks.max_tokens + SPECIAL_TOKENS_PER_PAIR:,} tokens"
    if options.masking_probability is not None:
        to = "" if masking.final is None else f" to {masking.final:.0%}"
        yield f"{masking.first:.0%}{to} masked"
    if options.schedule:
        yield f"learning rate {options.schedule}, peak {options.learning_rate or training.learning_rate:g}"
    if options.rope_theta:
        yield f"rope_theta {options.rope_theta:g}"
    yield from (f"weight {weight:g} for {name}" for name, weight in options.weights.items())


def check_rope(training: TrainingOptions, config: PreTrainedConfig) -> None:
    """Look for the rotation that phases are to change.

    Raises:
        ValueError: the model has none.
    """
    if any(phase.rope_theta for phase in training.parts()) and _rotation(config) is None:
        raise ValueError(
            f"training.phases: got a rope_theta for position_embedding_type {config.position_embedding_type!r}, whose "
            "layers with full attention do not turn; remove it, or choose rope"
        )


def set_rope(model: nn.Module, theta: float) -> None:
    """Turn by another base from the next forward pass on, in layers with full attention; a saved model has it too."""
    for module in model.modules():  # nearly all have the one config of the model
        if (parameters := _rotation(getattr(module, "config", None))) is not None:
            parameters["rope_theta"] = theta


def rope_theta(training: TrainingOptions, config: PreTrainedConfig) -> float | None:
    """Return the base that layers with full attention turn by where phases say no other; None where none says one."""
    parameters = _rotation(config)
    if parameters is None or not any(phase.rope_theta for phase in training.parts()):
        return None
    return float(parameters["rope_theta"])


def _rotation(config: object) -> dict[str, Any] | None:
    parameters = getattr(config, "rope_parameters", None)
    if parameters and "full_attention" in parameters:
        parameters = parameters["full_attention"]
    return parameters or None
