"""Positions of the tokens: given, or counted from the first token that is not padding.

Shapes: B batch, S sequence.
"""

import torch

from .documents import Documents
from .positions import Positions


def place(
    position: Positions,
    shape: tuple[int, int],
    position_ids: torch.Tensor | None,
    attention_mask: torch.Tensor | None,
    documents: Documents | None,
    device: torch.device,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (1|B, S) positions for the types that say something of each token, and for those of each pair.

    Raises:
        ValueError: a position past the end of a trained table.
    """
    if position_ids is None and documents is not None:
        position_ids = documents.positions()
    if position_ids is None:
        per_token, per_pair = (
            _count(position, shape[1], attention_mask, device, pairwise=pairwise) for pairwise in (False, True)
        )
    else:
        per_token = per_pair = position_ids
    _check_length(position, per_token, per_pair)
    return per_token, per_pair


def _count(
    position: Positions, length: int, attention_mask: torch.Tensor | None, device: torch.device, *, pairwise: bool
) -> torch.Tensor:
    """Number the tokens of each row from the first that is not padding, so that left padding changes nothing."""
    positions = torch.arange(length, device=device)[None]
    # Types that see differences only keep one row for the whole batch: their bias is then not copied B times.
    if not position.absolute(pairwise=pairwise) or attention_mask is None or attention_mask.dim() != 2:
        return positions
    real = (attention_mask.to(device) != 0).long()
    first = real.argmax(dim=-1, keepdim=True)  # (B, 1)
    last = length - 1 - real.flip(-1).argmax(dim=-1, keepdim=True)
    positions = (positions - first).clamp(min=0)
    return torch.minimum(positions, last - first) if position.length_dependent else positions


def _check_length(position: Positions, *position_ids: torch.Tensor) -> None:
    limit = position.length_limit
    if limit is None or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return
    furthest = max(int(ids.max()) for ids in position_ids)
    if furthest >= limit:
        raise ValueError(
            f"input of {furthest + 1} tokens: {'+'.join(position)} positions end at max_position_embeddings {limit}; "
            "truncate the input, or call resize_position_embeddings"
        )
