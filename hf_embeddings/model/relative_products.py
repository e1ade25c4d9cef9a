"""Products of a token with the vector of its distance to every other token.

Shapes: B batch, S sequence, H heads, K head width, R rows of a relative table.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.autograd.function import FunctionCtx

from .position_signal import offsets
from .recording import gradients_of, is_traced, is_transformed


class RelativeRows(NamedTuple):
    """Which row of a relative table belongs to each pair of tokens."""

    of_pairs: torch.Tensor | None  # (1|B, S, S) by the first token and the second
    of_offsets: (
        torch.Tensor | None
    )  # (2S - 1,) by the second minus the first, from 1 - S on, where positions count by one


BY_OFFSET = RelativeRows(None, None)  # of a table that has a row for each offset, in the order of `of_offsets`


def relative_rows(position_ids: torch.Tensor, number: Callable[[torch.Tensor], torch.Tensor]) -> RelativeRows:
    """Number the distances, query minus key, between (1|B, S) positions."""
    if _counts_by_one(position_ids):
        length = position_ids.shape[1]
        return RelativeRows(None, number(torch.arange(length - 1, -length, -1, device=position_ids.device)))
    return RelativeRows(number(-offsets(position_ids)), None)


def relative_products(
    query: torch.Tensor,
    key: torch.Tensor,
    rows: RelativeRows,
    *,
    query_table: torch.Tensor | None = None,
    key_table: torch.Tensor | None = None,
) -> torch.Tensor:
    """Add up what query and key make of the distance between them.

    Args:
        query: (B, H, S, K).
        key: (B, H, S, K).
        rows: of the tables, by query and key.
        query_table: (1|H, R, K) vectors that the query is multiplied with.
        key_table: (1|H, R, K) vectors that the key is multiplied with.

    Returns:
        (B, H, S, S), by query and key.
    """
    tables = [None if table is None else table.to(query.dtype) for table in (query_table, key_table)]
    if rows is BY_OFFSET:
        return _ByOffset.apply(query, key, tables[0], None if tables[1] is None else tables[1].flip(1))
    if rows.of_offsets is not None:
        order = (rows.of_offsets, rows.of_offsets.flip(0))
        by_offset = (None if t is None else t.index_select(1, o) for t, o in zip(tables, order, strict=True))
        return _ByOffset.apply(query, key, *by_offset)
    assert rows.of_pairs is not None, "the other way to number rows"
    of_query = None if tables[0] is None else _picked(query, tables[0], rows.of_pairs)
    if tables[1] is None:
        assert of_query is not None, "one of the tables is given"
        return of_query
    of_key = _picked(key, tables[1], rows.of_pairs.transpose(-1, -2)).transpose(-1, -2)
    return of_key if of_query is None else of_query + of_key


def _picked(states: torch.Tensor, table: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
    products = states @ table.transpose(-1, -2)  # (B, H, S, R)
    return products.gather(-1, pairs[:, None].expand(*states.shape[:2], -1, -1))


def _counts_by_one(position_ids: torch.Tensor) -> bool:
    # On other devices the question would cost more than the answer saves.
    if position_ids.device.type != "cpu" or position_ids.shape[0] > 1:
        return False
    if is_traced() or is_transformed():
        return False
    return bool((position_ids.diff() == 1).all())


def _skew(products: torch.Tensor, length: int) -> torch.Tensor:
    """View (H, T, S + T - 1) products of T tokens by offset as (H, T, S), by the other token."""
    heads, rows, width = products.shape
    return products.as_strided((heads, rows, length), (rows * width, width - 1, 1), rows - 1)


def _blocks(length: int) -> list[tuple[slice, slice]]:
    """Cut S tokens into blocks, each with the offsets that its tokens meet: less to compute, all of it in the cache."""
    step = min(length, 128 if length >= 512 else 64)
    firsts = range(0, length, step)
    sizes = [min(step, length - first) for first in firsts]
    starts = [length - size - first for size, first in zip(sizes, firsts, strict=True)]
    return [
        (slice(first, first + size), slice(start, start + length + size - 1))
        for first, size, start in zip(firsts, sizes, starts, strict=True)
    ]


class _ByOffsetContext(FunctionCtx):
    saved_tensors: tuple[torch.Tensor, ...]


class _ByOffset(torch.autograd.Function):
    """Products with (1|H, 2S - 1, K) vectors by offset, in blocks: nothing larger than the scores is ever held."""

    @staticmethod
    def forward(
        ctx: _ByOffsetContext,
        query: torch.Tensor,
        key: torch.Tensor,
        query_table: torch.Tensor | None,
        key_table: torch.Tensor | None,
    ) -> torch.Tensor:
        ctx.save_for_backward(query, key, query_table, key_table)  # type: ignore[arg-type]  # None is allowed
        batch, heads, length, _ = query.shape
        scores = query.new_empty(batch, heads, length, length)
        for b in range(batch):
            for block, span in _blocks(length):
                if query_table is not None:
                    products = query[b, :, block] @ query_table[:, span].transpose(1, 2)
                    scores[b, :, block] = _skew(products, length)
            for block, span in _blocks(length):
                if key_table is not None:
                    products = _skew(key[b, :, block] @ key_table[:, span].transpose(1, 2), length)
                    target = scores[b, :, :, block].transpose(1, 2)
                    target.copy_(products) if query_table is None else target.add_(products)
        return scores

    @staticmethod
    def backward(ctx: _ByOffsetContext, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, query_table, key_table = ctx.saved_tensors
        if torch.is_grad_enabled():
            scores = _plainly(query, key, query_table, key_table)
            return gradients_of(scores, (query, key, query_table, key_table), gradient)
        of_query, of_query_table = _gradients(gradient, query, query_table)
        of_key, of_key_table = _gradients(gradient.transpose(-1, -2), key, key_table)
        return of_query, of_key, of_query_table, of_key_table


def _plainly(
    query: torch.Tensor, key: torch.Tensor, query_table: torch.Tensor | None, key_table: torch.Tensor | None
) -> torch.Tensor:
    """Return what `_ByOffset` computes, in plain operations."""
    index = torch.arange(query.shape[2], device=query.device)
    pairs = (index - index[:, None] + len(index) - 1)[None]  # (1, S, S) rows by the other token
    of_query = None if query_table is None else _picked(query, query_table, pairs)
    of_key = None if key_table is None else _picked(key, key_table, pairs).transpose(-1, -2)
    scores = of_query if of_key is None else of_key if of_query is None else of_query + of_key
    assert scores is not None, "one of the tables is given"
    return scores


def _gradients(
    gradient: torch.Tensor, states: torch.Tensor, table: torch.Tensor | None
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Return the gradients of (B, H, S, K) states and their table, given that of their products (B, H, S, S)."""
    if table is None:
        return None, None
    batch, heads, length, width = states.shape
    of_states, of_table = torch.empty_like(states), torch.zeros_like(table)
    for block, span in _blocks(length):
        rows = block.stop - block.start
        products = states.new_zeros(heads, rows, length + rows - 1)
        for b in range(batch):
            _skew(products, length).copy_(gradient[b, :, block])  # all else stays 0
            of_states[b, :, block] = products @ table[:, span]
            own = states[b, :, block]
            if table.shape[0] == 1:
                of_table[0, span].addmm_(products.flatten(0, 1).T, own.reshape(heads * rows, width))
            else:
                of_table[:, span].baddbmm_(products.transpose(1, 2), own)
    return of_states, of_table
