"""From hidden states of tokens to one vector for each text.

Shapes: T tokens of all texts in a row, N texts, D hidden.
"""

from collections.abc import Callable

import torch

Pooling = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def mean(hidden: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Average the tokens (T, D) of each text, in fp32; `lengths` (N,) says how many belong to each. Returns (N, D)."""
    texts = torch.repeat_interleave(torch.arange(len(lengths), device=hidden.device), lengths)  # (T,)
    sums = hidden.new_zeros(len(lengths), hidden.shape[1], dtype=torch.float32).index_add_(0, texts, hidden.float())
    return sums / lengths.clamp(min=1)[:, None]  # a text without tokens is zero


def cls(hidden: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Take the first token of each text: (T, D) to (N, D)."""
    return hidden[lengths.cumsum(0) - lengths].float()


def maximum(hidden: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Take the largest value of each feature over the tokens of each text: (T, D) to (N, D)."""
    texts = torch.repeat_interleave(torch.arange(len(lengths), device=hidden.device), lengths)
    empty = hidden.new_full((len(lengths), hidden.shape[1]), -torch.inf, dtype=torch.float32)
    return empty.scatter_reduce_(0, texts[:, None].expand_as(hidden), hidden.float(), "amax")


def without_prompts(
    hidden: torch.Tensor, lengths: torch.Tensor, prompt_tokens: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Leave the first `prompt_tokens` (N,) tokens of each text out of (T, D) and (N,), but for its last token."""
    starts = lengths.cumsum(0) - lengths
    place = torch.arange(len(hidden), device=hidden.device) - torch.repeat_interleave(starts, lengths)
    left_out = torch.minimum(lengths - 1, prompt_tokens)
    return hidden[place >= torch.repeat_interleave(left_out, lengths)], lengths - left_out


POOLINGS: dict[str, Pooling] = {"mean": mean, "cls": cls, "max": maximum}
