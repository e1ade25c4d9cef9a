"""A position type that gives order to the encoder by hiding one side of each token from each head.

Shapes: B batch, S sequence, H heads.
"""

import torch

from .compat import PreTrainedConfig
from .position_signal import PositionSignal, PositionType, offsets

UNSEEN = -3e4  # a score so low leaves no weight; twice of it is a number in 16 bits


class DualTrianglePosition(PositionType):
    """Let heads 0, 2, 4 ... see a token and those before it, and heads 1, 3, 5 ... it and those after it.

    This is Dual Triangle Attention (https://arxiv.org/abs/2604.18603), which cuts each head into two halves, one for
    each side, with a softmax each. A pair of heads here is the paper's head: give twice as many heads for the widths of
    the paper. It has no weights. Rotations (`rope+dual_triangle`) turn pairs inside each half, so that scores depend on
    differences of positions only.
    """

    pairwise = True

    @classmethod
    def check(cls, config: PreTrainedConfig) -> None:
        """Refuse heads that do not come in pairs."""
        if config.num_attention_heads % 2:
            raise ValueError(
                f"num_attention_heads: got {config.num_attention_heads}, but 'dual_triangle' lets one head of each "
                "pair look back and the other ahead; choose an even number"
            )
        super().check(config)

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.pairs = config.num_attention_heads // 2

    def forward(self, position_ids: torch.Tensor, dtype: torch.dtype = torch.float32) -> PositionSignal:
        """Map (1|B, S) ids to a bias that is 0 where a head may look."""
        offset = offsets(position_ids)  # (1|B, S, S), key minus query
        sides = torch.stack((offset > 0, offset < 0), dim=1)  # hidden from heads that look back, and ahead
        return PositionSignal(bias=sides.to(dtype).repeat(1, self.pairs, 1, 1) * UNSEEN)
