"""Give a TriEmbed checkpoint other positions, or more of them, and say what that costs before and after healing."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedModel

from hf_embeddings.conversion.checkpoints import read_json
from hf_embeddings.conversion.companions import copy_companions
from hf_embeddings.conversion.healing import Healing, heal, measure, rows_of
from hf_embeddings.conversion.rules import Config, ConversionError
from hf_embeddings.conversion.staging import staged
from hf_embeddings.conversion.surgery import load_own, save_own
from hf_embeddings.conversion.transplants import (
    FITS,
    LAYER_FITS,
    attention_profile,
    fit_layer_keys,
    keep_the_mean,
    resize_distances,
    resize_rows,
)
from hf_embeddings.model.configuration_triembed import TriEmbedConfig

POSITION_FIELDS = ("position_embedding_type", "position_parameters", "max_position_embeddings", "rope_parameters")
MEASURED_ROWS = 64


@dataclass
class RepositionReport:
    """What changed, how each part of the new positions was made, and the figures."""

    source: str
    target: str
    before: str
    after: str
    max_position_embeddings: tuple[int, int]
    made: dict[str, str] = field(default_factory=dict)  # part of the new positions -> how its values came about
    # Figures by model ("source", "transplanted", "healed") and length in tokens; see healing.measure.
    figures: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    healing_steps: int = 0
    seconds: float = 0.0


def reposition(
    source: str | Path,
    target: str | Path,
    *,
    to: str | None = None,
    max_position_embeddings: int | None = None,
    rope_parameters: dict | None = None,
    position_parameters: dict | None = None,
    interpolate: bool = False,
    texts: Sequence[str] = (),
    held_out: Sequence[str] = (),
    healing: Healing | None = None,
    overwrite: bool = False,
    notify: Callable[[str], None] = lambda line: None,
) -> RepositionReport:
    """Write `source` with other positions.

    Args:
        source: directory of a TriEmbed checkpoint.
        target: directory to write; appears only when everything is done.
        to: `position_embedding_type` of the result; None keeps it.
        max_position_embeddings: new length in tokens; None keeps it.
        rope_parameters: as in the config, for a result with RoPE.
        position_parameters: options of the new types, as in the config.
        interpolate: stretch a learned table over the new length instead of keeping its rows and adding some.
        texts: documents to heal on.
        held_out: documents to measure on; without them nothing is measured.
        healing: how to heal; None does not.
        overwrite: replace `target` if it is not empty.
        notify: called with a line of text now and then.

    Raises:
        ConversionError: the source is no TriEmbed checkpoint, nothing would change, or the choices contradict.
    """
    started = time.perf_counter()
    old = load_own(Path(source))
    changes = {
        "position_embedding_type": to,
        "max_position_embeddings": max_position_embeddings,
        "rope_parameters": rope_parameters,
        "position_parameters": position_parameters,
    }
    new = _remake(old, {name: value for name, value in changes.items() if value is not None})
    report = RepositionReport(
        source=str(source),
        target=str(target),
        before=old.config.position_embedding_type,
        after=new.config.position_embedding_type,
        max_position_embeddings=(old.config.max_position_embeddings, new.config.max_position_embeddings),
    )
    notify(f"transplanting {report.before} to {report.after}")
    report.made = _transplant(old, new, interpolate=interpolate)
    with staged(Path(target), overwrite=overwrite) as stage:
        if texts or held_out:
            _measure_and_heal(old, new, Path(source), report, texts, held_out, healing, notify)
        save_own(new, stage)
        copy_companions(Path(source), stage, tokenizer_class="BertTokenizer")
        _lengthen_tokenizer(stage, *report.max_position_embeddings)
        report.seconds = time.perf_counter() - started
        (stage / "repositioning.json").write_text(json.dumps(asdict(report), indent=2) + "\n")
        (stage / "README.md").write_text(_card(report), encoding="utf-8")
    return report


def _remake(old: PreTrainedModel, changes: Config) -> PreTrainedModel:
    """Return a model of the same class with the changed config, random where it differs."""
    told = old.config.to_diff_dict()
    if to := changes.get("position_embedding_type"):
        kept = set(to.split("+"))
        told["position_parameters"] = {
            name: options for name, options in (told.get("position_parameters") or {}).items() if name in kept
        } or None
        if not kept & {"rope"}:
            told.pop("rope_parameters", None)
    for name in ("model_type", "transformers_version", "architectures", "auto_map", "dtype"):
        told.pop(name, None)
    before = {name: getattr(old.config, name, None) for name in POSITION_FIELDS}
    try:
        config = TriEmbedConfig(**told | changes)
    except ValueError as error:
        raise ConversionError(str(error)) from None
    if before == {name: getattr(config, name, None) for name in POSITION_FIELDS}:
        raise ConversionError("nothing to change: the source has these positions already")
    torch.manual_seed(0)
    bare = {"add_pooling_layer": old.pooler is not None} if type(old).__name__ == "TriEmbedModel" else {}
    return type(old)(config, **bare).to(old.dtype).eval()


@torch.no_grad()
def _transplant(old: PreTrainedModel, new: PreTrainedModel, *, interpolate: bool) -> dict[str, str]:
    """Carry all weights over, and give those of the positions start values; return how."""
    weights, slots = old.state_dict(), new.state_dict()
    for name, slot in slots.items():
        if name in weights and weights[name].shape == slot.shape:
            slot.copy_(weights[name])
    old_encoder, new_encoder = old.base_model, new.base_model
    new_encoder.to(torch.float32)
    made = {}
    old_parts, new_parts = old_encoder.embeddings.position, new_encoder.embeddings.position
    generator = torch.Generator().manual_seed(0)
    length = min(128, old.config.max_position_embeddings, new.config.max_position_embeddings)
    ids = torch.randint(old.config.vocab_size, (16, length), generator=generator)
    profile = None
    for name in new_parts:
        if name in old_parts:
            made[name] = _resize(name, old_encoder, new_encoder, interpolate=interpolate)
            continue
        if name in (*FITS, *LAYER_FITS):
            profile = attention_profile(old_encoder, ids) if profile is None else profile
            if name in FITS:
                FITS[name](new_parts[name], profile, old_encoder, ids)
            else:
                fit_layer_keys(new_encoder, name, profile, old_encoder, ids)
            made[name] = "least squares over the source's attention by distance"
        elif name == "learned":
            made[name] = _fill_learned(new_parts[name], old_parts)
        elif any(True for _ in new_parts[name].parameters()) or new_parts[name].layer_part is not None:
            made[name] = "random: no closed form is known"
        else:
            made[name] = "has no weights"
    kept = keep_the_mean(old_encoder, new_encoder) if set(old_parts) != set(new_parts) else 1.0
    if kept == kept and kept < 1:
        made["mean of the old vectors"] = f"kept in the segments or tokens, {kept:.0%} of their squared length"
    new_encoder.to(old.dtype)
    return made


def _resize(name: str, old: PreTrainedModel, new: PreTrainedModel, *, interpolate: bool) -> str:
    """Fit a part that both models have to the new length."""
    if name == "learned":
        part, before = new.embeddings.position[name], old.embeddings.position[name]
        rows = new.config.max_position_embeddings
        part.table.weight.copy_(resize_rows(before.table.weight, rows, offset=part.offset, interpolate=interpolate))
        same = rows == old.config.max_position_embeddings
        return "unchanged" if same else "interpolated" if interpolate else "old rows unchanged, new rows repeat them"
    if name in LAYER_FITS:
        for before, after in zip(old.layers, new.layers, strict=True):
            table = before.attention.position[name].table.weight
            reach = new.config.max_position_embeddings - 1
            after.attention.position[name].table.weight.copy_(resize_distances(table, reach))
        return "old distances unchanged, further ones repeat the furthest"
    return "unchanged"


def _fill_learned(part: torch.nn.Module, old_parts: torch.nn.Module) -> str:
    summand = old_parts.per_token(torch.arange(part.length_limit)[None]).summand if "learned" not in old_parts else None
    part.table.weight.zero_()
    if summand is None:
        return "zeros: the model starts without, and learns"
    part.table.weight[part.offset :] = summand[0]
    return "equal to the source's vectors"


def _measure_and_heal(
    old: PreTrainedModel,
    new: PreTrainedModel,
    folder: Path,
    report: RepositionReport,
    texts: Sequence[str],
    held_out: Sequence[str],
    healing: Healing | None,
    notify: Callable[[str], None],
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    longest = min(report.max_position_embeddings)
    length = min(healing.length if healing else 128, longest)
    lengths = [length] + ([min(2 * report.max_position_embeddings[0], report.max_position_embeddings[1])]
                          if report.max_position_embeddings[1] > report.max_position_embeddings[0] else [])  # fmt: skip

    def figures(model: PreTrainedModel, *, is_source: bool) -> dict[str, dict[str, float]]:
        made = {}
        for tokens in lengths[:1] if is_source else lengths:
            rows = rows_of(held_out, tokenizer, tokens, most=MEASURED_ROWS)
            teacher = old if not is_source and tokens == length else None
            made[str(tokens)] = measure(model, teacher, rows, tokenizer)
        return made

    if held_out:
        report.figures["source"] = figures(old, is_source=True)
        report.figures["transplanted"] = figures(new, is_source=False)
    if healing is None:
        return
    rows = rows_of(texts, tokenizer, length, most=healing.steps * healing.batch_size)
    heal(new, old, rows, tokenizer, healing, notify=notify)
    report.healing_steps = healing.steps
    if held_out:
        report.figures["healed"] = figures(new, is_source=False)


def _lengthen_tokenizer(folder: Path, before: int, after: int) -> None:
    """Let the tokenizer truncate at the new length where it truncated at the old one."""
    path = folder / "tokenizer_config.json"
    if path.is_file() and (settings := read_json(path)).get("model_max_length") == before:
        path.write_text(json.dumps(settings | {"model_max_length": after}, indent=2) + "\n")


def _card(report: RepositionReport) -> str:
    made = "\n".join(f"- {name}: {how}" for name, how in report.made.items())
    rows = [
        f"| {model} | {length} | {name.replace('_', ' ')} | {value:.4f} |"
        for model, lengths in report.figures.items()
        for length, found in lengths.items()
        for name, value in found.items()
    ]
    table = "\n".join(["| model | tokens | figure | value |", "|---|---|---|---|", *rows]) if rows else "Not measured."
    return f"""---
library_name: transformers
tags: [triembed]
---

# {Path(report.target).name}

`{Path(report.source).name}` with `{report.after}` positions in place of `{report.before}`, for up to
{report.max_position_embeddings[1]:,} tokens instead of {report.max_position_embeddings[0]:,}; healed for
{report.healing_steps} steps.

{made}

{table}
"""
