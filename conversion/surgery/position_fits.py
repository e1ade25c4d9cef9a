"""Start values for new positions, in closed form or by least squares, from what a model does with its old ones.

Shapes: B batch, S sequence, D hidden, E embedding, H heads, K head width, N layers; d = key position - query position.
"""

import math
from collections.abc import Callable
from typing import Any, cast

import torch

from hf_embeddings.model.modeling_triembed import TriEmbedModel
from hf_embeddings.model.position_biases import AsymmetricAlibiPosition, RelativeBiasPosition
from hf_embeddings.model.position_contents import RelativeKeyScores
from hf_embeddings.model.position_signal import PositionSignal, PositionType

NEWTON_STEPS = 50
SLOPES = (2.0**-9, 4.0)  # the least and the steepest
RIDGE = 1e-2  # share of the mean diagonal that is added to it before solving


@torch.no_grad()
def attention_profile(encoder: TriEmbedModel, ids: torch.Tensor) -> torch.Tensor:
    """Return how attention depends on the distance alone: mean log weight, centred in each row, (N, H, 2S - 1).

    `ids` (B, S) should be tokens in no order, so that only the distance says something, not what stands there.
    """
    implementation = encoder.config._attn_implementation
    encoder.set_attn_implementation("eager")
    weights = encoder(ids, output_attentions=True).attentions
    encoder.set_attn_implementation(implementation)
    length = ids.shape[1]
    places = torch.arange(length)
    distances = (places[None, :] - places[:, None] + length - 1).flatten()  # (S * S,)
    counts = torch.bincount(distances, minlength=2 * length - 1)
    profiles = []
    for layer in weights:
        logs = layer.float().clamp(min=1e-9).log()  # (B, H, S, S)
        centred_logs = (logs - logs.mean(dim=-1, keepdim=True)).mean(dim=0).flatten(1)  # (H, S * S)
        profiles.append(torch.zeros(len(centred_logs), len(counts)).index_add_(1, distances, centred_logs) / counts)
    return torch.stack(profiles)


def bias_by_distance(part: PositionType, length: int) -> torch.Tensor:
    """Return the bias that a type adds at each distance within `length` tokens, (H, 2S - 1)."""
    signal: PositionSignal = part(torch.arange(length)[None])
    assert signal.bias is not None, "asked of types that add to the scores"
    bias = signal.bias[0]  # (H, S, S)
    return torch.cat((bias[:, -1], bias[:, 0, 1:]), dim=-1)


