"""Hand-written backward passes give way to plain operations where derivatives of another kind are asked for."""

import pytest
import torch
from torch.func import functional_call, grad, jvp

from hf_embeddings.model.fused_attention import fused_attention
from hf_embeddings.model.linear_cross_entropy import linear_cross_entropy
from hf_embeddings.model.relative_products import relative_products, relative_rows
from tests.model.test_expectations import batch, make


def products(query, key, of_query, of_key):
    rows = relative_rows(torch.arange(5)[None], lambda distance: distance + 4)
    return relative_products(query, key, rows, query_table=of_query, key_table=of_key)


def loss(hidden, weight, bias):
    return linear_cross_entropy(hidden, weight, bias, torch.tensor([1, -100, 0, 2]))


def attended(query, key, value, bias):
    return fused_attention(query, key, value, bias, dropout=0.0, scaling=0.5)


FUNCTIONS = {
    "products": (products, [(1, 2, 5, 3), (1, 2, 5, 3), (1, 9, 3), (2, 9, 3)]),
    "loss": (loss, [(4, 3), (6, 3), (6,)]),
    "attention": (attended, [(2, 2, 3, 4), (2, 2, 3, 4), (2, 2, 3, 4), (1, 2, 3, 3)]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_gradient_has_a_gradient(name: str) -> None:
    function, shapes = FUNCTIONS[name]
    torch.manual_seed(0)
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    if name != "loss":  # its gradients are scaled in place, so it goes back once
        assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
@pytest.mark.parametrize("name", ["products", "loss"])  # torch's own fused attention has no forward mode
def test_forward_mode_agrees_with_backward_mode(name: str) -> None:
    function, shapes = FUNCTIONS[name]
    torch.manual_seed(0)
    inputs = [torch.randn(shape, dtype=torch.float64) for shape in shapes]
    directions = [torch.randn_like(value) for value in inputs]
    _, tangent = jvp(function, tuple(inputs), tuple(directions))
    leaves = [value.clone().requires_grad_() for value in inputs]
    gradients = torch.autograd.grad(function(*leaves).sum(), leaves)
    expected = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
    torch.testing.assert_close(tangent.sum(), expected)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("position", ["relative_key", "relative_key_query", "disentangled", "relative_bias", "fire"])
def test_functional_gradients_are_those_of_autograd(position: str, packed: bool) -> None:
    model = make("ForMaskedLM", position)
    inputs = batch("ForMaskedLM")
    if packed:
        inputs = {name: inputs[name][:1] for name in ("input_ids", "labels")}
        inputs["position_ids"] = torch.tensor([[0, 1, 2, 0, 1, 2, 3]])
    parameters = dict(model.named_parameters())
    found = grad(lambda held: functional_call(model, held, kwargs=inputs | {"skip_logits": True}).loss)(parameters)
    model(**inputs).loss.backward()
    for name, parameter in parameters.items():
        torch.testing.assert_close(found[name], parameter.grad, atol=1e-5, rtol=1e-4)
