"""Whether every way to attend gives what eager attention gives in fp32 on the same device: outputs and gradients.

The reference pads documents into a batch and writes attention out. In fp32 another way may differ by rounding. In bf16
(autocast) the kernels are held to the error that eager attention itself makes in bf16. Shapes: N documents, T tokens of
all of them, S the longest, D hidden.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import nn

from hf_embeddings import TriEmbedConfig, TriEmbedModel
from hf_embeddings.model.packing import has_variable_length
from hf_embeddings.model.positions import POSITION_TYPES
from hf_embeddings.pretraining.training.initial_model import compile_layers

TYPES = (*POSITION_TYPES, "learned+relative_bias", "rope+alibi")
COMPILED = ("learned", "rope", "alibi")  # types of the ways that are compiled, some seconds each
FP32 = {"outputs": 1e-4, "gradients": 1e-3}  # largest relative difference, in the Euclidean norm
# In bf16: times the error of eager attention, as the tests of flash-attn have it, and beyond.
OF_EAGER, SLACK = {"outputs": 2.0, "gradients": 3.0}, 1e-3
REFERENCE = "eager, padded, fp32"
FAILED = "failed:"  # what a reason begins with that is an error of a kernel
EAGER_BF16 = "eager, padded, bf16"


class Way(NamedTuple):
    """A way to attend: the kernel, whether documents are packed into one row, the number format."""

    kernel: str
    packed: bool
    bf16: bool
    compiled: bool = False


WAYS = {
    "sdpa, padded, fp32": Way("sdpa", packed=False, bf16=False),
    "sdpa, packed, fp32": Way("sdpa", packed=True, bf16=False),
    "sdpa, packed, compiled, fp32": Way("sdpa", packed=True, bf16=False, compiled=True),
    "flex_attention, padded, fp32": Way("flex_attention", packed=False, bf16=False),
    EAGER_BF16: Way("eager", packed=False, bf16=True),
    "sdpa, padded, bf16": Way("sdpa", packed=False, bf16=True),
    "sdpa, packed, bf16": Way("sdpa", packed=True, bf16=True),  # variable-length attention, where there is no bias
    "flash_attention_2, packed, bf16": Way("flash_attention_2", packed=True, bf16=True),
}


class Documents(NamedTuple):
    """Documents of different lengths, and what their outputs are multiplied with for a loss."""

    ids: list[torch.Tensor]  # N of (length,)
    weights: torch.Tensor  # (T, D)

    @classmethod
    def draw(cls, lengths: list[int], width: int, device: torch.device) -> "Documents":
        """Draw ids and weights, the same on every device."""
        generator = torch.Generator().manual_seed(0)
        ids = [torch.randint(5, 100, (length,), generator=generator).to(device) for length in lengths]
        return cls(ids, torch.randn(sum(lengths), width, generator=generator).to(device))


class Result(NamedTuple):
    """What a way gives."""

    outputs: torch.Tensor  # (T, D) in fp32
    gradients: dict[str, torch.Tensor]


class Finding(NamedTuple):
    """How far a way is from the reference, or why it was not tried."""

    position: str
    way: str
    outputs: float | None = None  # relative differences
    gradients: float | None = None
    allowed: bool = True
    skipped: str = ""


def build(position: str, *, small: bool, device: torch.device) -> TriEmbedModel:
    """Return a model whose parameters are all different from 0, so that each of them matters."""
    width, heads, layers = (32, 2, 2) if small else (256, 4, 4)
    config = TriEmbedConfig(
        vocab_size=128, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=2 * width, max_position_embeddings=512, position_embedding_type=position,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    torch.manual_seed(0)
    model = TriEmbedModel(config, add_pooling_layer=False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model.to(device)


def run(model: TriEmbedModel, documents: Documents, way: Way) -> Result:
    """Run forward and backward."""
    model.set_attn_implementation(way.kernel)
    model.zero_grad(set_to_none=True)
    device, lengths = documents.weights.device, [len(ids) for ids in documents.ids]
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=way.bf16):
        if way.packed:
            bounds = torch.tensor([0, *lengths], device=device).cumsum(0).to(torch.int32)
            outputs = model(torch.cat(documents.ids)[None], cu_seq_lens_q=bounds).last_hidden_state[0]
        else:
            ids = nn.utils.rnn.pad_sequence(documents.ids, batch_first=True)  # (N, S)
            mask = torch.arange(ids.shape[1], device=device) < torch.tensor(lengths, device=device)[:, None]
            model.config.padding_free = False
            outputs = model(ids, attention_mask=mask.long()).last_hidden_state[mask]
            model.config.padding_free = True
    ((outputs.float() * documents.weights).sum() / len(outputs)).backward()
    found = {name: p.grad.float().clone() for name, p in model.named_parameters() if p.grad is not None}
    return Result(outputs.detach().float(), found)


def differences(result: Result, reference: Result) -> tuple[float, float]:
    """Return the relative differences of outputs, and of all gradients together, in the Euclidean norm."""

    def norm(tensors: list[torch.Tensor]) -> float:
        return float(torch.stack([tensor.double().square().sum() for tensor in tensors]).sum().sqrt())

    names = reference.gradients.keys()
    if result.gradients.keys() != names:
        return float("inf"), float("inf")
    apart = [result.gradients[name] - reference.gradients[name] for name in names]
    outputs = norm([result.outputs - reference.outputs]) / norm([reference.outputs])
    return outputs, norm(apart) / norm(list(reference.gradients.values()))


def why_not(way: Way, position: str, device: torch.device) -> str:
    """Return why a way is not tried; nothing where it is."""
    if way.kernel == "flash_attention_2" and (device.type != "cuda" or not find_spec("flash_attn")):
        return "flash_attn is not installed" if device.type == "cuda" else "it needs a GPU"
    if way.kernel == "flex_attention" and device.type == "cpu":
        return "no gradients on a CPU"
    if (way.compiled or way.kernel == "flex_attention") and position not in COMPILED:
        return f"compiled for {', '.join(COMPILED)} only"
    return ""


def check(positions: list[str], *, device: torch.device, small: bool, ways: dict[str, Way] = WAYS) -> Iterator[Finding]:
    """Yield what each way gives for each position type."""
    lengths = [2, 9, 5, 20] if small else [300, 3, 64, 128, 17, 255, 90, 300, 41, 1, 512, 77]
    for position in positions:
        model = build(position, small=small, device=device)
        documents = Documents.draw(lengths, model.config.hidden_size, device)
        reference = run(model, documents, Way("eager", packed=False, bf16=False))
        limits = FP32
        for name, way in ways.items():
            if reason := why_not(way, position, device):
                yield Finding(position, name, skipped=reason)
                continue
            tried = model
            if way.compiled:
                tried = build(position, small=small, device=device)
                compile_layers(tried)
            finding = attempt(tried, documents, Finding(position, name), way, reference, limits)
            if name == EAGER_BF16 and not finding.skipped:
                limits = {part: OF_EAGER[part] * getattr(finding, part) + SLACK for part in OF_EAGER}
                finding = finding._replace(allowed=True)
            yield finding


def attempt(
    model: TriEmbedModel,
    documents: Documents,
    finding: Finding,
    way: Way,
    reference: Result,
    limits: dict[str, float],
) -> Finding:
    """Return how far a way is from the reference, and whether that is allowed; or why it cannot be said."""
    try:
        outputs, gradients = differences(run(model, documents, way), reference)
    except ValueError as error:  # the model refuses a kernel that would drop what the type adds
        return finding._replace(skipped=f"refused: {error}")
    except Exception as error:  # one kernel that this machine cannot run must not hide what the others give
        return finding._replace(skipped=f"{FAILED} {type(error).__name__}: {error}".splitlines()[0])
    allowed = outputs <= limits["outputs"] and gradients <= limits["gradients"]
    return finding._replace(outputs=outputs, gradients=gradients, allowed=allowed)


def table(findings: list[Finding], device: torch.device) -> list[str]:
    """Write the worst of each way over all position types as Markdown."""
    varlen = has_variable_length(device, torch.bfloat16, 64)
    lines = [
        f"Reference: {REFERENCE}, on this device. Largest relative differences over position types; packed bf16 uses "
        f"{'torch variable-length attention where there is no bias' if varlen else 'padded groups'} here.",
        "", "| way | types | outputs | gradients | not tried |", "|---|---:|---:|---:|---|",
    ]  # fmt: skip
    for way in dict.fromkeys(finding.way for finding in findings):
        own = [finding for finding in findings if finding.way == way]
        tried = [finding for finding in own if not finding.skipped]
        reasons: dict[str, list[str]] = {}
        for finding in own:
            if finding.skipped:
                reasons.setdefault(finding.skipped.partition(" the score bias")[0], []).append(finding.position)
        left_out = "; ".join(f"{reason} ({len(names)} types)" for reason, names in reasons.items())
        worst = [max((getattr(f, part) for f in tried), default=None) for part in ("outputs", "gradients")]
        cells = ["" if value is None else f"{value:.1e}" for value in worst]
        lines.append(f"| {way} | {len(tried)} | {cells[0]} | {cells[1]} | {left_out} |")
    return [*lines, ""]
