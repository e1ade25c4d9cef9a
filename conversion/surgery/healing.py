"""Teach a changed model, for a short while, to do again what it did before: distillation from the source.

Shapes: B batch, S sequence, N tokens of text, M masked tokens, L layers, D hidden, V vocabulary.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hf_embeddings.conversion.rules import ConversionError
from hf_embeddings.conversion.surgery.distillation import Frame, mask, states_of, windows_of
from hf_embeddings.model.modeling_triembed import TriEmbedPreTrainedModel

SHORTEST = 3  # tokens in a row, [CLS] and [SEP] included
BETAS = (0.9, 0.98)  # of Adam: there is no time for a longer memory
STATES_WEIGHT = 0.1  # of the hidden states beside the predictions
BIASES_FASTER = 20.0  # than weights: biases of scores are few and large, weights many and small
ROWS_FASTER = 30.0  # the new rows of a table, which nothing else is trained beside


@dataclass(frozen=True)
class Healing:
    """How long and how fast to learn."""

    steps: int = 200
    batch_size: int = 16  # rows of `length` tokens in a step; of longer or shorter rows it takes fewer or more
    length: int = 128  # tokens in a row, in every other step; see `heal`
    learning_rate: float = 5e-4  # at its highest, after a tenth of the steps; it then falls to 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what heals nothing."""
        for name, least in (("steps", 1), ("batch_size", 1), ("length", 8)):
            if getattr(self, name) < least:
                raise ConversionError(f"healing {name}: got {getattr(self, name)}, expected {least} or more")
        if not 0 < self.learning_rate < 1:
            raise ConversionError(f"healing learning_rate: got {self.learning_rate}, expected a number between 0 and 1")


