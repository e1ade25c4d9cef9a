"""Muon (https://kellerjordan.github.io/posts/muon/): momentum whose update is made orthogonal, for matrices."""

from collections.abc import Callable
from typing import Any

import torch

from hf_embeddings.hardware import bf16_is_fast


class Muon(torch.optim.Muon):
    """torch's Muon with updates scaled to the root mean square of AdamW's, in the number format that is fast here.

    torch itself always orthogonalises in bf16, which processors without units for it do 10 to 100 times slower. The
    scale (https://arxiv.org/abs/2502.16982) lets it share weight decay, and the size of learning rates, with AdamW.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]  # no overloads
        """Move every parameter that has a gradient; return what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)
        return loss

    def _move(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        gradient, state, momentum = parameter.grad, self.state[parameter], group["momentum"]
        assert gradient is not None, "step looks"
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        mean = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        update = orthogonalise(
            gradient.lerp(mean, momentum),  # Nesterov's look ahead
            coefficients=group["ns_coefficients"],
            steps=group["ns_steps"],
            dtype=torch.bfloat16 if bf16_is_fast(parameter.device) else torch.float32,
        )
        scale = 0.2 * max(parameter.shape) ** 0.5
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(update, alpha=-group["lr"] * scale)


def orthogonalise(
    matrix: torch.Tensor, *, coefficients: tuple[float, float, float], steps: int, dtype: torch.dtype
) -> torch.Tensor:
    """Bring all singular values of (N, M) near 1, with `steps` Newton-Schulz iterations computed in `dtype`."""
    tall = matrix.shape[0] > matrix.shape[1]
    matrix = (matrix.T if tall else matrix).to(dtype)
    linear, cubic, quintic = coefficients
    matrix = matrix / matrix.norm().clamp(min=1e-7)  # the largest singular value is at most 1 then
    for _ in range(steps):
        gram = matrix @ matrix.T
        matrix = torch.addmm(matrix, torch.addmm(gram, gram, gram, beta=cubic, alpha=quintic), matrix, beta=linear)
    return matrix.T if tall else matrix
