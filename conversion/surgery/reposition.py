"""Give a TriEmbed checkpoint other positions, or more of them, and say what that costs before and after healing."""

import copy
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from hf_embeddings.conversion.companion_files import copy_companions, has_tokenizer
from hf_embeddings.conversion.configs import config_of
from hf_embeddings.conversion.origin import display_name, write_origin
from hf_embeddings.conversion.rules import Config, ConversionError
from hf_embeddings.conversion.surgery.distillation import Frame, tokens_of
from hf_embeddings.conversion.surgery.healing import Healing, heal
from hf_embeddings.conversion.surgery.own_checkpoint import load_own, save_own
from hf_embeddings.conversion.surgery.prompts_and_lengths import follow_length
from hf_embeddings.conversion.surgery.retention import measure_retention, share_kept
from hf_embeddings.conversion.surgery.transplant import transplant
from hf_embeddings.conversion.tokenizer_check import check_tokenizer
from hf_embeddings.corpora.sentence_tokens import set_sentence_ends
from hf_embeddings.file_names import REPOSITIONING
from hf_embeddings.files.staging import staged_directory
from hf_embeddings.json_record import JsonRecord
from hf_embeddings.loading.auto_classes import open_tokenizer
from hf_embeddings.loading.saved_model import check_saved
from hf_embeddings.model.modeling_triembed import TriEmbedModel, TriEmbedPreTrainedModel
from hf_embeddings.model.positions import POSITION_TYPES
from hf_embeddings.printable import counted

POSITION_FIELDS = ("position_embedding_type", "position_parameters", "max_position_embeddings", "rope_parameters")
MEASURED_TOKENS = 200_000  # of which 30,000 are masked: a 95 % confidence interval of less than 0.6 points


@dataclass
class RepositionReport(JsonRecord):
    """What changed, how each part of the new positions was made, and the figures."""

    source: str
    target: str
    before: str
    after: str
    max_position_embeddings: tuple[int, int]
    made: dict[str, str] = field(default_factory=dict)  # part of the new positions -> how its values came about
    # Figures by model ("source", "transplanted", "healed") and length in tokens; see `measure_retention`.
    figures: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    # What the others have kept of the source's accuracy, or similarities; see `retention.share_kept`.
    kept: dict[str, dict[str, float]] = field(default_factory=dict)
    # File and key that state where texts are cut -> the limit in tokens, before and after.
    limits: dict[str, tuple[int, int]] = field(default_factory=dict)
    healing_steps: int = 0
    seconds: float = 0.0


