"""Teach a changed model, for a short while, to do again what it did before: distillation from the source.

Shapes: B batch, S sequence, D hidden, V vocabulary.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hf_embeddings.conversion.rules import ConversionError

MASKED = 0.15  # share of tokens that are masked, in training and in measuring


@dataclass(frozen=True)
class Healing:
    """How long and how fast to learn."""

    steps: int = 200
    batch_size: int = 16  # rows
    length: int = 128  # tokens in a row
    learning_rate: float = 5e-4  # at its highest, after a tenth of the steps; it then falls to 0
    seed: int = 0


def rows_of(texts: Iterable[str], tokenizer: PreTrainedTokenizerBase, length: int, *, most: int) -> torch.Tensor:
    """Cut texts into at most `most` full rows (B, S) of [CLS] ... [SEP]; rests that fill no row are left out.

    Raises:
        ConversionError: the texts fill no row.
    """
    rows, held = [], []
    around = tokenizer("")["input_ids"]
    first, last = around[: len(around) // 2], around[len(around) // 2 :]
    room = length - len(around)
    for text in texts:
        held += tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        while len(held) >= room and len(rows) < most:
            rows.append(first + held[:room] + last)
            held = held[room:]
        if len(rows) == most:
            break
    if not rows:
        raise ConversionError(f"corpus: fewer than {length} tokens, which fill no row; give a larger corpus")
    return torch.tensor(rows)


def mask_rows(
    rows: torch.Tensor, tokenizer: PreTrainedTokenizerBase, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows with 15 % of the tokens replaced by [MASK], and which ones (B, S)."""
    special = torch.isin(rows, torch.tensor(sorted(tokenizer.all_special_ids)))
    chosen = (torch.rand(rows.shape, generator=generator) < MASKED) & ~special
    if tokenizer.mask_token_id is None:
        return rows, chosen
    return rows.masked_fill(chosen, tokenizer.mask_token_id), chosen


def heal(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    rows: torch.Tensor,
    tokenizer: PreTrainedTokenizerBase,
    options: Healing,
    *,
    notify: Callable[[str], None] = lambda line: None,
) -> list[float]:
    """Train `student` in place towards the hidden states and predictions of `teacher`; return the losses.

    Where the student has room for longer sequences, every other batch stands at a random place of its range, so that
    new positions learn to mean what the old ones meant.
    """
    generator = torch.Generator().manual_seed(options.seed)
    optimizer = torch.optim.AdamW(student.parameters(), lr=options.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, options.steps))
    room = student.config.max_position_embeddings - rows.shape[1]
    student.train()
    for module in student.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # the teacher is a fixed target; noise would only blur it
    for layer in student.base_model.layers:
        layer.attention.attention_dropout = 0.0
    losses, started = [], time.perf_counter()
    for step in range(options.steps):
        picked = rows[torch.randint(len(rows), (options.batch_size,), generator=generator)]
        masked, chosen = mask_rows(picked, tokenizer, generator)
        shift = int(torch.randint(room + 1, (1,), generator=generator)) if room > 0 and step % 2 else 0
        positions = (torch.arange(rows.shape[1]) + shift)[None]
        with torch.no_grad():
            wanted = teacher(masked, output_hidden_states=True)
        made = student(masked, position_ids=positions, output_hidden_states=True)
        loss = _loss(made, wanted, chosen)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 20 == 19 or step + 1 == options.steps:
            left = (time.perf_counter() - started) / (step + 1) * (options.steps - step - 1)
            notify(f"healing: step {step + 1} of {options.steps}, loss {losses[-1]:.4f}, {left:.0f} s left")
    student.eval()
    return losses


def _loss(made, wanted, chosen: torch.Tensor) -> torch.Tensor:
    """Squared error of the last hidden states, and the divergence of the predictions at masked tokens."""
    theirs = wanted.hidden_states[-1]
    loss = (made.hidden_states[-1] - theirs).square().mean() / theirs.square().mean()
    logits, target = _scores(made), _scores(wanted)
    if logits is not None and chosen.any():
        log_p, log_q = (x[chosen].float().log_softmax(dim=-1) for x in (target, logits))
        loss = loss + (log_p.exp() * (log_p - log_q)).sum(dim=-1).mean()
    return loss


def _scores(outputs) -> torch.Tensor | None:
    """Return logits over the vocabulary (B, S, V), None for a model that predicts no tokens."""
    found = outputs.get("prediction_logits", outputs.get("logits"))
    return found if found is not None and found.dim() == 3 else None


def _rate(step: int, steps: int) -> float:
    warm = max(1, steps // 10)
    return min((step + 1) / warm, max(0.0, (steps - step) / max(1, steps - warm)))


@torch.no_grad()
def measure(
    model: PreTrainedModel, teacher: PreTrainedModel | None, rows: torch.Tensor, tokenizer: PreTrainedTokenizerBase
) -> dict[str, float]:
    """Return the accuracy on masked tokens of (B, S) rows, and how the model's mean states agree with the teacher's.

    `similarity_correlation` is the rank correlation (Spearman) of the cosines of all pairs of mean states.
    """
    generator = torch.Generator().manual_seed(1)
    right = total = 0
    states, theirs = [], []
    model.eval()
    for part in rows.split(16):
        masked, chosen = mask_rows(part, tokenizer, generator)
        scores = _scores(model(masked))
        if scores is not None and tokenizer.mask_token_id is not None:
            right += int((scores[chosen].argmax(dim=-1) == part[chosen]).sum())
            total += int(chosen.sum())
        states.append(model.base_model(part).last_hidden_state.mean(dim=1))
        if teacher is not None:
            theirs.append(teacher.base_model(part).last_hidden_state.mean(dim=1))
    figures = {"mlm_accuracy": right / total} if total else {}
    if teacher is not None and len(rows) > 2:
        figures["similarity_correlation"] = _spearman(_cosines(torch.cat(states)), _cosines(torch.cat(theirs)))
    return figures


def _cosines(states: torch.Tensor) -> torch.Tensor:
    normed = nn.functional.normalize(states.float(), dim=-1)
    upper = torch.triu_indices(len(states), len(states), offset=1)
    return (normed @ normed.T)[upper[0], upper[1]]


def _spearman(first: torch.Tensor, second: torch.Tensor) -> float:
    ranks = [values.argsort().argsort().double() for values in (first, second)]
    return float(torch.corrcoef(torch.stack(ranks))[0, 1])
