"""How the operations that run now are recorded: by a compiler, by torch.func, or by autograd alone."""

import torch
from torch.autograd import forward_ad


def is_traced() -> bool:
    """Tell whether a compiler or an exporter records operations, so that no value can be looked at."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def is_readable(tensor: torch.Tensor) -> bool:
    """Tell whether the values of a tensor may decide what is computed: nothing else is recorded than gradients."""
    if is_traced() or is_transformed() or tensor.device.type == "meta":
        return False
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter):  # a proxy, fake or distributed
        return False
    if torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None:  # make_fx
        return False
    return tensor.device.type != "cuda" or not torch.cuda.is_current_stream_capturing()


def is_transformed() -> bool:
    """Tell whether torch.func or forward mode takes derivatives, so that only plain operations can be used."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def gradients_of(
    output: torch.Tensor, inputs: tuple[torch.Tensor | None, ...], gradient: torch.Tensor
) -> tuple[torch.Tensor | None, ...]:
    """Return differentiable gradients, None where an input is None or needs none.

    A hand-written backward pass computes its output once more in plain operations and calls this where the gradient of
    the gradient is wanted (`create_graph=True`).
    """
    tensors = [tensor for tensor in inputs if tensor is not None and tensor.requires_grad]
    gradients = iter(torch.autograd.grad(output, tensors, gradient, create_graph=True))
    return tuple(next(gradients) if t is not None and t.requires_grad else None for t in inputs)