def heal(
    student: TriEmbedPreTrainedModel,
    teacher: TriEmbedPreTrainedModel,
    text: torch.Tensor,
    frame: Frame,
    options: Healing,
    *,
    notify: Callable[[str], None] = lambda line: None,
) -> list[float]:
    """Train `student` in place towards the hidden states and predictions of `teacher`; return the losses.

    Every other step takes rows of `options.length` tokens, the others short ones. Where the student reads longer rows
    than the teacher, it is given some, which the teacher reads in windows: so it learns to mean in long rows what the
    teacher means in short ones. A model that predicts no tokens also gets rows of a few random ones, so that words
    which the text lacks keep their meaning. Where a learned table has only got longer, its new rows alone are trained.

    Args:
        student: the changed model.
        teacher: the source.
        text: (N,) token ids.
        frame: what stands around the text of a row.
        options: how long and how fast.
        notify: called with a line of text now and then.
    """
    generator = torch.Generator().manual_seed(options.seed)
    rows = _new_rows(student, teacher, options.learning_rate)
    groups = rows or _groups(student, options.learning_rate)
    optimizer = torch.optim.AdamW(groups, betas=BETAS, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, options.steps))
    _without_dropout(student)
    teacher_length, longest = (model.config.max_position_embeddings for model in (teacher, student))
    kinds = [
        "usual",
        "new" if longest > teacher_length else "short",
        "usual",
        "short" if _predicts(student) else "words",
    ]
    losses, start = [], time.perf_counter()
    for step in range(options.steps):
        kind = "new" if rows else kinds[step % len(kinds)]
        length = _length(kind, options.length, teacher_length, longest, generator)
        count = max(1, options.batch_size * options.length // length)
        room = min(length - frame.size, len(text))
        starts = torch.randint(len(text) - room + 1, (count,), generator=generator)
        content = text[starts[:, None] + torch.arange(room)]
        if kind == "words":
            content = torch.randint(student.config.vocab_size, content.shape, generator=generator)
        loss = _loss(student, teacher, content, frame, generator)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 20 == 19 or step + 1 == options.steps:
            seconds_left = (time.perf_counter() - start) / (step + 1) * (options.steps - step - 1)
            notify(f"healing: step {step + 1} of {options.steps}, loss {losses[-1]:.4f}, {seconds_left:.0f} s left")
    student.eval()
    return losses


def _length(kind: str, usual: int, teacher_length: int, longest: int, generator: torch.Generator) -> int:
    """Return the length of a step's rows; short ones are drawn evenly on a logarithmic scale."""
    share = torch.rand((), generator=generator).item()
    return {
        "usual": usual,
        "short": round(math.exp(math.log(SHORTEST) + share * math.log(usual / SHORTEST))),
        "words": SHORTEST + round(share * 4),
        "new": round(teacher_length + share * (longest - teacher_length)),
    }[kind]


def _predicts(model: TriEmbedPreTrainedModel) -> bool:
    return hasattr(model, "predictions")


def _new_rows(student: TriEmbedPreTrainedModel, teacher: TriEmbedPreTrainedModel, rate: float) -> list[dict[str, Any]]:
    """Return the position table alone, its old rows held fast, where they are all that short inputs need; else nothing.

    The student then keeps every output within the old length, bit by bit.
    """
    tables = [table for model in (student, teacher) if (table := model.get_position_embeddings()) is not None]
    if student.config.position_embedding_type != "learned" or len(tables) < 2:
        return []
    new, old = (table.weight for table in tables)
    others = (dict(model.named_parameters()) for model in (student, teacher))
    same = all(p is new or torch.equal(p, q) for p, q in zip(*(part.values() for part in others), strict=True))
    if len(new) <= len(old) or not torch.equal(new[: len(old)], old) or not same:
        return []
    for parameter in student.parameters():
        parameter.requires_grad_(parameter is new)
    new.register_hook(lambda gradient: gradient.index_fill(0, torch.arange(len(old)), 0.0))
    return [{"params": [new], "lr": rate * ROWS_FASTER}]


def _groups(student: TriEmbedPreTrainedModel, rate: float) -> list[dict[str, Any]]:
    """Return the parameters with their learning rates."""
    position = student.base_model.embeddings.position
    biases = [parameter for part in position.values() if part.pairwise for parameter in part.parameters()]
    ids = {id(parameter) for parameter in biases}
    weights = [parameter for parameter in student.parameters() if id(parameter) not in ids]
    return [{"params": weights, "lr": rate}, {"params": biases, "lr": rate * BIASES_FASTER}][: 2 if biases else 1]


def _without_dropout(student: TriEmbedPreTrainedModel) -> None:
    """Leave out the noise: the teacher is a fixed target, which it would only blur."""
    student.train()
    for module in student.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    for layer in student.base_model.layers:
        layer.attention.attention_dropout = 0.0


def _loss(
    student: TriEmbedPreTrainedModel,
    teacher: TriEmbedPreTrainedModel,
    content: torch.Tensor,
    frame: Frame,
    generator: torch.Generator,
) -> torch.Tensor:
    """Squared error of the hidden states of all layers, and the divergence of the predictions at masked tokens."""
    windows = windows_of(teacher, frame, content.shape[1])
    content = content[:, : content.shape[1] // windows * windows]
    masked_content, is_chosen = mask(content, frame, generator) if _predicts(student) else (content, None)
    with torch.no_grad():
        target_states = states_of(teacher, masked_content, frame, windows)  # (L, B, S, D)
    states = states_of(student, masked_content, frame)
    errors = (states - target_states).square().mean(dim=(1, 2, 3)) / target_states.square().mean(dim=(1, 2, 3))  # (L,)
    loss = STATES_WEIGHT * errors.mean()
    if is_chosen is not None and is_chosen.any():
        places = frame.places(is_chosen)
        with torch.no_grad():
            target = _log_scores(teacher, target_states[-1], places)
        scores = _log_scores(student, states[-1], places)
        loss = loss + (target.exp() * (target - scores)).sum(dim=-1).mean()
    return loss


def _log_scores(model: TriEmbedPreTrainedModel, states: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return the logarithms (M, V) of what a model with a prediction head expects at each place."""
    head: Any = getattr(model, "predictions", None)
    scores: torch.Tensor = head(states, places)
    return scores.log_softmax(dim=-1)


def _rate(step: int, steps: int) -> float:
    warm = max(1, steps // 10)
    return min((step + 1) / warm, max(0.0, (steps - step) / max(1, steps - warm)))