def fit_relative_bias(part: RelativeBiasPosition, profile: torch.Tensor, old: TriEmbedModel, ids: torch.Tensor) -> None:
    """Give each bucket the mean of the profile over its distances and over all layers, which share the table."""
    reach = (profile.shape[-1] - 1) // 2
    distances = torch.arange(-reach, reach + 1)
    weights = (reach + 1 - distances.abs()).float()  # how many pairs of tokens stand at each distance
    buckets = part.buckets(distances)
    table, total = (torch.zeros(part.num_buckets, n) for n in (profile.shape[1], 1))
    table.index_add_(0, buckets, (profile.mean(dim=0) * weights).T)
    total.index_add_(0, buckets, weights[:, None])
    is_filled = (total > 0).squeeze(1)
    table = table / total.clamp(min=1)
    for half in (slice(0, part.num_buckets // 2), slice(part.num_buckets // 2, None)):
        known_buckets = is_filled[half].nonzero().flatten()
        if len(known_buckets):  # distances beyond the sample behave like the furthest in it
            nearest = known_buckets[
                (torch.arange(len(is_filled[half]))[:, None] - known_buckets[None, :]).abs().argmin(dim=1)
            ]
            table[half] = table[half][nearest]
    part.table.weight.copy_(table)


def fit_slopes(part: AsymmetricAlibiPosition, profile: torch.Tensor, old: TriEmbedModel, ids: torch.Tensor) -> None:
    """Take the slopes, left and right, under which each head looks as far on average as in the profile.

    That is their maximum likelihood: weights exp(-slope * distance) are an exponential family. Newton's method finds
    the slopes at which the means agree.
    """
    reach = profile.shape[-1] // 2
    distance = torch.arange(-reach, reach + 1).double()
    sides = torch.stack((-distance, distance)).clamp(min=0)  # (2, 2S - 1)
    pairs = (reach + 1 - distance.abs()).log()
    target_means = (profile.mean(dim=0).double() + pairs).softmax(dim=-1) @ sides.T  # (H, 2)
    slopes = torch.full_like(target_means, 0.1)
    for _ in range(NEWTON_STEPS):
        weights = (pairs - slopes @ sides).softmax(dim=-1)  # (H, 2S - 1)
        means = weights @ sides.T
        spread = torch.einsum("hd,ad,bd->hab", weights, sides, sides) - means[:, :, None] * means[:, None]
        step = torch.linalg.solve(spread + 1e-6 * torch.eye(2), means - target_means)
        slopes = (slopes + step.clamp(-0.5, 0.5)).clamp(*SLOPES)
    part.log_slopes.copy_(slopes.T.log())


@torch.no_grad()
def fit_layer_keys(new: TriEmbedModel, name: str, profile: torch.Tensor, old: TriEmbedModel, ids: torch.Tensor) -> None:
    """Solve, in each layer and for each distance, query . vector = profile, over all queries and heads.

    By ridge regression; with `relative_key_query` each side of the score carries half.
    """
    queries: list[torch.Tensor] = []
    hooks = [
        layer.attention.query.register_forward_hook(lambda module, inputs, states: queries.append(states))
        for layer in old.layers
    ]
    old(ids)
    for hook in hooks:
        hook.remove()
    share = 0.5 if name == "relative_key_query" else 1.0
    for layer, states, target in zip(new.layers, queries, profile, strict=True):
        head = layer.attention.head_dim
        query = states.view(-1, states.shape[-1] // head, head).float() * layer.attention.scaling  # (B * S, H, K)
        gram = torch.einsum("nhk,nhl->kl", query, query)
        gram = gram + RIDGE * gram.diagonal().mean() * torch.eye(head)
        right = torch.einsum("nhk,hd->kd", query, share * target)
        vectors = torch.linalg.solve(gram, right).T  # (2 S - 1, K)
        scores = cast(RelativeKeyScores, layer.attention.position[name])
        table = scores.table.weight
        # Rows count query - key, the profile counts key - query; beyond the sample its furthest rows go on.
        reach, known_reach = (len(table) - 1) // 2, (len(vectors) - 1) // 2
        table.copy_(vectors.flip(0)[torch.arange(-reach, reach + 1).clamp(-known_reach, known_reach) + known_reach])


Fit = Callable[[Any, torch.Tensor, TriEmbedModel, torch.Tensor], None]
FITS: dict[str, Fit] = {"relative_bias": fit_relative_bias, "alibi_asymmetric": fit_slopes}
LAYER_FITS = ("relative_key", "relative_key_query")


@torch.no_grad()
def keep_what_is_common(old: TriEmbedModel, new: TriEmbedModel, first_token: int | None) -> float:
    """Keep what old position vectors have in common, and what the first of them adds, where the new ones lack it.

    The mean moves to the segments, or to the tokens, where the same vector on each of them changes no prediction. The
    first position's vector moves to `first_token` ([CLS]), which always stands there.

    Returns:
        The share of the squared length of the old vectors that is kept this way; nan where there were none.
    """
    length = min(old.config.max_position_embeddings, new.config.max_position_embeddings)
    summands = [encoder.embeddings.position(torch.arange(length)[None]).summand for encoder in (old, new)]
    if not any(summand is not None for summand in summands):
        return math.nan
    before, after = (torch.zeros(()) if summand is None else summand[0] for summand in summands)
    difference = before - after  # (S, E)
    rest = difference[1:] if first_token is not None and length > 1 else difference
    mean = rest.mean(dim=0)
    embeddings = new.embeddings
    if embeddings.segment is not None:
        embeddings.segment.weight += mean
    else:
        embeddings.token.weight += mean / embeddings.scale
    kept_square = mean.square().sum() * len(rest)
    if len(rest) < length:
        embeddings.token.weight[first_token] += (difference[0] - mean) / embeddings.scale
        kept_square = kept_square + difference[0].square().sum()
    return float(kept_square / difference.square().sum().clamp(min=1e-12))
