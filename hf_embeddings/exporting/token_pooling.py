"""From hidden states in padded rows to one vector for each text, in operations that ONNX has.

Shapes: B batch, S sequence, D hidden.
"""

from collections.abc import Callable

import torch

Pooling = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def cls(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Take the first token that is no padding: (B, S, D) and (B, S) to (B, D)."""
    return _take(hidden, mask.float().argmax(dim=1))  # of the first of equal ones; ONNX Runtime has none for int64


def last(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Take the last token that is no padding."""
    places = torch.arange(1, hidden.shape[1] + 1, device=hidden.device)
    return _take(hidden, (mask * places).float().argmax(dim=1))


def maximum(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Take the largest value of each feature."""
    return hidden.masked_fill(mask[..., None] == 0, -torch.inf).amax(dim=1)


def mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Average the tokens."""
    return _weighted(hidden, mask.to(hidden.dtype))


def mean_by_root(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Divide the sum of the tokens by the root of their number."""
    weights = mask[..., None].to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9).sqrt()


def weighted_mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Average the tokens, each weighted by its place, from 1 at the first that is no padding."""
    places = torch.arange(1, hidden.shape[1] + 1, device=hidden.device) - mask.float().argmax(dim=1)[:, None]
    return _weighted(hidden, (mask * places).to(hidden.dtype))


def _weighted(hidden: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    weights = weights[..., None]
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)


def _take(hidden: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    return hidden.gather(1, places[:, None, None].expand(-1, 1, hidden.shape[2])).squeeze(1)


# By their names in sentence-transformers, in the order in which it joins the vectors of several.
POOLINGS: dict[str, Pooling] = {
    "cls": cls,
    "max": maximum,
    "mean": mean,
    "mean_sqrt_len_tokens": mean_by_root,
    "weightedmean": weighted_mean,
    "lasttoken": last,
}
