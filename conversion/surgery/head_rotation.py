"""How RoPE takes over from other positions: what its turning does least harm to, and what it can imitate.

Shapes: B batch, S sequence, D hidden, H heads, K head width, R rotated dimensions, F free pairs of a head, N layers.
"""

import torch
from torch import nn

from hf_embeddings.model.attention import Attention
from hf_embeddings.model.modeling_triembed import TriEmbedModel

RIDGE = 1e-4  # share of the mean diagonal that is added to it before factorising
TOLERATED = 0.02  # variance of scores that may be cleared away in a head
SMOOTH = 1e-3  # of the fit of a profile, per unit of its weights


@torch.no_grad()
def turn_heads(new: TriEmbedModel, old: TriEmbedModel, profile: torch.Tensor, ids: torch.Tensor) -> None:
    """Let what matters most in query times key stand where RoPE turns least, and draw attention by distance elsewhere.

    Any invertible map T of a head, query to T^-1 query and key to T^T key, leaves their product as it is. The T taken
    here makes both covariances the same diagonal (a balanced realisation), so that each dimension carries a part of
    the score of its own; the largest parts go to the slowest pairs. Before that, the mean key is taken off all keys,
    which changes a row of scores by a constant.

    Most heads are of low rank: what the fast pairs carry then is next to nothing. They are cleared, and constants in
    query and key take their place. Such a pair adds a cos(w d) + b sin(w d) to a score at distance d, so that all of
    them together are a Fourier series, fitted to the source's attention by distance.

    Args:
        new: the model to change, with the weights of the old one.
        old: the model whose positions `new` no longer has.
        profile: of its attention by distance, (N, H, 2 S - 1); see `attention_profile`.
        ids: (B, S) tokens in no order.
    """
    queries, keys = (_outputs(old, name, ids) for name in ("query", "key"))
    signal = new.embeddings.position(torch.arange(ids.shape[1])[None])
    for layer, query, key, layer_profile in zip(new.layers, queries, keys, profile, strict=True):
        attention = layer.attention
        rotation = signal.rotation if attention.sliding_window is None else signal.local_rotation
        if rotation is None:
            continue
        width = attention.head_dim
        query, key = (states.flatten(0, 1).unflatten(1, (-1, width)).double() for states in (query, key))  # (B S, H, K)
        mean = key.mean(dim=0)
        if attention.key.bias is not None:
            attention.key.bias.sub_(mean.flatten())
            key = key - mean
        inverse, forth, weight = _balance(query, key)
        slots = _stillness(rotation[0], width).argsort(descending=True, stable=True)  # dimensions, slowest first
        place = slots.argsort()
        for linear, maps in ((attention.query, inverse[:, place]), (attention.key, forth[:, place])):
            for parameter in linear.parameters():
                per_head = parameter.double().unflatten(0, (-1, width))  # (H, K, ...)
                parameter.copy_(torch.einsum("hkl,hl...->hk...", maps, per_head).flatten(0, 1))
        if attention.query.bias is not None and attention.key.bias is not None:
            variance = (attention.scaling**2 * weight.square())[:, place]  # of scores, by dimension (H, K)
            _draw(attention, layer_profile.double(), variance, rotation, longest=new.config.max_position_embeddings)


def _draw(
    attention: Attention,
    profile: torch.Tensor,
    variance: torch.Tensor,
    rotation: tuple[torch.Tensor, torch.Tensor],
    *,
    longest: int,
) -> None:
    """Clear the pairs of each head that carry nearly nothing, and draw its (2 S - 1,) profile with them instead."""
    cos, sin = (part[0, 1].double() for part in rotation)
    half = len(cos) // 2
    speeds, factor = torch.atan2(sin, cos)[:half], cos.square() + sin.square()  # radians from a token to the next
    known_reach = profile.shape[1] // 2
    reach = min(2 * known_reach, max(known_reach, longest - 1))
    distance = torch.arange(-reach, reach + 1)
    target = profile[:, distance.clamp(-known_reach, known_reach) + known_reach]  # beyond what was seen, as at its edge
    pairs = (known_reach + 1 - distance.abs()).clamp(min=known_reach // 8).double()
    per_pair = variance[:, :half] + variance[:, half : 2 * half]  # (H, R/2)
    for head in range(len(profile)):
        order = per_pair[head].argsort()
        free = order[per_pair[head][order].cumsum(dim=0) <= TOLERATED]
        if not len(free):
            continue
        angles = distance[:, None] * speeds[free]
        waves = torch.cat((torch.ones_like(angles[:, :1]), angles.cos(), angles.sin()), dim=1)  # (2 reach + 1, 1 + 2 F)
        gram = waves.mT @ (waves * pairs[:, None])
        gram.diagonal()[1:] += SMOOTH * pairs.sum()
        coefficients = torch.linalg.solve(gram, waves.mT @ (target[head] * pairs))[1:]
        a, b = (coefficients / (attention.scaling * factor[0])).chunk(2)
        size = (a.square() + b.square()).sqrt().sqrt().clamp(min=1e-6)
        rows = head * attention.head_dim + torch.cat((free, free + half))
        for linear, values in (
            (attention.query, torch.cat((size, torch.zeros_like(size)))),
            (attention.key, torch.cat((a / size, -b / size))),
        ):
            linear.weight[rows] = 0.0
            linear.bias[rows] = values.to(linear.bias.dtype)


def _outputs(encoder: TriEmbedModel, name: str, ids: torch.Tensor) -> list[torch.Tensor]:
    """Return what the projection `name` of each layer makes of (B, S) ids: (B, S, D)."""
    outputs: list[torch.Tensor] = []
    hooks = [
        getattr(layer.attention, name).register_forward_hook(lambda module, inputs, output: outputs.append(output))
        for layer in encoder.layers
    ]
    encoder(ids)
    for hook in hooks:
        hook.remove()
    return outputs


def _balance(query: torch.Tensor, key: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return maps (H, K, K) of query and key that keep their product, and the weight of each row in it, which falls."""
    moments = [torch.einsum("nhk,nhl->hkl", states, states) / len(states) for states in (query, key)]
    eye = torch.eye(query.shape[-1], dtype=query.dtype)
    of_query, of_key = (m + RIDGE * m.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None] * eye for m in moments)
    root = torch.linalg.cholesky(of_query)
    turn, squares, _ = torch.linalg.svd(root.mT @ of_key @ root)
    scale = squares.sqrt().sqrt()  # (H, K)
    forth = root @ turn / scale[:, None]
    return torch.linalg.inv(forth), forth.mT, scale.square()


def _stillness(cos: torch.Tensor, width: int) -> torch.Tensor:
    """Return, for each dimension of a head, the mean cosine of its angle over all pairs of tokens (K,)."""
    length = cos.shape[1]
    pairs = (length - torch.arange(length)).to(cos.dtype)
    mean_cosine = (cos[0] * pairs[:, None]).sum(dim=0) / pairs.sum()
    return nn.functional.pad(mean_cosine, (0, width - len(mean_cosine)), value=1.0)
