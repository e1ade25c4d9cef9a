"""The law of every conversion, for any family: same numbers, same gradients, and every bit of it back."""

import copy
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from transformers import PreTrainedModel

import hf_embeddings
from hf_embeddings.conversion import FAMILIES, convert
from hf_embeddings.conversion.output_check import OUTPUTS
from hf_embeddings.conversion.plan import Step, make_plan
from hf_embeddings.conversion.weight_names import canonical_names

SIZES = dict(
    vocab_size=99, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
    max_position_embeddings=40, pad_token_id=0,
)  # fmt: skip


def tiny(architecture: str, **changes: object) -> PreTrainedModel:
    """Return a random model of transformers with weights large enough that every part shows in the output."""
    torch.manual_seed(0)
    model_class = getattr(transformers, architecture)
    sizes = SIZES | changes
    if architecture.startswith("DistilBert"):
        sizes["hidden_dim"] = sizes.pop("intermediate_size")
    model = model_class(model_class.config_class(**sizes)).eval()
    untied = not model.config.tie_word_embeddings
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
        for second, first in (model._tied_weights_keys or {}).items() if untied else ():
            if second.endswith("bias"):  # an untied head reads one of its two biases; the other cannot be carried over
                model.get_parameter(first).copy_(model.get_parameter(second))
    return model


def batch(architecture: str, config: transformers.PreTrainedConfig) -> dict[str, torch.Tensor]:
    """Return three rows, one of them padded, with segments where the model has them."""
    torch.manual_seed(1)
    mask = torch.tensor([[1] * 12, [1] * 7 + [0] * 5, [1] * 12])
    ids = torch.randint(5, 99, (3, 12)).masked_fill(mask == 0, config.pad_token_id)
    result = {"input_ids": ids, "attention_mask": mask}
    if getattr(config, "type_vocab_size", 0) > 1:
        result["token_type_ids"] = (torch.arange(12) > 5).long().expand(3, -1).contiguous()
    return {k: v[None] for k, v in result.items()} if architecture.endswith("MultipleChoice") else result


def outputs(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return all floating point outputs, padding left out."""
    made = {OUTPUTS.get(n, n): v for n, v in model(**inputs, output_hidden_states=True, return_dict=True).items()}
    keep = inputs["attention_mask"].flatten(0, -2).bool()
    flat = {f"{n}{i}": t for n, v in made.items() for i, t in enumerate(v if isinstance(v, tuple) else [v])}
    return {n: t[keep] if t.shape[:2] == keep.shape else t for n, t in flat.items() if torch.is_tensor(t)}


def score(made: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return one number that depends on all last outputs, to take gradients of."""
    torch.manual_seed(2)
    final = [t.flatten() for n, t in made.items() if not n.startswith("hidden_states")]
    return sum((tensor * torch.randn_like(tensor)).sum() for tensor in final) / sum(t.numel() for t in final) ** 0.5


def assert_converts(architecture: str, folder: Path, **changes: object) -> hf_embeddings.TriEmbedPreTrainedModel:
    """Convert a tiny random model there and back, and hold both ways to the law; return the TriEmbed model."""
    source = tiny(architecture, **changes)
    source.save_pretrained(folder / "source")
    report = convert(folder / "source", folder / "ours")
    assert report.largest_difference <= 1e-5
    ours = getattr(hf_embeddings, report.target_class).from_pretrained(folder / "ours").eval()
    inputs = batch(architecture, source.config)
    theirs_out, ours_out = outputs(source, inputs), outputs(ours, inputs)
    assert len(theirs_out) > 4
    for name, tensor in theirs_out.items():
        torch.testing.assert_close(
            ours_out[name].view_as(tensor), tensor, atol=1e-5, rtol=0, msg=lambda m, n=name: f"{n}: {m}"
        )
    _assert_same_gradients(source, ours, theirs_out, ours_out, folder)
    convert(folder / "ours", folder / "back", to=source.config.model_type)
    _assert_back(source, folder)
    return ours


def _assert_same_gradients(source, ours, theirs_out, ours_out, folder: Path) -> None:
    family, architecture = FAMILIES[source.config.model_type], type(source).__name__
    plan = make_plan(family, architecture, ours.config)
    score(theirs_out).backward()
    score({name: ours_out[name] for name in theirs_out}).backward()
    theirs = gradients_as_stored(source, folder)
    theirs = {today: theirs[stored] for stored, today in canonical_names(theirs, family).items()}
    mine = dict(ours.named_parameters())
    compared = 0
    for step in plan.steps:
        if any(plan.is_optional(name) and name not in theirs for name in step.sources):
            continue
        expected = [theirs[name] for name in step.sources]
        for name, found, gradient in zip(step.sources, pulled_back(step, mine, ours, expected), expected, strict=True):
            torch.testing.assert_close(found, gradient, atol=1e-4, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")
        compared += len(step.targets)
    assert compared > len(plan.shapes) * 0.8


def pulled_back(step: Step, mine: dict, ours: PreTrainedModel, sources: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return the gradients of a step's sources that those of its targets amount to: a shared weight has their sum."""
    start = [torch.zeros_like(tensor, requires_grad=True) for tensor in sources]
    made = zip(step.targets, step.forward(start, ours.config.to_dict()), strict=True)
    trained = [(tensor, mine[name]) for name, tensor in made if tensor.requires_grad]  # others are constants
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for _, one in trained]
    found = torch.autograd.grad([tensor for tensor, _ in trained], start, gradients, allow_unused=True)
    return [torch.zeros_like(tensor) if one is None else one for one, tensor in zip(found, start, strict=True)]


def gradients_as_stored(model: PreTrainedModel, folder: Path) -> dict[str, torch.Tensor]:
    """Return the gradients under the names, and in the layout, in which transformers stores the weights."""
    with torch.no_grad():
        twin = copy.deepcopy(model)
        for parameter, original in zip(twin.parameters(), model.parameters(), strict=True):
            parameter.copy_(torch.zeros_like(parameter) if original.grad is None else original.grad)
    twin.save_pretrained(folder / "gradients")
    return load_file(folder / "gradients/model.safetensors")


def _assert_back(source: PreTrainedModel, folder: Path) -> None:
    stored, back = load_file(folder / "source/model.safetensors"), load_file(folder / "back/model.safetensors")
    assert set(back) == set(stored)
    for name, tensor in stored.items():
        assert torch.equal(back[name], tensor), name
    again, info = type(source).from_pretrained(folder / "back", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    for name, tensor in source.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    ignored = {"_name_or_path", "transformers_version", "dtype"}
    for key in source.config.to_dict().keys() - ignored:
        assert getattr(again.config, key) == getattr(source.config, key), key
