"""What a changed model has kept of its source: accuracy on masked tokens, and which texts it holds for alike.

Shapes: B batch, S sequence, R text tokens in a row, N tokens of text, D hidden.
"""

from typing import Any

import torch
from torch import nn

from hf_embeddings.conversion.surgery.distillation import Frame, mask, states_of, windows_of
from hf_embeddings.model.modeling_triembed import TriEmbedPreTrainedModel

BATCH = 2048  # tokens
MOST_ROWS = 1024  # whose similarities are compared


@torch.no_grad()
def measure_retention(
    model: TriEmbedPreTrainedModel,
    teacher: TriEmbedPreTrainedModel | None,
    text: torch.Tensor,
    frame: Frame,
    length: int,
) -> dict[str, float]:
    """Measure on rows of `length` tokens.

    Args:
        model: the model.
        teacher: whose similarities to compare with; it reads in windows what is too long for it. None compares none.
        text: (N,) token ids; the same ones are masked at any length.
        frame: what stands around the text of a row.
        length: tokens in a row.

    Returns:
        mlm_accuracy: share of the masked tokens that the model finds; only with a prediction head.
        mlm_accuracy_margin: half of its 95 % confidence interval.
        similarity_correlation: rank correlation (Spearman) of the cosines of all pairs of rows, as mean hidden states,
            with the teacher's.
    """
    model.eval()
    head: Any = getattr(model, "predictions", None)
    masked_text, is_chosen = mask(text, frame, torch.Generator().manual_seed(1))
    windows = 1 if teacher is None else windows_of(teacher, frame, length - frame.size)
    room = (length - frame.size) // windows * windows
    right = total = 0
    means, theirs = [], []
    rows = (cut_rows(tokens, room).split(max(1, BATCH // length)) for tokens in (text, masked_text, is_chosen))
    for plain, masked_rows, hits in zip(*rows, strict=True):
        if head is not None and frame.mask is not None:
            scores = head(states_of(model, masked_rows, frame)[-1], frame.places(hits))
            right += int((scores.argmax(dim=-1) == plain[hits]).sum())
            total += len(scores)
        if teacher is not None:
            means.append(states_of(model, plain, frame)[-1].mean(dim=1))
            theirs.append(states_of(teacher, plain, frame, windows)[-1].mean(dim=1))
    figures = {}
    if total:
        accuracy = right / total
        figures = {"mlm_accuracy": accuracy, "mlm_accuracy_margin": 1.96 * (accuracy * (1 - accuracy) / total) ** 0.5}
    if teacher is not None and sum(map(len, means)) > 2:
        ours, reference = (_cosines(torch.cat(vectors)[:MOST_ROWS]) for vectors in (means, theirs))
        figures["similarity_correlation"] = _spearman(ours, reference)
    return figures


def share_kept(figures: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return, for each model but "source" and each length, what it has kept.

    That is its accuracy on masked tokens over the source's, at the same length or, where the source does not reach it,
    at the source's longest; for a model that predicts no tokens, the correlation of its similarities with the source's.
    """
    own = figures.get("source", {})

    def share(length: str, measures: dict[str, float]) -> float:
        reference = own.get(length) or own[max(own, key=int)]
        if "mlm_accuracy" in measures:
            return measures["mlm_accuracy"] / max(reference["mlm_accuracy"], 1e-9)
        return measures["similarity_correlation"]

    return {
        model: {length: share(length, measures) for length, measures in lengths.items() if measures}
        for model, lengths in figures.items()
        if model != "source"
    }


def cut_rows(text: torch.Tensor, room: int) -> torch.Tensor:
    """Cut (N,) into whole rows (B, R); the rest is left out."""
    return text[: len(text) // room * room].view(-1, room)


def _cosines(states: torch.Tensor) -> torch.Tensor:
    unit_states = nn.functional.normalize(states.float(), dim=-1)
    upper = torch.triu_indices(len(states), len(states), offset=1)
    return (unit_states @ unit_states.T)[upper[0], upper[1]]


def _spearman(first: torch.Tensor, second: torch.Tensor) -> float:
    ranks = [values.argsort().argsort().double() for values in (first, second)]
    return float(torch.corrcoef(torch.stack(ranks))[0, 1])
