"""The trainer of sentence-transformers with the habits of this house: whole checkpoints, progress, a good end."""

import errno
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.sampler import BatchSamplers
from torch import nn
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_embeddings.embedding.options import IN_BATCH, EmbeddingOptions
from hf_embeddings.embedding.rows import Row
from hf_embeddings.embedding.sentence_model import encoder_of
from hf_embeddings.file_names import WEIGHTS
from hf_embeddings.files.reading import read_object
from hf_embeddings.pretraining.checkpoints.store import FAILURES_ALLOWED, Checkpoints
from hf_embeddings.pretraining.training.stop import Stop
from hf_embeddings.progress import Phase

LOSS_WEIGHTS = "loss.safetensors"  # parameters of the loss, such as those of a decoder
TRAINER_STATE = "trainer_state.json"
NEVER = 10**9  # steps


class TrainingFailed(RuntimeError):
    """Training could not go on; the last checkpoint is there."""


class EmbeddingTrainer(SentenceTransformerTrainer):
    """Saves what a run resumes from into `checkpoints`, and the card is written by others."""

    def __init__(self, *arguments: Any, checkpoints: Checkpoints, facts: Mapping[str, object], **options: Any) -> None:
        """Take what the trainer of sentence-transformers takes, the place of checkpoints and what each is to say."""
        super().__init__(*arguments, **options)
        self.checkpoints, self.facts = checkpoints, facts
        self.remove_callback(PrinterCallback)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Add none."""

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:  # noqa: ANN401  as the library has it
        self.checkpoints.save(self.state.global_step, self._write, self.facts)
        if self.checkpoints.failures >= FAILURES_ALLOWED:
            self.control.should_training_stop = True

    def _write(self, folder: Path) -> None:
        encoder = encoder_of(self.model)
        save_file(_tensors(encoder.state_dict()), folder / WEIGHTS, metadata={"format": "pt"})
        if extra := self._weights_of_the_loss():
            save_file(_tensors(extra), folder / LOSS_WEIGHTS)
        try:
            self._save_optimizer_and_scheduler(str(folder))
            self._save_scaler(str(folder))
            self._save_rng_state(str(folder))
        except RuntimeError as error:  # what `torch.save` says of a full disk
            raise OSError(errno.EIO, f"torch.save: {str(error).splitlines()[0]}", str(folder)) from error
        self.state.save_to_json(str(folder / TRAINER_STATE))

    def _load_from_checkpoint(self, checkpoint_path: str, model: nn.Module | None = None) -> None:
        folder = Path(checkpoint_path)
        encoder_of(self.model).load_state_dict(load_file(folder / WEIGHTS))
        if (folder / LOSS_WEIGHTS).is_file():
            self._loss_module.load_state_dict(load_file(folder / LOSS_WEIGHTS), strict=False)

    def go_on(self, source: Path | None, steps: int) -> None:
        """Train up to so many steps, from a checkpoint or from the start, until all checkpoints are on the disk.

        Raises:
            TrainingFailed: the disk takes no checkpoint.
        """
        if source is not None and steps_done(source) >= steps:
            self._load_from_checkpoint(str(source))
            self.state = TrainerState.load_from_json(str(source / TRAINER_STATE))
            return
        self.train(resume_from_checkpoint=None if source is None else str(source))
        if not self.checkpoints.settle():
            raise TrainingFailed(self.checkpoints.last_error)

    @property
    def _loss_module(self) -> nn.Module:
        assert isinstance(self.loss, nn.Module)  # one; a dict is for several data sets
        return self.loss

    def _weights_of_the_loss(self) -> dict[str, torch.Tensor]:
        """Return the parameters of the loss that are none of the model."""
        own = {id(tensor) for tensor in self.model.parameters()}
        # A tied weight stands twice: as a table, and as a decoder.
        return {name: p.detach() for name, p in self._loss_module.named_parameters() if id(p) not in own}


def steps_done(checkpoint: Path | None) -> int:
    """Return the number of steps after which a checkpoint was saved; 0 without one."""
    return 0 if checkpoint is None else int(read_object(checkpoint / TRAINER_STATE)["global_step"])


def _tensors(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}


class Reporting(TrainerCallback):
    """Tells the progress, evaluates now and then, and ends training where something asks it to."""

    def __init__(self, stop: Stop, phase: Phase, every: int | None, evaluate: Callable[[int], str]) -> None:
        """Take what may ask to stop, what shows the progress, and what evaluates every so many steps."""
        self.stop, self.phase, self.every, self.evaluate = stop, phase, every, evaluate
        self.loss, self.judged, self.began = "", "", time.monotonic()

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Keep the loss in mind."""
        logs = rest.get("logs") or {}
        if "loss" in logs:
            self.loss = f"loss {float(logs['loss']):.3f}"

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Count the step."""
        if self.every and state.global_step % self.every == 0 and state.global_step < state.max_steps:
            self.judged = self.evaluate(state.global_step)
        self.phase.reach(state.global_step, ", ".join(filter(None, (self.loss, self.judged))))
        if self.stop.check(0):
            control.should_save = control.should_training_stop = True


def training_arguments(
    options: EmbeddingOptions, place: Path, precision: str, prompts: dict[str, str]
) -> SentenceTransformerTrainingArguments:
    """Return the arguments of the trainer that options stand for; it writes nothing to `place` itself."""
    training = options.training
    sampler = BatchSamplers.NO_DUPLICATES if options.loss.name in IN_BATCH else BatchSamplers.BATCH_SAMPLER
    return SentenceTransformerTrainingArguments(
        output_dir=str(place),
        max_steps=training.max_steps or -1,
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        warmup_steps=training.warmup_fraction,
        lr_scheduler_type=training.schedule,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=not torch.accelerator.is_available(),
        seed=options.seed,
        save_strategy="steps",
        save_steps=options.checkpoints.save_steps or NEVER,
        logging_steps=10,
        report_to="none",
        disable_tqdm=True,
        batch_sampler=sampler,
        prompts=prompts or None,
    )


def passes_of(options: EmbeddingOptions, rows: Sequence[Row]) -> int:
    """Return how often training goes through the rows, rounded up."""
    training = options.training
    if training.max_steps is None:
        return max(1, math.ceil(training.epochs))
    texts = len({text for row in rows for text in row.texts})
    return -(-training.max_steps * training.batch_size // texts)


def steps_of(options: EmbeddingOptions, rows: int) -> int:
    """Return the number of optimizer steps on a dataset of so many rows."""
    training = options.training
    return training.max_steps or max(1, round(training.epochs * max(1, -(-rows // training.batch_size))))
