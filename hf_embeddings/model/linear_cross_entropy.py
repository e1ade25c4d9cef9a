"""Cross-entropy of a linear layer's scores that holds few of them at a time: over a vocabulary they outweigh the model.

Shapes: M rows, D hidden, V classes.
"""

import torch
from torch import nn
from torch.autograd.function import FunctionCtx

from .recording import gradients_of, is_traced, is_transformed

SCORES_AT_A_TIME = 1 << 24  # what is multiplied at once: 549 rows of a vocabulary of 30,522
SCORES_IN_CACHE = 1 << 18  # what a CPU normalises at once: 1 MB in fp32


def linear_cross_entropy(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, labels: torch.Tensor
) -> torch.Tensor:
    """Sum the cross-entropy of `hidden @ weight.T + bias` over the labels other than -100, in fp32 at least.

    Equals `cross_entropy(linear(hidden, weight, bias), labels, reduction="sum")`, as do the gradients, which are made
    together with the scores, so that these are neither kept nor made twice (https://arxiv.org/abs/2410.10989).

    Args:
        hidden: (M, D) states.
        weight: (V, D) of the linear layer.
        bias: (V,) of the linear layer.
        labels: (M,) classes, -100 where a row does not count.

    Returns:
        () the sum.
    """
    if is_traced() or is_transformed():  # a compiler does this in its own way
        return _plainly(hidden, weight, bias, labels)
    return _LinearCrossEntropy.apply(hidden, weight, bias, labels)


def _plainly(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, labels: torch.Tensor
) -> torch.Tensor:
    scores = nn.functional.linear(hidden, weight, bias)
    exact = torch.promote_types(scores.dtype, torch.float32)
    return nn.functional.cross_entropy(scores.to(exact), labels, reduction="sum")


class _LossContext(FunctionCtx):
    needs_input_grad: tuple[bool, bool, bool, bool]
    saved_tensors: tuple[torch.Tensor | None, ...]
    dtypes: tuple[torch.dtype, torch.dtype, torch.dtype | None]
    autocast: torch.dtype | None


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _LossContext,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        labels: torch.Tensor,
    ) -> torch.Tensor:
        device, dtypes = hidden.device.type, (hidden.dtype, weight.dtype, None if bias is None else bias.dtype)
        inputs = (hidden, weight, bias, labels)
        ctx.autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        if ctx.autocast is not None:
            hidden, weight = hidden.to(ctx.autocast), weight.to(ctx.autocast)
        with torch.autocast(device, enabled=False):
            loss, *gradients = _sum_losses(hidden, weight, bias, labels, ctx.needs_input_grad[:3])
        ctx.save_for_backward(*gradients, *inputs)  # type: ignore[arg-type]  # None is allowed
        ctx.dtypes = dtypes
        return loss

    @staticmethod
    def backward(ctx: _LossContext, outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradients, (hidden, weight, bias, labels) = ctx.saved_tensors[:3], ctx.saved_tensors[3:]
        if torch.is_grad_enabled():
            assert hidden is not None and weight is not None and labels is not None, "only the bias may be None"
            with torch.autocast(hidden.device.type, dtype=ctx.autocast, enabled=ctx.autocast is not None):
                loss = _plainly(hidden, weight, bias, labels)
            return *gradients_of(loss, (hidden, weight, bias), outer), None
        # In place, as the gradient of the weight is large; autograd refuses to go back a second time then.
        scaled = (gradient if gradient is None else gradient.mul_(outer) for gradient in gradients)
        return *(g if g is None else g.to(dtype) for g, dtype in zip(scaled, ctx.dtypes, strict=True)), None


def _sum_losses(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    labels: torch.Tensor,
    needs: tuple[bool, bool, bool],
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
    """Return the loss, and the gradients of hidden, weight and bias that are needed, in fp32 at least."""
    exact = torch.promote_types(hidden.dtype, torch.float32)
    loss = hidden.new_zeros((), dtype=exact)
    of_hidden = torch.empty_like(hidden, dtype=exact) if needs[0] else None
    of_weight = None
    of_bias = torch.zeros_like(bias, dtype=exact) if needs[2] and bias is not None else None
    step = max(1, SCORES_AT_A_TIME // len(weight))
    for number, (rows, answers) in enumerate(zip(hidden.split(step), labels.split(step), strict=True)):
        scores = rows @ weight.T  # (m, V), and from here on their gradient
        loss += _normalise(scores, bias, answers, of_bias, exact=exact, gradient=any(needs))
        if of_hidden is not None:
            of_hidden[number * step : (number + 1) * step] = scores @ weight
        if needs[1]:
            of_weight = _add_product(of_weight, scores.T, rows, exact)
    return loss, of_hidden, of_weight, of_bias


def _normalise(
    scores: torch.Tensor,
    bias: torch.Tensor | None,
    labels: torch.Tensor,
    of_bias: torch.Tensor | None,
    *,
    exact: torch.dtype,
    gradient: bool,
) -> torch.Tensor:
    """Return the summed loss of (m, V) scores; put their gradient in their place, and add it up in `of_bias`."""
    step = max(1, SCORES_IN_CACHE // scores.shape[1] if scores.device.type == "cpu" else len(scores))
    losses = []
    for rows, answers in zip(scores.split(step), labels.split(step), strict=True):
        part = rows.to(exact)  # `rows` itself where they are exact
        if bias is not None:
            part += bias
        is_counted = (answers != -100)[:, None]
        places = answers[:, None].masked_fill(~is_counted, 0)
        target_scores = part.gather(1, places)
        largest = part.amax(dim=1, keepdim=True)
        total = part.sub_(largest).exp_().sum(dim=1, keepdim=True)
        losses.append(torch.where(is_counted, largest + total.log() - target_scores, 0.0).sum())
        if gradient:
            part *= is_counted / total
            part.scatter_add_(1, places, -is_counted.to(exact))
            if of_bias is not None:
                of_bias += part.sum(dim=0)
            rows.copy_(part)
    return torch.stack(losses).sum()


def _add_product(
    total: torch.Tensor | None, left: torch.Tensor, right: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """Add left @ right to a total in `dtype`."""
    if total is None:
        return (left @ right).to(dtype)
    return total.addmm_(left, right) if total.dtype == left.dtype else total.add_(left @ right)
