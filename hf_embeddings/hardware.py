"""What this machine multiplies fast."""

import torch


def bf16_is_fast(device: torch.device) -> bool:
    """Tell whether products in bf16 are no slower than in fp32."""
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type == "cuda"
