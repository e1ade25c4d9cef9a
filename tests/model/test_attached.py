"""What other libraries attach to a module works, because the model reaches each parameter by calling its module."""

from contextlib import nullcontext

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.nn.utils import prune

from hf_embeddings import POSITION_TYPES
from tests.model.test_expectations import HEADS, batch, make, tensors

MODES = ("plain", "eager", "autocast", "checkpointing", "packing", "fused loss")
TABLES = ("learned", "relative_bias", "relative_key", "relative_key_query", "disentangled", "tupe")


def keep_away(model: nn.Module) -> list[str]:
    """Let parameters be NaN but while their module runs, as offloading does; return the names of modules that ran."""
    ran: list[str] = []
    for name, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        kept = {key: parameter.detach().clone() for key, parameter in own.items()}

        def fetch(module, arguments, own=own, kept=kept, name=name) -> None:
            ran.append(name)
            for key, parameter in own.items():
                parameter.data.copy_(kept[key])

        def put_away(module, arguments, output, own=own) -> None:
            for parameter in own.values():
                parameter.data.fill_(torch.nan)

        module.register_forward_pre_hook(fetch)
        module.register_forward_hook(put_away)
    for parameter in model.parameters():
        parameter.data.fill_(torch.nan)
    return ran


def run(model: nn.Module, head: str, mode: str) -> list[torch.Tensor]:
    inputs = batch(head)
    if mode == "eager":
        model.set_attn_implementation("eager")
    if mode == "checkpointing":
        model.train().gradient_checkpointing_enable({"use_reentrant": False})
    if mode == "packing":
        inputs = {"input_ids": inputs["input_ids"][:1], "position_ids": torch.tensor([[0, 1, 2, 0, 1, 2, 3]])}
    if mode == "fused loss":
        inputs["skip_logits"] = True
    grad = torch.enable_grad() if mode == "checkpointing" else torch.no_grad()
    with grad, torch.autocast("cpu", torch.bfloat16) if mode == "autocast" else nullcontext():
        return [tensor.detach() for tensor in tensors(model(**inputs))]


def check(head: str, position: str, mode: str) -> None:
    model = make(head, position)
    expected = run(model, head, mode)
    ran = keep_away(model)
    for found, wanted in zip(run(model, head, mode), expected, strict=True):
        torch.testing.assert_close(found, wanted)
    needed = {
        name
        for name, module in model.named_modules()
        if any(True for _ in module.parameters()) and not isinstance(module, nn.ModuleList | nn.ModuleDict)
    }
    assert needed <= set(ran), needed - set(ran)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("position", POSITION_TYPES)
def test_every_module_is_called_by_every_position_type(position: str, mode: str) -> None:
    check("ForPreTraining", position, mode)


@pytest.mark.parametrize("mode", MODES[:4])
@pytest.mark.parametrize("head", HEADS)
def test_every_module_is_called_by_every_head(head: str, mode: str) -> None:
    check(head, "learned", mode)


@pytest.mark.parametrize("position", [*TABLES, "fire", "fourier"])
def test_an_adapter_on_positions_matters_learns_and_merges(position: str) -> None:
    target = ["up", "down"] if position in ("fire", "fourier") else ["table"]
    model = make("Model", position, initializer_range=0.3)
    ids = batch("Model")["input_ids"]
    before = model(ids).last_hidden_state
    adapted = get_peft_model(model, LoraConfig(target_modules=target, r=2)).eval()
    low_rank = {name: weight for name, weight in adapted.named_parameters() if "lora_" in name}
    for weight in low_rank.values():
        nn.init.normal_(weight)
    after = adapted(ids).last_hidden_state
    after[..., ::2].pow(2).sum().backward()
    assert not torch.allclose(after, before, atol=1e-3)
    assert all(weight.grad is not None and weight.grad.any() for weight in low_rank.values())
    torch.testing.assert_close(adapted.merge_and_unload()(ids).last_hidden_state, after, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("position", TABLES[:1])
def test_a_table_with_an_adapter_is_not_resized(position: str) -> None:
    adapted = get_peft_model(make("Model", position), LoraConfig(target_modules=["table"], r=2))
    with pytest.raises(ValueError, match="merge the adapter first"):
        adapted.base_model.model.resize_position_embeddings(8)


@pytest.mark.parametrize("attach", ["prune", "forward", "parametrize"])
def test_a_loss_without_logits_honours_what_is_attached_to_the_decoder(attach: str) -> None:
    model = make("ForMaskedLM", tie_word_embeddings=False)
    inputs, decoder = batch("ForMaskedLM"), model.predictions.decoder
    if attach == "prune":
        prune.l1_unstructured(decoder, "weight", amount=0.5)
        decoder.weight_orig.data.mul_(3)
    elif attach == "forward":
        plain = decoder.forward
        decoder.forward = lambda states: plain(states) * 3
    else:
        nn.utils.parametrizations.weight_norm(decoder).parametrizations.weight.original0.data.mul_(3)
    whole = model(**inputs).loss
    torch.testing.assert_close(model(**inputs, skip_logits=True).loss, whole)


class Wrapped(nn.Module):
    """A table that has no `weight`."""

    def __init__(self, table: nn.Module) -> None:
        super().__init__()
        self.table = table

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.table(ids)


@pytest.mark.parametrize("position", POSITION_TYPES)
def test_a_table_needs_no_weight(position: str) -> None:
    model = make("Model", position)
    ids = batch("Model")["input_ids"]
    expected = model(ids).last_hidden_state
    model.set_input_embeddings(Wrapped(model.get_input_embeddings()))
    for module in [m for m in model.modules() if isinstance(getattr(m, "table", None), nn.Embedding)]:
        if not isinstance(module, Wrapped):
            module.table = Wrapped(module.table)
    assert torch.equal(model(ids).last_hidden_state, expected)


@pytest.mark.filterwarnings("ignore")  # torch announces the successor of this module
@pytest.mark.parametrize("position", POSITION_TYPES)
def test_eight_bit_layers_and_tables_run(position: str) -> None:
    model = make("Model", position)
    ids = batch("Model")["input_ids"]
    expected = model(ids).last_hidden_state
    of_tables = torch.ao.quantization.float_qparams_weight_only_qconfig
    for kinds, dtype in (({nn.Linear}, torch.qint8), ({nn.Embedding: of_tables}, torch.quint8)):
        model = torch.ao.quantization.quantize_dynamic(model, kinds, dtype=dtype)
    torch.testing.assert_close(model(ids).last_hidden_state, expected, atol=0.3, rtol=0.3)
