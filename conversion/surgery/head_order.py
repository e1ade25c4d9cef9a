"""An order of attention heads that leaves every output as it is, and gives new positions a better start.

Shapes: S sequence, D hidden, H heads, N layers.
"""

import torch

from hf_embeddings.model.modeling_triembed import TriEmbedModel

ROUNDS = 5  # of ordering the heads of all layers and taking their mean


@torch.no_grad()
def align_heads(encoder: TriEmbedModel, profile: torch.Tensor, target_bias: torch.Tensor | None = None) -> torch.Tensor:
    """Order the heads of each layer so that layers agree about which head looks where, as one bias for all wants it.

    Args:
        encoder: the model to change.
        profile: of its attention by distance, (N, H, 2 S - 1); see `attention_profile`.
        target_bias: the bias by distance (H, 2 S - 1) that each head should come near; None: the mean over the layers.

    Returns:
        The profile in the new order.
    """
    reach = profile.shape[2] // 2
    pairs = reach + 1 - torch.arange(-reach, reach + 1).abs()  # how many pairs of tokens stand at each distance
    order = torch.arange(profile.shape[1]).repeat(len(profile), 1)  # (N, H)
    for _ in range(1 if target_bias is not None else ROUNDS):
        aligned_profile = profile.gather(1, order[..., None].expand_as(profile))
        target = _centred(aligned_profile.mean(dim=0) if target_bias is None else target_bias, pairs)
        for layer, heads in zip(order, _centred(profile, pairs), strict=True):
            costs = ((target[:, None] - heads[None]).square() * pairs).sum(dim=-1)  # (H, H): place, head
            layer.copy_(_assign(costs, layer))
    for layer, heads in zip(encoder.layers, order, strict=True):
        attention = layer.attention
        for linear in (attention.query, attention.key, attention.value):
            for parameter in linear.parameters():
                parameter.copy_(parameter.unflatten(0, (len(heads), -1))[heads].flatten(0, 1))
        attention.out.weight.copy_(attention.out.weight.unflatten(1, (len(heads), -1))[:, heads].flatten(1, 2))
    return profile.gather(1, order[..., None].expand_as(profile))


def _centred(profile: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
    return profile - (profile * pairs).sum(dim=-1, keepdim=True) / pairs.sum()


def _assign(costs: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """Return which head (H,) to put into each place; swaps two as long as that lowers the sum of the (H, H) costs."""
    order = start.clone()
    while True:
        table = costs[:, order]  # (H, H): what each place would cost with the head of each place
        own = table.diagonal()
        gain = own[:, None] + own[None] - table - table.T
        best = int(gain.argmax())
        if not gain.flatten()[best] > 1e-6 * costs.max():  # where a cost is NaN, nothing is gained
            return order
        pair = torch.tensor((best // len(start), best % len(start)))
        order[pair] = order[pair.flip(0)]