def reposition(
    source: str | Path,
    target: str | Path,
    *,
    to: str | None = None,
    max_position_embeddings: int | None = None,
    rope_parameters: Config | None = None,
    position_parameters: Config | None = None,
    interpolate: bool = False,
    texts: Sequence[str] = (),
    held_out: Sequence[str] = (),
    healing: Healing | None = None,
    overwrite: bool = False,
    notify: Callable[[str], None] = lambda line: None,
    finish: Callable[[Path], object] = lambda folder: None,
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
        finish: called with the directory just before it appears; what it writes there appears with it.

    Raises:
        ConversionError: the source is no TriEmbed checkpoint, nothing would change, or the choices contradict.
        ValueError: `target` is a link, a file, not empty, being written, or holds the source.
    """
    start = time.perf_counter()
    old = load_own(Path(source))
    if interpolate and (max_position_embeddings is None or not _has_table(old)):
        raise ConversionError(
            f"interpolate: stretches a learned table over another length, but max_position_embeddings is "
            f"{max_position_embeddings} and the source's positions are {old.config.position_embedding_type!r}"
        )
    longer = _resize(old, max_position_embeddings, interpolate=interpolate)
    changes = {
        "position_embedding_type": to,
        "rope_parameters": rope_parameters,
        "position_parameters": position_parameters,
    }
    tokenizer = _tokenizer(Path(source))
    new = _remake(longer, {name: value for name, value in changes.items() if value is not None}, tokenizer)
    if _position_fields(new) == _position_fields(old):
        raise ConversionError("nothing to change: the source has these positions already")
    report = RepositionReport(
        source=str(source),
        target=str(target),
        before=old.config.position_embedding_type,
        after=new.config.position_embedding_type,
        max_position_embeddings=(old.config.max_position_embeddings, new.config.max_position_embeddings),
    )
    notify(f"transplanting {report.before} to {report.after}")
    report.made = transplant(longer, new, _first_token(tokenizer))
    with staged_directory(Path(target), inputs={"source": source}, overwrite=overwrite) as stage:
        if texts or held_out:
            _measure_and_heal(old, new, Path(source), report, texts, held_out, healing, notify)
            report.kept = share_kept(report.figures)
        save_own(new, stage, source=Path(source))
        if has_tokenizer(copy_companions(Path(source), stage, tokenizer_class="BertTokenizer")):
            check_tokenizer(Path(source), stage)
        report.limits = follow_length(stage, *report.max_position_embeddings)
        report.seconds = time.perf_counter() - start
        text = json.dumps(report.to_dict(), indent=2) + "\n"
        (stage / REPOSITIONING).write_text(text, encoding="utf-8", newline="\n")
        before = f"`{display_name(source)}`, which has `{report.before}` positions"
        phrase = f"with `{report.after}` positions, made from {before}"
        write_origin(stage, source=source, folder=Path(source), phrase=phrase, description=_description(report))
        check_saved(stage)
        finish(stage)
    return report


def _position_fields(model: TriEmbedPreTrainedModel) -> Config:
    return {name: getattr(model.config, name, None) for name in POSITION_FIELDS}


def _resize(old: TriEmbedPreTrainedModel, length: int | None, *, interpolate: bool) -> TriEmbedPreTrainedModel:
    """Return a copy with tables for another length, or the model itself where the length stays."""
    before = old.config.max_position_embeddings
    if length is None or length == before:
        return old
    longer = copy.deepcopy(old)
    how = "interpolate" if interpolate else "extend" if length > before else "truncate"
    try:
        if _has_table(old):
            longer.resize_position_embeddings(length, how)
        else:
            longer.config.max_position_embeddings = length
    except ValueError as error:
        raise ConversionError(str(error)) from None
    return longer


def _has_table(model: TriEmbedPreTrainedModel) -> bool:
    return any(part.has_table for part in model.base_model.embeddings.position.values())


def _remake(
    old: TriEmbedPreTrainedModel, changes: Config, tokenizer: PreTrainedTokenizerBase | None
) -> TriEmbedPreTrainedModel:
    """Return a model of the same class with the changed config, random where it differs."""
    settings = old.config.to_diff_dict()
    if to := changes.get("position_embedding_type"):
        kept_types = set(to.split("+"))
        options = {
            name: value for name, value in (settings.get("position_parameters") or {}).items() if name in kept_types
        }
        settings["position_parameters"] = options or None
        if not any(getattr(POSITION_TYPES.get(name), "rotary", False) for name in kept_types):
            settings.pop("rope_parameters", None)
    for name in ("model_type", "transformers_version", "architectures", "auto_map", "dtype"):
        settings.pop(name, None)
    config = config_of(settings | changes)
    if tokenizer is not None:
        set_sentence_ends(config, tokenizer)
    torch.manual_seed(0)
    bare = {"add_pooling_layer": old.pooler is not None} if isinstance(old, TriEmbedModel) else {}
    return type(old)(config, **bare).eval()


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase | None:
    try:
        return open_tokenizer(folder)
    except Exception:  # weights without a tokenizer can be changed too
        return None


def _first_token(tokenizer: PreTrainedTokenizerBase | None) -> int | None:
    """Return the id that every input starts with, None where no tokenizer says so."""
    ids = [] if tokenizer is None else tokenizer("")["input_ids"]
    return ids[0] if ids else None


def _measure_and_heal(
    old: TriEmbedPreTrainedModel,
    new: TriEmbedPreTrainedModel,
    folder: Path,
    report: RepositionReport,
    texts: Sequence[str],
    held_out: Sequence[str],
    healing: Healing | None,
    notify: Callable[[str], None],
) -> None:
    tokenizer = open_tokenizer(folder)
    frame = Frame.of(tokenizer)
    before, after = report.max_position_embeddings
    length = min(healing.length if healing else 128, before, after)
    lengths = [length]
    if after > before:  # as long as the source can, and twice that
        lengths = sorted({length, before, min(2 * before - frame.size, after)})
    name = f"corpus: {counted(len(held_out), 'document')} held out to measure on"
    held_out_ids = (
        tokens_of(held_out, tokenizer, most=MEASURED_TOKENS, least=lengths[-1], name=name) if held_out else None
    )

    def figures(model: TriEmbedPreTrainedModel) -> dict[str, dict[str, float]]:
        assert held_out_ids is not None, "asked where there is held-out text"
        return {
            str(tokens): measure_retention(model, None if model is old else old, held_out_ids, frame, tokens)
            for tokens in lengths
            if model is not old or tokens <= before
        }

    if held_out_ids is not None:
        report.figures["source"] = figures(old)
        report.figures["transplanted"] = figures(new)
    if healing is None:
        return
    shuffled_texts = random.Random(healing.seed).sample(
        list(texts), len(texts)
    )  # a part of a corpus is of all its sources
    text = tokens_of(shuffled_texts, tokenizer, most=healing.steps * healing.batch_size * length, least=length)
    heal(new, old, text, frame, replace(healing, length=length), notify=notify)
    report.healing_steps = healing.steps
    if held_out_ids is not None:
        report.figures["healed"] = figures(new)


def _description(report: RepositionReport) -> str:
    """Return what was done, and the figures, in Markdown."""
    before, after = report.max_position_embeddings
    part_lines = "\n".join(f"- {name}: {how}" for name, how in report.made.items())
    rows = [
        f"| {model} | {length} | {name.replace('_', ' ')} | {value:.4f} |"
        for model, lengths in report.figures.items()
        for length, figures in lengths.items()
        for kept_share in [report.kept.get(model, {}).get(length)]  # None where there was too little text to compare
        for name, value in (figures if kept_share is None else figures | {"kept": kept_share}).items()
    ]
    table = "\n".join(["| model | tokens | figure | value |", "|---|---|---|---|", *rows]) if rows else "Not measured."
    return (
        f"`{report.after}` positions in place of `{report.before}`, for up to {after:,} tokens instead of {before:,}; "
        f"healed for {report.healing_steps} steps.\n\n{part_lines}\n\n{table}"
    )
