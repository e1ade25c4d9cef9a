"""Position types: each turns position ids into a PositionSignal, and the model applies the signal in fixed places.

Shapes: B batch, S sequence, D hidden, H heads, K head width. Nothing here is a buffer: tables are computed in fp32 from
a few numbers at each forward pass, so a reload, a cast to bf16 or a move to another device cannot damage them.
"""

import math
from typing import NamedTuple

import torch
from torch import nn


class PositionSignal(NamedTuple):
    """What a position type contributes; a field that is None contributes nothing."""

    summand: torch.Tensor | None = None  # (1|B, S, D) added to token + segment
    rotation: tuple[torch.Tensor, torch.Tensor] | None = None  # (1|B, S, K) cos and sin, applied to query and key
    bias: torch.Tensor | None = None  # (1|B, H, S, S) added to the attention scores


class LearnedPosition(nn.Module):
    """Look a trained vector up for each position (BERT, https://arxiv.org/abs/1810.04805)."""

    absolute = True

    def __init__(self, config) -> None:
        super().__init__()
        self.table = nn.Embedding(config.max_position_embeddings, config.hidden_size)

    def forward(self, position_ids: torch.Tensor) -> PositionSignal:
        """Map (1|B, S) ids to a summand; ids must be below `max_position_embeddings`."""
        return PositionSignal(summand=self.table(position_ids))


class SinusoidalPosition(nn.Module):
    """Add sin(p / 10000^(2i/D)) in even and cos in odd dimensions (https://arxiv.org/abs/1706.03762, section 3.5)."""

    absolute = True

    def __init__(self, config) -> None:
        super().__init__()
        self.hidden_size = config.hidden_size

    def forward(self, position_ids: torch.Tensor) -> PositionSignal:
        """Map (1|B, S) ids to a summand, for positions of any size."""
        angles = _angles(position_ids, width=self.hidden_size, theta=10_000.0)  # (1|B, S, D/2)
        return PositionSignal(summand=torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2))


class NoPosition(nn.Module):
    """Contribute nothing: the encoder is then blind to order (the control of every position experiment)."""

    absolute = False

    def __init__(self, config) -> None:
        super().__init__()

    def forward(self, position_ids: torch.Tensor) -> PositionSignal:
        """Ignore the ids."""
        return PositionSignal()


class RotaryPosition(nn.Module):
    """Turn query and key by angles that grow with the position (RoFormer, https://arxiv.org/abs/2104.09864)."""

    absolute = False

    def __init__(self, config) -> None:
        super().__init__()
        rope_type = config.rope_parameters["rope_type"]
        if rope_type != "default":
            raise ValueError(f"rope_parameters: got rope_type {rope_type!r}, expected 'default'")
        self.width = config.hidden_size // config.num_attention_heads
        self.theta = config.rope_parameters["rope_theta"]

    def forward(self, position_ids: torch.Tensor) -> PositionSignal:
        """Map (1|B, S) ids to cos and sin; dimension i is paired with dimension i + K/2, as in transformers."""
        angles = _angles(position_ids, width=self.width, theta=self.theta)  # (1|B, S, K/2)
        angles = torch.cat((angles, angles), dim=-1)  # (1|B, S, K)
        return PositionSignal(rotation=(angles.cos(), angles.sin()))


class AlibiPosition(nn.Module):
    """Lower scores by distance, -m_h |i - j| (https://arxiv.org/abs/2108.12409, symmetric for encoders)."""

    absolute = False

    def __init__(self, config) -> None:
        super().__init__()
        self.slopes = alibi_slopes(config.num_attention_heads)

    def forward(self, position_ids: torch.Tensor) -> PositionSignal:
        """Map (1|B, S) ids to a bias that is 0 on the diagonal."""
        slopes = torch.tensor(self.slopes, dtype=torch.float32, device=position_ids.device)
        distance = _offsets(position_ids).abs().float()  # (1|B, S, S)
        return PositionSignal(bias=-slopes[:, None, None] * distance[:, None])


class RelativeBiasPosition(nn.Module):
    """Add a trained bias per head and bucket of signed distance (T5, https://arxiv.org/abs/1910.10683, section 2.1)."""

    absolute = False

    def __init__(self, config) -> None:
        super().__init__()
        self.num_buckets = config.relative_attention_num_buckets
        self.max_distance = config.relative_attention_max_distance
        self.table = nn.Embedding(self.num_buckets, config.num_attention_heads)

    def forward(self, position_ids: torch.Tensor) -> PositionSignal:
        """Map (1|B, S) ids to a bias shared by all layers."""
        return PositionSignal(bias=self.table(self.buckets(_offsets(position_ids))).permute(0, 3, 1, 2))

    def buckets(self, offsets: torch.Tensor) -> torch.Tensor:
        """Number signed offsets (key - query): exact below a quarter of the buckets, then logarithmic, then clipped."""
        half = self.num_buckets // 2
        exact = half // 2
        distance = offsets.abs()
        growth = torch.log(distance.clamp(min=1).float() / exact) / math.log(self.max_distance / exact)
        coarse = (exact + (growth * (half - exact)).long()).clamp(max=half - 1)
        return (offsets > 0).long() * half + torch.where(distance < exact, distance, coarse)


class Positions(nn.ModuleDict):
    """The parts that `position_embedding_type` names, applied as one: summands and biases add up."""

    def __init__(self, config) -> None:
        super().__init__({name: POSITION_TYPES[name](config) for name in config.position_parts})

    @property
    def absolute(self) -> bool:
        """Whether a part needs to know where a sequence starts; the others see differences of positions only."""
        return any(part.absolute for part in self.values())

    def forward(self, position_ids: torch.Tensor) -> PositionSignal:
        """Map (1|B, S) ids to the joint signal of all parts."""
        signals = [part(position_ids) for part in self.values()]
        rotations = [signal.rotation for signal in signals if signal.rotation is not None]
        return PositionSignal(
            summand=_total([signal.summand for signal in signals]),
            rotation=rotations[0] if rotations else None,
            bias=_total([signal.bias for signal in signals]),
        )


def alibi_slopes(num_heads: int) -> list[float]:
    """Slopes of the ALiBi paper: 2^(-8h/H) for H a power of two, else those of the next lower power and every other
    one of the next higher."""
    power = 2 ** math.floor(math.log2(num_heads))
    slopes = [2.0 ** (-8.0 * head / power) for head in range(1, power + 1)]
    finer = [2.0 ** (-4.0 * head / power) for head in range(1, 2 * power + 1, 2)]
    return slopes + finer[: num_heads - power]


def _angles(position_ids: torch.Tensor, *, width: int, theta: float) -> torch.Tensor:
    """Angles p / theta^(2i/width) in fp32, (1|B, S, width/2); bf16 angles would be wrong by whole turns."""
    exponent = torch.arange(0, width, 2, dtype=torch.float32, device=position_ids.device) / width
    return position_ids[..., None].float() * theta**-exponent


def _offsets(position_ids: torch.Tensor) -> torch.Tensor:
    """Key position minus query position, (1|B, S, S)."""
    return position_ids[:, None, :] - position_ids[:, :, None]


def _total(terms: list[torch.Tensor | None]) -> torch.Tensor | None:
    present = [term for term in terms if term is not None]
    return sum(present[1:], start=present[0]) if present else None


POSITION_TYPES = {
    "learned": LearnedPosition,
    "sinusoidal": SinusoidalPosition,
    "none": NoPosition,
    "rope": RotaryPosition,
    "alibi": AlibiPosition,
    "relative_bias": RelativeBiasPosition,
}
