"""The training of a student in the loop of sentence-transformers, with progress, and checkpoints to resume from."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments
from torch import nn
from transformers import TrainerCallback, TrainerState

from hf_embeddings.embedding.sentence_model import encoder_of
from hf_embeddings.embedding.trainer import EmbeddingTrainer, steps_done
from hf_embeddings.files.atomic import replace_text
from hf_embeddings.files.reading import read_text
from hf_embeddings.hardware import bf16_is_fast
from hf_embeddings.loading.messages import quiet_loading
from hf_embeddings.pretraining.checkpoints.resume import choose
from hf_embeddings.pretraining.checkpoints.store import Checkpoints
from hf_embeddings.progress import Phases

OPTIONS = "options.json"  # of a training that was begun, beside its checkpoints
CHECKPOINTS = "checkpoints"
SAVED = 10  # checkpoints of a whole training, of which the last ones are kept


@dataclass(frozen=True, kw_only=True)
class StudentOptions:
    """How long and how fast a student learns."""

    epochs: float = 1.0
    batch_size: int = 32  # texts, or pairs of them
    learning_rate: float = 2e-4
    warmup: float = 0.1  # share of the steps
    seed: int = 0

    @property
    def in_words(self) -> str:
        """How a card says it."""
        rate = f"learning rate {self.learning_rate:g}"
        return f"{self.epochs:g} epochs, batches of {self.batch_size}, {rate}, seed {self.seed}"


def train_student(
    student: SentenceTransformer,
    columns: Mapping[str, Sequence[Any]],
    loss: nn.Module,
    work: Path,
    options: StudentOptions,
    *,
    phases: Phases,
    facts: Mapping[str, object],
) -> float:
    """Train a student in place, and return the mean loss of the last tenth of the steps.

    A training that was interrupted resumes from its last checkpoint in `work`.

    Args:
        student: the model; it gets the trained weights.
        columns: the data, a column of texts each, and perhaps `label` with vectors.
        loss: of sentence-transformers, or of its form.
        work: directory for the checkpoints.
        options: how long and how fast.
        phases: makes the bar of progress.
        facts: what else must be as it was to resume.

    Raises:
        ValueError: a training that was begun there had other options or data.
        TrainingFailed: the disk takes no checkpoint.
    """
    check_begun(work, options, facts)
    _without_dropout(student)
    student.model_card_data.generate_widget_examples = False  # no card is written here
    data = Dataset.from_dict(dict(columns))
    steps = max(1, round(options.epochs * -(-len(data) // options.batch_size)))
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(work),
        max_steps=steps,
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        warmup_steps=round(options.warmup * steps),
        lr_scheduler_type="linear",
        weight_decay=0.0,
        bf16=bf16_is_fast(),
        use_cpu=True,
        seed=options.seed,
        data_seed=options.seed,
        save_strategy="steps",
        save_steps=max(1, steps // SAVED),
        logging_strategy="steps",
        logging_steps=max(1, steps // SAVED),
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    checkpoints = Checkpoints(work / CHECKPOINTS)
    checkpoints.sweep()
    source, _ = choose("auto", checkpoints)
    with phases("training", steps, unit="steps", done=steps_done(source)) as phase, quiet_loading():
        trainer = EmbeddingTrainer(
            student, arguments, data, loss=loss, checkpoints=checkpoints, facts={}, callbacks=[_Progress(phase.reach)]
        )
        try:
            trainer.go_on(source, steps)
        finally:
            checkpoints.settle()  # the next call goes on from there
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    student.eval()
    return float(losses[-1]) if losses else float("nan")


def loss_of_vectors(student: SentenceTransformer) -> nn.Module:
    """Return the squared error to the vectors in the column `label` (https://arxiv.org/abs/2004.09813)."""
    from sentence_transformers.sentence_transformer.losses import MSELoss

    return MSELoss(student)


class _Progress(TrainerCallback):
    """Tell a phase how far the training is."""

    def __init__(self, reach: Callable[[float, str], None]) -> None:
        self.reach, self.note = reach, ""

    def on_log(
        self, args: object, state: TrainerState, control: object, logs: Mapping[str, float] | None = None, **_: object
    ) -> None:
        if logs and "loss" in logs:
            self.note = f"loss {logs['loss']:.4f}"

    def on_step_end(self, args: object, state: TrainerState, control: object, **_: object) -> None:
        self.reach(state.global_step, self.note)


def identified(texts: Iterable[str]) -> str:
    """Return how many texts there are, and a digest of them."""
    count, digest = 0, sha256()
    for text in texts:
        count += 1
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return f"{count:,} ({digest.hexdigest()[:12]})"


def what_it_takes(options: StudentOptions, facts: Mapping[str, object]) -> str:
    """Return everything that decides what a training makes, as JSON."""
    return json.dumps({**asdict(options), **facts}, indent=2, sort_keys=True)


def check_begun(work: Path, options: StudentOptions, facts: Mapping[str, object]) -> None:
    """Write down what a training begins with, or compare it with that of the one that was begun.

    Raises:
        ValueError: that one was begun with something else.
    """
    path, text = work / OPTIONS, what_it_takes(options, facts)
    if path.is_file():
        before = json.loads(read_text(path))
        now = json.loads(text)
        if changed := sorted(name for name in {*before, *now} if before.get(name) != now.get(name)):
            name = changed[0]
            raise ValueError(
                f"{work}: a training was begun with {name} {before.get(name)!r}, got {now.get(name)!r}; give what it "
                "was begun with to resume it, or --overwrite to begin anew"
            )
        return
    work.mkdir(parents=True, exist_ok=True)
    replace_text(path, text + "\n")


def trained_weights(student: SentenceTransformer) -> dict[str, torch.Tensor]:
    """Return the weights of the encoder in a student."""
    return dict(encoder_of(student).state_dict())


def _without_dropout(student: SentenceTransformer) -> None:
    """Leave out the noise: the teacher is a fixed target, which it would only blur."""
    for module in student.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            vars(module)["attention_dropout"] = 0.0
