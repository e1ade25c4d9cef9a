"""Documents packed into one row: where they start and end.

Shapes: B batch, S sequence.
"""

import torch


def document_ids(position_ids: torch.Tensor) -> torch.Tensor:
    """Number the documents of each row of (B, S) position ids, which restart where a document does.

    A document ends where the next position is not larger, so a document may start at any number and skip some.
    """
    restarts = position_ids[:, 1:] <= position_ids[:, :-1]
    return torch.nn.functional.pad(restarts.long().cumsum(dim=1), (1, 0))


def document_ends(position_ids: torch.Tensor) -> torch.Tensor:
    """Give each token the last position of its document, (B, S)."""
    numbers = document_ids(position_ids)
    ends = torch.zeros_like(position_ids).scatter_reduce(1, numbers, position_ids, reduce="amax")
    return ends.gather(1, numbers)
