"""Products of a token with the vector of its distance to every other token.

Shapes: B batch, S sequence, H heads, K head width, R rows of a relative table.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.autograd.function import once_differentiable

from .position_signal import offsets


class RelativeRows(NamedTuple):
    """Which row of a relative table belongs to each pair of tokens."""

    of_pairs: torch.Tensor | None  # (1|B, S, S) by the first token and the second
    of_offsets: (
        torch.Tensor | None
    )  # (2S - 1,) by the second minus the first, from 1 - S on, where positions count by one

    def transposed(self) -> "RelativeRows":
        """Swap the tokens of each pair."""
        if self.of_pairs is not None:
            return RelativeRows(self.of_pairs.transpose(-1, -2), None)
        return RelativeRows(None, self.of_offsets.flip(0))


def relative_rows(position_ids: torch.Tensor, number: Callable[[torch.Tensor], torch.Tensor]) -> RelativeRows:
    """Number the distances, query minus key, between (1|B, S) positions."""
    if _counts_by_one(position_ids):
        length = position_ids.shape[1]
        return RelativeRows(None, number(torch.arange(length - 1, -length, -1, device=position_ids.device)))
    return RelativeRows(number(-offsets(position_ids)), None)


def relative_products(states: torch.Tensor, table: torch.Tensor, rows: RelativeRows) -> torch.Tensor:
    """Multiply each of (B, H, S, K) states with the row of (1|H, R, K) for each other token: (B, H, S, S)."""
    table = table.to(states.dtype)
    if rows.of_offsets is not None:
        return _Skewed.apply(states, table.index_select(1, rows.of_offsets))
    products = states @ table.transpose(-1, -2)  # (B, H, S, R)
    return products.gather(-1, rows.of_pairs[:, None].expand(*states.shape[:2], -1, -1))


def _counts_by_one(position_ids: torch.Tensor) -> bool:
    # On other devices the question would cost more than the answer saves.
    if position_ids.device.type != "cpu" or position_ids.shape[0] > 1:
        return False
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    return bool((position_ids.diff() == 1).all())


def _skew(products: torch.Tensor) -> torch.Tensor:
    """View (H, S, 2S - 1) products by offset as (H, S, S) by second token: row i starts at offset -i."""
    heads, length, width = products.shape
    return products.as_strided((heads, length, length), (length * width, max(width - 1, 1), 1), length - 1)


class _Skewed(torch.autograd.Function):
    """Products by offset, one row of the batch at a time, so that nothing of twice the size of the scores is kept."""

    @staticmethod
    def forward(ctx, states, table):
        ctx.save_for_backward(states, table)
        batch, heads, length, _ = states.shape
        found = states.new_empty(batch, heads, length, length)
        by_offset = states.new_empty(heads, length, 2 * length - 1)
        columns = table.transpose(1, 2).expand(heads, -1, -1)
        for b in range(batch):
            torch.bmm(states[b], columns, out=by_offset)
            found[b] = _skew(by_offset)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        states, table = ctx.saved_tensors
        batch, heads, length, _ = states.shape
        of_states, of_table = torch.empty_like(states), torch.zeros_like(table)
        by_offset = states.new_zeros(heads, length, 2 * length - 1)
        for b in range(batch):
            _skew(by_offset).copy_(gradient[b])  # all else stays 0
            of_states[b] = by_offset @ table
            if table.shape[0] == 1:
                of_table[0].addmm_(by_offset.flatten(0, 1).T, states[b].reshape(heads * length, -1))
            else:
                of_table.baddbmm_(by_offset.transpose(1, 2), states[b])
        return of_states, of_table
