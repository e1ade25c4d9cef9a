"""Arithmetic of inference: replace the linear layers of a loaded model by faster ones, in place.

On CPUs oneDNN multiplies by weights that were laid out for it once, instead of at each call; torch reaches it through
operators that inductor uses. Where a build of torch lacks them the plain layer stays, and only speed is lost.
"""

from collections.abc import Callable

import torch
from torch import nn


class PackedLinear(nn.Module):
    """A linear layer whose weight is laid out for oneDNN: (..., I) to (..., O) in the dtype of the layer given."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.bias = linear.bias
        self.packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Map (..., I) to (..., O)."""
        return torch.ops.mkldnn._linear_pointwise(hidden, self.packed, self.bias, "none", [], "")


class Int8Linear(nn.Module):
    """A linear layer in 8 bits: a scale for each output channel of the weight, one for the whole input at each call."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scales = weight.abs().amax(dim=1).clamp(min=1e-12) / 127
        quantized = torch.quantize_per_channel(
            weight, scales, torch.zeros(len(weight), dtype=torch.long), 0, torch.qint8
        )
        bias = None if linear.bias is None else linear.bias.detach().float()
        self.packed = torch.ops.quantized.linear_prepack(quantized, bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Map (..., I) to (..., O), both in fp32."""
        return torch.ops.quantized.linear_dynamic(hidden, self.packed)


def _fp32(model: nn.Module) -> nn.Module:
    return model.float()


def _bf16(model: nn.Module) -> nn.Module:
    model = model.bfloat16()
    on_cpu = next(model.parameters()).device.type == "cpu"
    if on_cpu and torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        _replace(model, PackedLinear)
    return model


def _int8(model: nn.Module) -> nn.Module:
    if next(model.parameters()).device.type != "cpu":
        raise ValueError("precision 'int8' runs on CPUs only; use 'bf16' on this device")
    engines, before = torch.backends.quantized.supported_engines, torch.backends.quantized.engine
    torch.backends.quantized.engine = next((name for name in ("onednn", "x86", "qnnpack") if name in engines), before)
    try:  # the engine is chosen when weights are packed, and stays with them
        return _replace(model.float(), Int8Linear)
    finally:
        torch.backends.quantized.engine = before


def _replace(model: nn.Module, build: Callable[[nn.Linear], nn.Module]) -> nn.Module:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, build(child))
    return model


PRECISIONS: dict[str, Callable[[nn.Module], nn.Module]] = {"fp32": _fp32, "bf16": _bf16, "int8": _int8}
