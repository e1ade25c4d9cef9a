"""Give a TriEmbed checkpoint other positions, or more of them, and say what that costs before and after healing."""

import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedModel

from hf_embeddings.conversion.checkpoints import read_json
from hf_embeddings.conversion.companions import copy_companions
from hf_embeddings.conversion.configs import make_config
from hf_embeddings.conversion.healing import Healing, heal, measure, rows_of
from hf_embeddings.conversion.origin import shown, write_origin
from hf_embeddings.conversion.rules import Config, ConversionError
from hf_embeddings.conversion.staging import staged
from hf_embeddings.conversion.surgery import load_own, save_own
from hf_embeddings.conversion.transplants import (
    FITS,
    LAYER_FITS,
    attention_profile,
    fit_layer_keys,
    keep_what_is_common,
)
from hf_embeddings.model.positions import POSITION_TYPES

POSITION_FIELDS = ("position_embedding_type", "position_parameters", "max_position_embeddings", "rope_parameters")
MEASURED_ROWS = 512


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
    longer = _resize(old, max_position_embeddings, interpolate=interpolate)
    changes = {
        "position_embedding_type": to,
        "rope_parameters": rope_parameters,
        "position_parameters": position_parameters,
    }
    new = _remake(longer, {name: value for name, value in changes.items() if value is not None})
    if _told(new) == _told(old):
        raise ConversionError("nothing to change: the source has these positions already")
    report = RepositionReport(
        source=str(source),
        target=str(target),
        before=old.config.position_embedding_type,
        after=new.config.position_embedding_type,
        max_position_embeddings=(old.config.max_position_embeddings, new.config.max_position_embeddings),
    )
    notify(f"transplanting {report.before} to {report.after}")
    report.made = _transplant(longer, new, _first_token(Path(source)))
    with staged(Path(target), source=Path(source), overwrite=overwrite) as stage:
        if texts or held_out:
            _measure_and_heal(old, new, Path(source), report, texts, held_out, healing, notify)
        save_own(new, stage)
        copy_companions(Path(source), stage, tokenizer_class="BertTokenizer")
        _lengthen_tokenizer(stage, *report.max_position_embeddings)
        report.seconds = time.perf_counter() - started
        (stage / "repositioning.json").write_text(json.dumps(asdict(report), indent=2) + "\n")
        before = f"`{shown(source)}`, which has `{report.before}` positions"
        made = f"with `{report.after}` positions, made from {before}"
        write_origin(stage, source=source, folder=Path(source), made=made, description=_description(report))
    return report


def _told(model: PreTrainedModel) -> Config:
    return {name: getattr(model.config, name, None) for name in POSITION_FIELDS}


def _resize(old: PreTrainedModel, length: int | None, *, interpolate: bool) -> PreTrainedModel:
    """Return a copy with tables for another length, or the model itself where the length stays."""
    before = old.config.max_position_embeddings
    if length is None or length == before:
        return old
    longer = copy.deepcopy(old)
    how = "interpolate" if interpolate else "extend" if length > before else "truncate"
    try:
        if any(part.has_table for part in old.base_model.embeddings.position.values()):
            longer.resize_position_embeddings(length, how)
        else:
            longer.config.max_position_embeddings = length
    except ValueError as error:
        raise ConversionError(str(error)) from None
    return longer


def _remake(old: PreTrainedModel, changes: Config) -> PreTrainedModel:
    """Return a model of the same class with the changed config, random where it differs."""
    told = old.config.to_diff_dict()
    if to := changes.get("position_embedding_type"):
        kept = set(to.split("+"))
        options = {name: value for name, value in (told.get("position_parameters") or {}).items() if name in kept}
        told["position_parameters"] = options or None
        if not any(getattr(POSITION_TYPES.get(name), "rotary", False) for name in kept):
            told.pop("rope_parameters", None)
    for name in ("model_type", "transformers_version", "architectures", "auto_map", "dtype"):
        told.pop(name, None)
    config = make_config(told | changes)
    torch.manual_seed(0)
    bare = {"add_pooling_layer": old.pooler is not None} if type(old).__name__ == "TriEmbedModel" else {}
    return type(old)(config, **bare).to(old.dtype).eval()


@torch.no_grad()
def _transplant(old: PreTrainedModel, new: PreTrainedModel, first_token: int | None) -> dict[str, str]:
    """Carry all weights over, and give those of new positions start values; return how."""
    weights = old.state_dict()
    for name, slot in new.state_dict().items():
        if name in weights and weights[name].shape == slot.shape:
            slot.copy_(weights[name])
    old_encoder, new_encoder = old.base_model, new.base_model
    old_parts, new_parts = old_encoder.embeddings.position, new_encoder.embeddings.position
    ids = _tokens_in_no_order(old)
    profile = None
    made = {}
    for name, part in new_parts.items():
        if name in old_parts:
            made[name] = "carried over"
        elif name in FITS or name in LAYER_FITS:
            profile = attention_profile(old_encoder, ids) if profile is None else profile
            if name in FITS:
                FITS[name](part, profile, old_encoder, ids)
            else:
                fit_layer_keys(new_encoder, name, profile, old_encoder, ids)
            made[name] = "least squares over the source's attention by distance"
        elif name == "learned":
            made[name] = _fill_learned(part, old_parts)
        elif any(True for _ in part.parameters()) or part.layer_part is not None:
            made[name] = "as in a new model: no closed form is known"
        else:
            made[name] = "has no weights"
    if set(old_parts) != set(new_parts):
        tables = old_encoder.embeddings.token.weight.shape[1] == old.config.input_size
        kept = keep_what_is_common(old_encoder, new_encoder, first_token if tables else None)
        if kept == kept:
            made["old vectors"] = f"{kept:.0%} of their squared length moved to segments, tokens and the first token"
    return made


def _first_token(folder: Path) -> int | None:
    """Return the id that every input starts with, None where no tokenizer says so."""
    try:
        ids = AutoTokenizer.from_pretrained(folder)("")["input_ids"]
    except Exception:  # weights without a tokenizer can be changed too
        return None
    return ids[0] if ids else None


def _tokens_in_no_order(model: PreTrainedModel) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    length = min(128, model.config.max_position_embeddings)
    return torch.randint(model.config.vocab_size, (16, length), generator=generator)


def _fill_learned(part: torch.nn.Module, old_parts: torch.nn.Module) -> str:
    summand = old_parts(torch.arange(part.length_limit)[None]).summand
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
    before, after = report.max_position_embeddings
    lengths = [length, min(2 * before, after)] if after > before else [length]

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


def _description(report: RepositionReport) -> str:
    """Return what was done, and the figures, in Markdown."""
    before, after = report.max_position_embeddings
    made = "\n".join(f"- {name}: {how}" for name, how in report.made.items())
    rows = [
        f"| {model} | {length} | {name.replace('_', ' ')} | {value:.4f} |"
        for model, lengths in report.figures.items()
        for length, found in lengths.items()
        for name, value in found.items()
    ]
    table = "\n".join(["| model | tokens | figure | value |", "|---|---|---|---|", *rows]) if rows else "Not measured."
    return (
        f"`{report.after}` positions in place of `{report.before}`, for up to {after:,} tokens instead of {before:,}; "
        f"healed for {report.healing_steps} steps.\n\n{made}\n\n{table}"
    )
