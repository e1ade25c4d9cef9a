"""Positions of the tokens: given, or counted from the first token that is not padding.

Shapes: B batch, S sequence.
"""

import torch

from .documents import Documents, run_starts
from .positions import PositionParts, Positions
from .recording import is_traced


def place(
    position: Positions,
    parts: tuple[PositionParts, ...],
    *,
    shape: tuple[int, int],
    position_ids: torch.Tensor | None,
    attention_mask: torch.Tensor | None,
    device: torch.device,
    documents: Documents | None = None,
) -> list[torch.Tensor]:
    """Return (1|B, S) positions for each of the parts.

    Raises:
        ValueError: a position past the end of a trained table.
    """
    if position_ids is None and documents is not None:
        position_ids = documents.positions()
    if position_ids is not None:
        positions = [position_ids] * len(parts)
    else:
        plain = torch.arange(shape[1], device=device)[None]
        # Parts that see differences only keep one row for the whole batch: their bias is then not copied B times.
        positions = [_from_first(plain, attention_mask, position) if part.absolute else plain for part in parts]
    positions = [
        _without_padding(ids, attention_mask) if part.counts_tokens else ids
        for ids, part in zip(positions, parts, strict=True)
    ]
    _check_length(position, *positions)
    return positions


def _without_padding(positions: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
    """Give padding in (1|B, S) positions that of the last token before it, so that no step leads to it."""
    if attention_mask is None or attention_mask.dim() != 2:
        return positions
    last = run_starts((attention_mask.to(positions.device) != 0).long().cumsum(dim=1))
    return positions.expand_as(last).gather(1, last)


def _from_first(positions: torch.Tensor, attention_mask: torch.Tensor | None, position: Positions) -> torch.Tensor:
    """Count (1, S) positions of each row from the first token that is not padding, so left padding changes nothing."""
    if attention_mask is None or attention_mask.dim() != 2:
        return positions
    real = (attention_mask.to(positions.device) != 0).long()
    first = real.argmax(dim=-1, keepdim=True)  # (B, 1)
    last = positions.shape[1] - 1 - real.flip(-1).argmax(dim=-1, keepdim=True)
    offsets = (positions - first).clamp(min=0)
    return torch.minimum(offsets, last - first) if position.length_dependent else offsets


def _check_length(position: Positions, *position_ids: torch.Tensor) -> None:
    limit = position.length_limit
    if limit is None or is_traced():
        return
    furthest = max(int(ids.max()) for ids in position_ids)
    if furthest >= limit:
        raise ValueError(
            f"input of {furthest + 1} tokens: {'+'.join(position)} positions end at max_position_embeddings {limit}; "
            "truncate the input, or call resize_position_embeddings"
        )
