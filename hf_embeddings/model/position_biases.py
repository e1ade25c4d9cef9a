"""Position types that add a bias to the attention scores, the same in all layers.

Shapes: B batch, S sequence, H heads.
"""

import math
from typing import Any, ClassVar

import torch
from torch import nn

from .compat import PreTrainedConfig
from .position_signal import ExactLinear, PositionSignal, PositionType, check_count, offsets


class AlibiPosition(PositionType):
    """Lower scores by distance, -m_h |i - j| (https://arxiv.org/abs/2108.12409, symmetric for encoders)."""

    pairwise = True
    exclusive = "ALiBi slope"

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.slopes = alibi_slopes(config.num_attention_heads)

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to a bias that is 0 on the diagonal."""
        slopes = torch.tensor(self.slopes, dtype=dtype, device=position_ids.device)
        distance = offsets(position_ids).abs().to(dtype)  # (1|B, S, S)
        return PositionSignal(bias=-slopes[:, None, None] * distance[:, None])


class AsymmetricAlibiPosition(PositionType):
    """Lower scores by distance with trained slopes, one for keys to the left and one for keys to the right.

    The asymmetric ALiBi that its authors propose for encoders (https://github.com/ofirpress/attention_with_linear_biases,
    issue 5). Slopes stay positive (they are exponentials) and start at the paper's values, to the right in reverse
    order of heads, so that left and right differ from the first step.
    """

    pairwise = True
    exclusive = "ALiBi slope"

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        slopes = torch.tensor(alibi_slopes(config.num_attention_heads))
        self.log_slopes = nn.Parameter(torch.stack((slopes, slopes.flip(0))).log())  # (2, H): left, right

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to a bias that is 0 on the diagonal."""
        left, right = self.log_slopes.to(dtype).exp()[:, :, None, None]  # (H, 1, 1) each
        distance = offsets(position_ids)[:, None].to(dtype)  # (1|B, 1, S, S)
        return PositionSignal(bias=left * distance.clamp(max=0) - right * distance.clamp(min=0))


class KerplePosition(PositionType):
    """Lower scores by the logarithm of distance, -r_h log(1 + s_h |i - j|) (KERPLE, https://arxiv.org/abs/2205.09921).

    r and s are trained and stay positive (they are exponentials); r starts evenly spread over (0, 2), s at 1.
    """

    pairwise = True

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        heads = config.num_attention_heads
        self.log_strength = nn.Parameter((torch.arange(1, heads + 1) * 2 / (heads + 1)).log())
        self.log_speed = nn.Parameter(torch.zeros(heads))

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to a bias that is 0 on the diagonal."""
        strength, speed = (log.to(dtype).exp()[:, None, None] for log in (self.log_strength, self.log_speed))
        distance = offsets(position_ids).abs()[:, None].to(dtype)  # (1|B, 1, S, S)
        return PositionSignal(bias=-strength * torch.log1p(speed * distance))


class FirePosition(PositionType):
    """Add f(psi(i - j) / psi(max(L, i, j))), f a small MLP, psi(x) = sign(x) log(1 + c |x|).

    This is FIRE (https://arxiv.org/abs/2310.04418).

    FIRE divides by the query position i, the largest distance that a causal query can see. A bidirectional query also
    sees keys after it, so the normaliser here is the later of the two positions: symmetric in i and j, and equal to the
    paper's for j <= i. The sign tells the MLP left from right. c and L are trained; L starts at
    `max_position_embeddings`.
    """

    absolute = True
    pairwise = True
    option_defaults: ClassVar[dict[str, Any]] = {"width": 32}
    beyond = "defined for every position: distances are seen relative to the later position"

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.log_rate = nn.Parameter(torch.tensor([0.1]).log())
        self.log_threshold = nn.Parameter(torch.tensor([float(config.max_position_embeddings)]).log())
        self.up = ExactLinear(1, self.options["width"])
        self.down = ExactLinear(self.options["width"], config.num_attention_heads)

    @classmethod
    def check(cls, config: PreTrainedConfig) -> None:
        """Refuse a width that is none."""
        check_count(cls, config, "fire", "width")

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to a bias."""
        rate, threshold = self.log_rate.to(dtype).exp(), self.log_threshold.to(dtype).exp()
        distance = -offsets(position_ids).to(dtype)
        later = torch.maximum(position_ids[:, None, :], position_ids[:, :, None]).to(dtype)
        relative = distance.sign() * torch.log1p(rate * distance.abs()) / torch.log1p(rate * later.maximum(threshold))
        bias = self.down(self.up(relative[..., None]).relu())  # (1|B, S, S, H)
        return PositionSignal(bias=bias.permute(0, 3, 1, 2))


class RelativeBiasPosition(PositionType):
    """Add a trained bias per head and bucket of signed distance (T5, https://arxiv.org/abs/1910.10683, section 2.1)."""

    pairwise = True
    beyond = "defined: all distances from `relative_attention_max_distance` on share the last bucket"

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.num_buckets = config.relative_attention_num_buckets
        self.max_distance = config.relative_attention_max_distance
        self.table = nn.Embedding(self.num_buckets, config.num_attention_heads)

    @classmethod
    def check(cls, config: PreTrainedConfig) -> None:
        """Refuse an odd number of buckets, or a distance that the exact buckets already cover."""
        if (
            config.relative_attention_num_buckets % 2
            or config.relative_attention_max_distance <= config.relative_attention_num_buckets // 4
        ):
            raise ValueError(
                f"relative_attention_num_buckets: got {config.relative_attention_num_buckets} with "
                f"relative_attention_max_distance {config.relative_attention_max_distance}, expected an even number of "
                "buckets, and a distance above a quarter of it"
            )

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to a bias shared by all layers."""
        buckets = self.buckets(offsets(position_ids))
        bias = self.table(buckets.flatten(1))  # (1|B, S * S, H), as 8-bit tables take no more dimensions than ids have
        return PositionSignal(bias=bias.unflatten(1, buckets.shape[1:]).permute(0, 3, 1, 2))

    def buckets(self, offsets: torch.Tensor) -> torch.Tensor:
        """Number signed offsets (key - query): exact below a quarter of the buckets, then logarithmic, then clipped."""
        half = self.num_buckets // 2
        exact = half // 2
        distance = offsets.abs()
        growth = torch.log(distance.clamp(min=1).float() / exact) / math.log(self.max_distance / exact)
        coarse = (exact + (growth * (half - exact)).long()).clamp(max=half - 1)
        return (offsets > 0).long() * half + torch.where(distance < exact, distance, coarse)


def alibi_slopes(num_heads: int) -> list[float]:
    """Return the slopes of the ALiBi paper: 2^(-8h/H) for H a power of two.

    For other H they are those of the next lower power, and every other one of the next higher.
    """
    power = 2 ** math.floor(math.log2(num_heads))
    slopes = [2.0 ** (-8.0 * head / power) for head in range(1, power + 1)]
    finer = [2.0 ** (-4.0 * head / power) for head in range(1, 2 * power + 1, 2)]
    return slopes + finer[: num_heads - power]
