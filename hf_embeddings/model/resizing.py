"""Position tables of another length.

Shapes: R rows, W width.
"""

import torch
from torch import nn

WAYS = ("interpolate", "extend", "truncate")


def resized(table: nn.Embedding, rows: int, *, how: str, fixed_rows: int = 0, centred: bool = False) -> nn.Embedding:
    """Return a table of `rows` rows made from the rows of another.

    Args:
        table: (R, W).
        rows: of the new table, `fixed_rows` ones included.
        how: "interpolate" stretches or shrinks the table, its end points stay; "extend" keeps all rows and repeats them
            after their end (Longformer, https://arxiv.org/abs/2004.05150); "truncate" keeps the first.
        fixed_rows: rows at the start that belong to no position and stay.
        centred: rows are distances from -n to n: "extend" repeats the outermost on both sides, as distances beyond them
            are clipped anyway, and "truncate" keeps the inner ones.
    """
    if type(table) is not nn.Embedding or table.weight.is_meta:
        raise ValueError(
            f"resize_position_embeddings: a position table is {type(table).__name__}"
            f"{' without its weights (offloaded)' if isinstance(table, nn.Embedding) else ''}, expected Embedding; "
            "resize before adapters, quantization or offloading, or merge the adapter first"
        )
    weight = table.weight.detach()
    head, body = weight[:fixed_rows], weight[fixed_rows:]
    new, old = rows - fixed_rows, len(body)
    index = torch.arange(new, device=weight.device)
    if how == "interpolate":
        place = index.double() * ((old - 1) / max(new - 1, 1))
        lower = place.floor().long().clamp(max=old - 1)
        part = (place - lower)[:, None].to(torch.promote_types(weight.dtype, torch.float32))
        body = torch.lerp(body[lower].to(part.dtype), body[(lower + 1).clamp(max=old - 1)].to(part.dtype), part)
    elif centred:
        body = body[(index + (old - new) // 2).clamp(0, old - 1)]
    else:
        body = body[index % old]
    new_table = nn.Embedding(rows, weight.shape[1], device=weight.device, dtype=weight.dtype)
    new_table.weight = nn.Parameter(torch.cat((head, body.to(weight.dtype))), requires_grad=table.weight.requires_grad)
    return new_table


def check_resize(old: int, new: int, how: str) -> None:
    """Raise ValueError where `how` cannot lead from `old` to `new` positions."""
    if how not in WAYS:
        raise ValueError(f"how: got {how!r}, expected one of {', '.join(WAYS)}")
    if new < 1 or (how == "extend" and new < old) or (how == "truncate" and new > old):
        bounds = {"extend": f"at least {old}", "truncate": f"1 to {old}", "interpolate": "at least 1"}[how]
        raise ValueError(f"new_num_position_embeddings: got {new} for how={how!r}, expected {bounds}")
