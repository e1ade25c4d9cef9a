"""Documents packed into one row: where they start and end.

Shapes: B batch, S sequence, N documents.
"""

from typing import Any, NamedTuple

import torch

from .recording import is_traced


class Documents(NamedTuple):
    """The documents of B * S flattened tokens, in order and without gaps."""

    ids: torch.Tensor  # (B, S) the number of each token's document
    lengths: list[int] | None  # N; None where they could not be looked up

    def starts(self) -> torch.Tensor:
        """Return the flattened index of each document's first token, (N,)."""
        return self.boundaries()[:-1]

    def boundaries(self) -> torch.Tensor:
        """Return (N + 1,) cumulative lengths, from 0 to B * S: the `cu_seq_lens` of transformers."""
        assert self.lengths is not None, "known wherever documents are packed"
        lengths = torch.tensor([0, *self.lengths], device=self.ids.device)
        return lengths.cumsum(dim=0)

    def positions(self) -> torch.Tensor:
        """Number the tokens of each document from 0, (B, S)."""
        index = torch.arange(self.ids.numel(), device=self.ids.device).view_as(self.ids)
        return index - self.starts()[self.ids]

    def flash_arguments(self) -> dict[str, object]:
        """Return the boundaries as the flash attention of transformers wants them."""
        assert self.lengths is not None, "known wherever documents are packed"
        boundaries, longest = self.boundaries().to(torch.int32), max(self.lengths)
        names = ("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k")
        return dict(zip(names, (boundaries, boundaries, longest, longest), strict=True))


def take_boundaries(arguments: dict[str, Any]) -> tuple[torch.Tensor | None, dict[str, Any]]:
    """Take the boundaries of packed documents out of the arguments of a model, in transformers' words for them."""
    query, key = arguments.get("cu_seq_lens_q"), arguments.get("cu_seq_lens_k")
    if key is not None and (query is None or not torch.equal(query, key)):
        raise ValueError("cu_seq_lens_k: differs from cu_seq_lens_q; documents attend to themselves, so give the same")
    names = ("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k")
    return query, {name: value for name, value in arguments.items() if name not in names}


def find_documents(
    shape: tuple[int, int],
    position_ids: torch.Tensor | None,
    attention_mask: torch.Tensor | None,
    boundaries: torch.Tensor | None,
) -> Documents | None:
    """Return the documents packed in (B, S) tokens, by boundaries or else by restarting positions.

    Returns:
        None where each row is one document, and where a 4D mask says by itself who sees whom.
    """
    if boundaries is not None:
        if attention_mask is not None:
            raise ValueError("attention_mask: given with cu_seq_lens_q, but packed rows hold no padding; leave it out")
        return documents_at(boundaries, shape)
    if position_ids is None or (attention_mask is not None and attention_mask.dim() != 2):
        return None
    return _restarting_documents(position_ids, attention_mask, shape[0])


def documents_at(boundaries: torch.Tensor, shape: tuple[int, int]) -> Documents:
    """Return the documents between (N + 1,) boundaries, the `cu_seq_lens` of transformers, in (B, S) tokens.

    Raises:
        ValueError: the boundaries do not rise from 0 to B * S.
    """
    bounds, total = boundaries.tolist(), shape[0] * shape[1]
    lengths = [end - start for start, end in zip(bounds, bounds[1:], strict=False)]
    if bounds[:1] != [0] or bounds[-1] != total or min(lengths, default=0) < 1:
        listing = ", ".join(map(str, bounds if len(bounds) < 6 else [*bounds[:3], "...", bounds[-1]]))
        raise ValueError(
            f"cu_seq_lens_q: got [{listing}], expected the boundaries of documents, rising from 0 to the "
            f"number of tokens, {total}"
        )
    numbers = torch.arange(len(lengths), device=boundaries.device)
    return Documents(numbers.repeat_interleave(boundaries.diff()).view(shape), lengths)


def _restarting_documents(
    position_ids: torch.Tensor, attention_mask: torch.Tensor | None, batch: int
) -> Documents | None:
    """Return the documents that (1|B, S) restarting positions show; None where each row is one document.

    A restart between padding does not count. While the model is traced nothing can be looked up: `lengths` is None.
    """
    restarts = restarting(position_ids).expand(batch, -1)
    if attention_mask is not None:
        real = attention_mask.to(restarts.device) != 0
        restarts = restarts & real[:, 1:] & real[:, :-1]
    first = torch.cat((torch.ones_like(restarts[:, :1]), restarts), dim=1)
    ids = first.flatten().long().cumsum(dim=0).view_as(first) - 1
    if is_traced():
        return Documents(ids, None)
    if not restarts.any():
        return None
    bounds = [*first.flatten().nonzero().flatten().tolist(), first.numel()]
    return Documents(ids, [end - start for start, end in zip(bounds, bounds[1:], strict=False)])


def restarting(position_ids: torch.Tensor) -> torch.Tensor:
    """Tell for each token but the first of (B, S) position ids whether it starts a document: (B, S - 1) bool.

    It does where its position is not larger than the one before, so documents may start at any number and skip some.
    """
    return position_ids[:, 1:] <= position_ids[:, :-1]


def document_ids(position_ids: torch.Tensor) -> torch.Tensor:
    """Number the documents of each row of (B, S) position ids."""
    return torch.nn.functional.pad(restarting(position_ids).long().cumsum(dim=1), (1, 0))


def document_ends(position_ids: torch.Tensor) -> torch.Tensor:
    """Give each token the last position of its document, (B, S)."""
    numbers = document_ids(position_ids)
    ends = torch.zeros_like(position_ids).scatter_reduce(1, numbers, position_ids, reduce="amax")
    return ends.gather(1, numbers)


def run_starts(numbers: torch.Tensor) -> torch.Tensor:
    """Return the index of the first token that has the same number in its row, (B, S), of numbers that never fall."""
    index = torch.arange(numbers.shape[1], device=numbers.device).expand_as(numbers)
    first = index.new_full((numbers.shape[0], numbers.shape[1] + 1), numbers.shape[1])
    return first.scatter_reduce(1, numbers, index, reduce="amin").gather(1, numbers)
