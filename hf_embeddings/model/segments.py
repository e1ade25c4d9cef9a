"""Sentences of a row: where each token stands in its own, and how many came before.

Shapes: B batch, S sequence.
"""

import torch

from .documents import Documents, run_starts
from .positions import Positions


def find_segments(
    position: Positions,
    position_ids: torch.Tensor,
    *,
    shape: tuple[int, int],
    input_ids: torch.Tensor | None,
    token_type_ids: torch.Tensor | None,
    attention_mask: torch.Tensor | None,
    documents: Documents | None = None,
) -> torch.Tensor | None:
    """Return (B, S, 2): the position of each token in its sentence, and the number of the sentence in its row.

    None where no position type asks. A sentence begins with a document, where the segment id changes, and after a
    separator; padding is passed over, whatever it holds.

    Raises:
        ValueError: there are separators to look for, and no ids to find them in.
    """
    if not position.segmented:
        return None
    if position.separators and input_ids is None:
        raise ValueError(
            f"inputs_embeds: given, but {'+'.join(position)!r} finds sentences by their separators; give input_ids"
        )
    positions = position_ids.expand(shape)
    real = torch.ones_like(positions, dtype=torch.bool)
    if attention_mask is not None and attention_mask.dim() == 2:
        real = attention_mask.to(positions.device) != 0
    count = real.long().cumsum(dim=1)
    before = run_starts(count).roll(1, dims=1)  # the token before that is no padding; of the first one, any
    begins = (count == 1) | (positions <= positions.gather(1, before))
    for values in (token_type_ids, None if documents is None else documents.ids):
        if values is not None:
            begins = begins | (values != values.gather(1, before))
    if position.separators and input_ids is not None:
        # Compared one by one: exporters have no `isin`, and separators are few.
        ends = (input_ids[..., None] == torch.tensor(position.separators, device=input_ids.device)).any(dim=-1)
        begins = begins | ends.gather(1, before)
    numbers = (begins & real).long().cumsum(dim=1)
    inside = positions - positions.gather(1, run_starts(numbers))
    return torch.stack((inside, numbers), dim=-1)
