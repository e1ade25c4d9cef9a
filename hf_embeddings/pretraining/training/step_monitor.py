"""A monitor against bad steps: what is not finite is skipped, what is far out of the ordinary is reported or skipped.

It sees sums over all processes only, so every process decides the same.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from hf_embeddings.json_record import JsonRecord

WINDOW = 128  # steps that say what is ordinary
ENOUGH = 64  # steps before the monitor judges
SIGMAS = 6.0  # as in OLMo-core's SkipStepOptimizer
BAD_STEPS_ALLOWED = 3  # in a row


@dataclass
class StepMonitor(JsonRecord):
    """The last losses and gradient norms, and the number of steps that were skipped."""

    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    skipped: int = 0
    in_a_row: int = 0
    spikes: int = 0

    def judge(self, loss: float, norm: float, spikes: Literal["off", "warn", "skip"]) -> str:
        """Return what is wrong with a step, or nothing; count it.

        Args:
            loss: sum of the losses of the step, in nats.
            norm: L2 norm of the gradient before clipping.
            spikes: what happens to a step that is finite and more than 6 standard deviations above the last 128.
        """
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self.skipped += 1
            self.in_a_row += 1
            return f"loss {loss}, gradient norm {norm}: not finite"
        self.in_a_row = 0
        spike = spikes != "off" and (_is_spike(loss, self.losses) or _is_spike(norm, self.norms))
        for history, value in ((self.losses, loss), (self.norms, norm)):
            history.append(value)
            del history[:-WINDOW]
        if spike:
            self.spikes += 1
            self.skipped += spikes == "skip"
            return f"loss {loss:.4f}, gradient norm {norm:.4f}: a spike"
        return ""

    def forget(self) -> None:
        """Begin to learn anew what is ordinary, where text, length or masks change."""
        self.losses, self.norms = [], []


def _is_spike(value: float, history: list[float]) -> bool:
    return len(history) >= ENOUGH and bool(value > np.mean(history) + SIGMAS * np.std(history))
