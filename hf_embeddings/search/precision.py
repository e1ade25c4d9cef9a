"""Arithmetic of inference: replace the linear layers of a loaded model by faster ones, in place.

On CPUs oneDNN multiplies by weights that were laid out for it once, instead of at each call; torch reaches it through
operators that inductor uses. Where a build of torch lacks them the plain layer stays, and only speed is lost.
"""

from collections.abc import Callable

import torch
from torch import nn

from hf_embeddings.hardware import (
    SLOW,
    Precision,
    bf16_is_fast,
    describe,
    encoding_precision,
    int8_is_fast,
    int8_weight_levels,
    packs_bf16,
    slowdown,
)


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
        self.scales = weight.abs().amax(dim=1).clamp(min=1e-12) / int8_weight_levels()  # (O,)
        self.zeros = torch.zeros(len(weight), dtype=torch.int32)
        self.bias = None if linear.bias is None else linear.bias.detach().float()
        codes = torch.round(weight / self.scales[:, None]).to(torch.int8)
        self.packed = torch.ops.onednn.qlinear_prepack(codes, None)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Map (..., I) to (..., O) in the same dtype."""
        least, most = torch.aminmax(hidden)
        step = max(-least.item(), most.item(), 1e-12) / 127
        codes = (hidden * (1 / step)).round_().to(torch.int8)
        return torch.ops.onednn.qlinear_pointwise(
            codes, step, 0, self.packed, self.scales, self.zeros, self.bias, 1.0, 0, hidden.dtype, "none", [], ""
        )


def choose_encoding_precision(choice: str, device: str | torch.device) -> Precision:
    """Return the precision that `auto` means on a device, or the one asked for.

    Raises:
        ValueError: there is no such precision, or the device cannot encode in it.
    """
    if choice not in (AUTO, *PRECISIONS):
        raise ValueError(f"precision {choice!r}: expected one of {', '.join((AUTO, *PRECISIONS))}")
    return encoding_precision(choice, device)


def time_lost(precision: str, device: str | torch.device, *, inputs: int, outputs: int) -> str:
    """Return a warning where a precision is slower than fp32 on a device, by how much, else nothing.

    It is measured by one layer of the model's own size: `inputs` and `outputs` are its widths.
    """
    fast = {"fp32": True, "bf16": bf16_is_fast(device), "int8": int8_is_fast()}
    if fast[precision]:
        return ""
    dtype = torch.bfloat16 if precision == "bf16" or bf16_is_fast(device) else torch.float32
    factor = slowdown(PRECISIONS[precision], dtype, inputs=inputs, outputs=outputs, device=device)
    if factor < SLOW:
        return ""
    return (
        f"warning: {precision} takes {factor:.0f} times as long as fp32 on {describe(device)} (a layer of {inputs} x "
        f"{outputs}); write --precision auto"
    )


def _fp32(model: nn.Module) -> nn.Module:
    return model.float()


def _bf16(model: nn.Module) -> nn.Module:
    model = model.bfloat16()
    return _replace(model, _packed) if next(model.parameters()).device.type == "cpu" else model


def _int8(model: nn.Module) -> nn.Module:
    """Put 8 bits where they cost little, and the rest in bf16 where the processor multiplies that."""
    return _replace(model.bfloat16() if bf16_is_fast() else model.float(), _int8_or_wider)


def _int8_or_wider(linear: nn.Linear) -> nn.Module:
    """Return the 8-bit layer, but for layers that narrow: what they read comes out of an activation, too skewed.

    On all-MiniLM-L6-v2 with them the rank correlation of similarities to fp32 is 0.983, without 0.994, and no slower.
    """
    return _packed(linear) if linear.in_features > linear.out_features else Int8Linear(linear)


def _packed(linear: nn.Linear) -> nn.Module:
    return PackedLinear(linear) if packs_bf16() and linear.weight.dtype == torch.bfloat16 else linear


def _replace(model: nn.Module, build: Callable[[nn.Linear], nn.Module]) -> nn.Module:
    if type(model) is nn.Linear:
        return build(model)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, build(child))
    return model


AUTO = "auto"  # bf16 where the device multiplies that fast, else fp32
PRECISIONS: dict[str, Callable[[nn.Module], nn.Module]] = {"fp32": _fp32, "bf16": _bf16, "int8": _int8}
