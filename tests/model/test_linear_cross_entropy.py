"""The cross-entropy of a linear layer in chunks: the value and the gradients of PyTorch's own, whatever the chunks."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from hf_embeddings import TriEmbedConfig, TriEmbedForMaskedLM, TriEmbedForPreTraining
from hf_embeddings.model import linear_cross_entropy as module
from hf_embeddings.model.linear_cross_entropy import linear_cross_entropy

ROWS, WIDTH, CLASSES = 37, 12, 50
CHUNKS = [
    (1 << 24, 1 << 18),
    (CLASSES * 8, CLASSES * 3),
    (1, 1),
]  # all rows at once, parts that do not divide, each row


@pytest.fixture(params=CHUNKS, ids=["whole", "parts", "rows"])
def chunks(request, monkeypatch) -> Iterator[None]:
    monkeypatch.setattr(module, "SCORES_AT_A_TIME", request.param[0])
    monkeypatch.setattr(module, "SCORES_IN_CACHE", request.param[1])


def reference(hidden, weight, bias, labels) -> torch.Tensor:
    scores = nn.functional.linear(hidden, weight, bias)
    return nn.functional.cross_entropy(
        scores.to(torch.promote_types(scores.dtype, torch.float32)), labels, reduction="sum"
    )


def inputs(dtype: torch.dtype, *, rows: int = ROWS, spread: float = 1.0) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    hidden, weight, bias = (
        (spread * torch.randn(*shape, dtype=torch.float64)).to(dtype).requires_grad_()
        for shape in ((rows, WIDTH), (CLASSES, WIDTH), (CLASSES,))
    )
    labels = torch.randint(0, CLASSES, (rows,))
    labels[::5] = -100
    return hidden, weight, bias, labels


def both(given: tuple, *, scale: float = 1.0, context=nullcontext) -> list[list[torch.Tensor]]:
    """Return value and gradients in PyTorch's way and in ours."""
    results = []
    for function in (reference, linear_cross_entropy):
        tensors = [t if t is None else t.detach().clone().requires_grad_(t.requires_grad) for t in given]
        with context():
            loss = function(*tensors)
        trained = [t for t in tensors if t is not None and t.requires_grad]
        results.append([loss.detach(), *torch.autograd.grad(loss * scale, trained)])
    for expected, found in zip(*results, strict=True):
        assert expected.dtype == found.dtype and expected.shape == found.shape
    return results


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_value_and_gradients_are_those_of_pytorch(dtype: torch.dtype, tolerance: float, chunks) -> None:
    expected, found = both(inputs(dtype), scale=0.37)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_what_is_frozen_gets_no_gradient(missing: int, chunks) -> None:
    given = inputs(torch.float64)
    given[missing].requires_grad_(False)
    expected, found = both(given)
    assert len(found) == 3
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_layer_may_have_no_bias(chunks) -> None:
    hidden, weight, _, labels = inputs(torch.float64)
    expected, found = both((hidden, weight, None, labels))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_bf16_is_as_near_to_fp64_as_pytorch_is(chunks) -> None:
    given = inputs(torch.float32, spread=0.5)
    exact, _ = both(
        tuple(tensor.double() if tensor.is_floating_point() else tensor for tensor in inputs(torch.float64, spread=0.5))
    )
    theirs, ours = both(given, context=lambda: torch.autocast("cpu", torch.bfloat16))
    for expected, their, our in zip(exact, theirs, ours, strict=True):
        assert (our - expected).norm() <= 1.5 * (their - expected).norm() + 1e-6


def test_a_model_in_bf16_is_trained(chunks) -> None:
    exact, _ = both(inputs(torch.float64))
    _, found = both(inputs(torch.bfloat16))
    for expected, our in zip(exact, found, strict=True):
        assert (our - expected).norm() < 0.02 * expected.norm()


def test_large_scores_neither_overflow_nor_vanish(chunks) -> None:
    expected, found = both(inputs(torch.float32, spread=30.0))
    assert expected[0] > 1e4  # of a difference of scores beyond what exp can hold
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("rows", [0, 6])
def test_without_a_label_loss_and_gradients_are_zero(rows: int, chunks) -> None:
    hidden, weight, bias, labels = inputs(torch.float32, rows=rows)
    _, found = both((hidden, weight, bias, labels.fill_(-100)))
    assert all((tensor == 0).all() for tensor in found)


@pytest.mark.parametrize("label", [-1, CLASSES])
def test_a_label_that_is_no_class_is_refused(label: int, chunks) -> None:
    hidden, weight, bias, labels = inputs(torch.float32)
    labels[3] = label
    with pytest.raises(RuntimeError, match="out of bounds"):
        linear_cross_entropy(hidden, weight, bias, labels)


def test_going_back_twice_is_refused() -> None:
    loss = linear_cross_entropy(*inputs(torch.float32))
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_no_gradient_is_made_where_none_is_wanted(chunks) -> None:
    given = inputs(torch.float32)
    with torch.no_grad():
        loss = linear_cross_entropy(*given)
    torch.testing.assert_close(loss, reference(*given).detach())


def test_is_compiled_as_what_it_is() -> None:
    given = inputs(torch.float32)
    compiled = torch.compile(linear_cross_entropy, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*given), reference(*given))


def model_and_batch(kind: type) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    model = kind(TriEmbedConfig(
        vocab_size=60, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    ))  # fmt: skip
    ids = torch.randint(5, 60, (3, 10))
    return model.train(), {"input_ids": ids, "labels": ids.where(torch.rand(ids.shape) < 0.3, -100)}


@pytest.mark.parametrize("kind", [TriEmbedForPreTraining, TriEmbedForMaskedLM])
@pytest.mark.parametrize("count", [None, 40])
def test_skipping_the_logits_changes_nothing_else(kind: type, count: int | None) -> None:
    model, batch = model_and_batch(kind)
    results = []
    for skip_logits in (False, True):
        outputs = model(**batch, num_items_in_batch=count, skip_logits=skip_logits)
        assert (outputs.get("prediction_logits", outputs.get("logits")) is None) == skip_logits
        parameters = {
            name: p for name, p in model.named_parameters() if not name.startswith(("triembed.pooler", "seq"))
        }
        gradients = torch.autograd.grad(outputs.loss, list(parameters.values()))
        results.append([outputs.loss.detach(), *gradients])
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-6)


def test_masked_positions_and_labels_of_all_tokens_mean_the_same() -> None:
    model, batch = model_and_batch(TriEmbedForPreTraining)
    labels = batch["labels"].flatten()
    places = (labels != -100).nonzero().flatten()
    given = {"input_ids": batch["input_ids"], "labels": labels[places], "masked_lm_positions": places}
    torch.testing.assert_close(model(**given, skip_logits=True).loss, model(**batch, skip_logits=True).loss)
    assert model(batch["input_ids"], skip_logits=True).loss is None  # and no prediction head runs


def test_a_layer_in_the_place_of_the_decoder_is_asked() -> None:
    class Adapted(nn.Linear):
        def forward(self, hidden):
            return super().forward(hidden) * 0.5

    model, batch = model_and_batch(TriEmbedForMaskedLM)
    model.predictions.decoder = Adapted(16, 60)
    torch.testing.assert_close(model(**batch, skip_logits=True).loss, model(**batch).loss)
