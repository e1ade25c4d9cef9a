"""What a run says before its first step: its number format, and the checkpoint that it begins with."""

import torch

from hf_embeddings.hardware import SLOW, Precision, bf16_slowdown, describe, number_format
from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.pretraining.training.base_checkpoint import lines
from hf_embeddings.pretraining.training.held_out import evaluate_held_out
from hf_embeddings.pretraining.training.loop import Trainer
from hf_embeddings.pretraining.training.objectives import OBJECTIVES
from hf_embeddings.pretraining.training.training_data import Say, TrainingData
from hf_embeddings.progress import Phases
from hf_embeddings.records.run import BaseCheckpoint, ObjectiveFigures


def say_precision(precision: Precision, config: TriEmbedConfig, device: torch.device, say: Say) -> None:
    """Say in which number format the run multiplies and why, and how much time that costs where it is a slow one."""
    say(f"precision: {number_format(precision.name)}, {precision.reason}")
    if precision.name != "bf16":
        return
    inputs, outputs = config.hidden_size, config.intermediate_size
    factor = bf16_slowdown(device, inputs=inputs, outputs=outputs, trains=True)
    if factor >= SLOW:
        say(
            f"warning: bf16 takes {factor:.0f} times as long as fp32 on {describe(device)} (a layer of {inputs} x "
            f"{outputs}, forward and backward); write training.mixed_precision=auto in a new output_dir"
        )


def say_beginning(trainer: Trainer, data: TrainingData, say: Say, phases: Phases) -> None:
    """Say what stays of the checkpoint that the run begins with, and how good it is on these documents."""
    beginning = data.beginning
    if beginning is None:
        return
    for line in lines(beginning):
        say(line)
    objectives = trainer.options.examples.objectives
    before = evaluate_held_out(trainer.model, data.held_out, objectives, trainer.accelerator.device, phases=phases)
    say("held-out before: " + ", ".join(_before(name, before[name], beginning) for name in before))


def _before(name: str, figures: ObjectiveFigures, beginning: BaseCheckpoint) -> str:
    """Return the loss that a checkpoint has before it is trained, and whether it measures the checkpoint at all."""
    new = [module for module in OBJECTIVES[name].modules if module in beginning.new_modules]
    doubt = f" (through {' and '.join(new)}, new and random: no measure of {beginning.name})" if new else ""
    return f"{name} loss {figures.loss:.3f} nats{doubt}"
