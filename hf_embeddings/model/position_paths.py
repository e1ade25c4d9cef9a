"""A position type whose distances are as long as the tokens between say.

Shapes: B batch, S sequence, D hidden, H heads, K head width.
"""

import torch
from torch import nn

from .compat import PreTrainedConfig
from .position_signal import PositionSignal, PositionType


class ContextAwareScores(nn.Module):
    """The part of `cable` in one layer: how long the step to each token is, for each head."""

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        self.step = nn.Linear(config.hidden_size, config.num_attention_heads)

    def of_tokens(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Map (B, S, D), the input of the layer, to what the scores need of each token, (B, S, H, 1)."""
        return self.step(hidden_states)[..., None]

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        counts: torch.Tensor,
        attention: nn.Module,
        steps: torch.Tensor,
    ) -> torch.Tensor:
        """Map steps (B, H, S, 1) and what they count, (1|B, S), to scores (B, H, S, S)."""
        exact = torch.promote_types(steps.dtype, torch.float32)
        lengths = nn.functional.softplus(steps[..., 0].to(exact)) * counts[:, None].to(exact)  # (B, H, S)
        path = lengths.cumsum(dim=-1)
        distance = path[..., :, None] - path[..., None, :]
        return -torch.log1p(distance * distance).to(query.dtype)


class ContextAwarePosition(PositionType):
    """Lower scores by -log(1 + d^2), where d is the sum of trained steps, one for each token that lies between.

    This is CABLE (https://arxiv.org/abs/2503.08067) in the form of its public code for BERT: each layer computes the
    step to a token, softplus(w_h x + b_h) for each head h, from its own input x, and the distance is that from query to
    key along the steps, the same in both directions. Their form for decoders, -d, has no two sides. A step counts as
    often as positions say, so a gap in `position_ids` is as long as so many steps of the token after it.
    """

    pairwise = True
    counts_tokens = True
    layer_part = ContextAwareScores

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to how many steps lead to each token from the one before."""
        # `roll`, as a row without its last token is a length of its own to exporters. No two tokens of a document have
        # the step to its first one between them, whatever that is.
        return PositionSignal(content=(position_ids - position_ids.roll(1, dims=1)).clamp(min=0))
