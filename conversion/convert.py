"""Convert a checkpoint to TriEmbed, or a TriEmbed checkpoint to a stock family: check first, then write."""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from transformers import PreTrainedModel
from transformers.dynamic_module_utils import custom_object_save

from hf_embeddings.conversion.companion_files import copy_companions, has_tokenizer
from hf_embeddings.conversion.configs import from_triembed
from hf_embeddings.conversion.families.google_bert import write_tokenizer_settings
from hf_embeddings.conversion.findings import left_out, remarks
from hf_embeddings.conversion.matching import ConversionOptions, match_family, match_triembed
from hf_embeddings.conversion.origin import write_origin
from hf_embeddings.conversion.output_check import (
    OutputDifference,
    build_reference,
    compare_outputs,
    load,
    outputs_of,
    sample,
)
from hf_embeddings.conversion.plan import Step
from hf_embeddings.conversion.report import Report, conversion_phrase, description, how_it_loads, plain_card
from hf_embeddings.conversion.rules import ConversionError
from hf_embeddings.conversion.sources import Source, open_source
from hf_embeddings.conversion.task_adapters import merge_task
from hf_embeddings.conversion.tokenizer_check import check_tokenizer, compare_tokenizers
from hf_embeddings.conversion.transfer import Transfer
from hf_embeddings.conversion.weight_files import write_weights
from hf_embeddings.files.staging import staged_directory


def convert(
    source: str | Path,
    target: str | Path,
    *,
    to: str | None = None,
    check: bool = True,
    allow_pickle: bool = False,
    overwrite: bool = False,
    family: str | None = None,
    head: str | None = None,
    drop: tuple[str, ...] = (),
    task: str | None = None,
    ignore_keys: tuple[str, ...] = (),
    shard_bytes: int = 5 << 30,
    revision: str | None = None,
    notify: Callable[[str], None] = lambda line: None,
    finish: Callable[[Path], object] = lambda folder: None,
) -> Report:
    """Write `source` as a TriEmbed checkpoint, or a TriEmbed `source` as one of the family `to`.

    Args:
        source: a directory, or the id of a Hub repository.
        target: directory to write; appears only once everything is written and checked.
        to: model type to convert a TriEmbed checkpoint to; None converts to TriEmbed.
        check: run both models on the same tokens and compare all outputs before anything appears.
        allow_pickle: read `pytorch_model.bin`, with torch's weights_only reader.
        overwrite: replace `target` if it is not empty.
        family: name of the source's family, a key of `FAMILIES`; None: as its config and its weights say.
        head: its class, such as `BertForMaskedLM`, or the end of the name, `ForMaskedLM`; None: as they say.
        drop: patterns of weights to leave out, such as `ranker.*`, as the file calls them.
        task: the adapter to merge, where the source has several beside its weights (jina-embeddings-v3); None: none.
        ignore_keys: config keys of the source that change nothing, where no rule names them.
        shard_bytes: largest weight file; one such file is held in memory at a time.
        revision: branch, tag or commit of a Hub repository.
        notify: called with a line of text before each stage.
        finish: called with the directory just before it appears; what it writes there appears with it.

    Raises:
        ConversionError: the source is damaged or of no known family, a side cannot hold what the other has, or the two
            models differ.
        ValueError: `target` is a link, a file, not empty, being written, or holds the source.
    """
    start = time.perf_counter()
    options = ConversionOptions(family, head, drop, ignore_keys, task)
    notify(f"reading {source}")
    original = open_source(source, allow_pickle=allow_pickle, revision=revision)
    if to:
        _refuse_options(to, options)
        transfer = match_triembed(original.config, original.checkpoint, to)
    else:
        weights = merge_task(original.checkpoint, original.config, task)
        transfer = match_family(original.config, weights, options, original.family)
    descriptions = transfer.described()
    transfer.check_same()
    transfer.check_computed()
    sizes = _sizes(transfer)
    with staged_directory(Path(target), inputs={"source": original.folder}, overwrite=overwrite) as stage:
        notify(f"writing {len(descriptions)} tensors")
        write_weights(stage, sizes, lambda steps: _values(transfer, steps), shard_bytes=shard_bytes)
        dtype = str(next(iter(descriptions.values())).dtype).removeprefix("torch.")
        _write_config(stage, transfer, dtype)
        if original.vocabulary:
            write_tokenizer_settings(original.vocabulary, stage)
        segments = transfer.plan.config.type_vocab_size > 0
        table = transfer.plan.family
        companions = copy_companions(
            original.folder,
            stage,
            tokenizer_class=table.tokenizer_class,
            segments=segments,
            encoder=original.encoder,
            allow_pickle=allow_pickle,
        )
        if check:
            notify("comparing both models on the same tokens")
        difference = _check(original, stage, transfer) if check else None
        report = Report(
            source=str(source),
            target=str(target),
            family=table.name,
            source_class=_classes(transfer)[0],
            target_class=_classes(transfer)[1],
            position_embedding_type=transfer.plan.config.position_embedding_type,
            tensors=len(descriptions),
            bytes=sum(size for _, size in sizes),
            largest_difference=difference.largest if difference else None,
            largest_output=difference.scale if difference else None,
            checked_on=difference.tokens if difference else None,
            copied=tuple(companions),
            tokenizer=_check_tokenizer(original.encoder, stage, companions, segments=segments, check=check),
            left_out=tuple(left_out(transfer, options.drop)),
            remarks=tuple(remarks(transfer, original, task)),
            note=how_it_loads(table.own_code) if table.own_code and not transfer.forwards else None,
            seconds=time.perf_counter() - start,
        )
        if transfer.forwards:
            write_origin(
                stage,
                source=source,
                folder=original.folder,
                phrase=conversion_phrase(report),
                description=description(report),
            )
        else:
            (stage / "README.md").write_text(plain_card(report, original.folder), encoding="utf-8", newline="\n")
        finish(stage)
    return report


def _refuse_options(to: str, options: ConversionOptions) -> None:
    values = {
        "--family": options.family,
        "--head": options.head,
        "--drop": options.drop,
        "--ignore-key": options.ignore,
    }
    values["--task"] = options.task
    for option, value in values.items():
        if value:
            raise ConversionError(f"{option}: given with --to {to}, where the source is TriEmbed; remove one of them")


def _sizes(transfer: Transfer) -> list[tuple[Step | None, int]]:
    """Return what is written together, with its bytes: the outputs of each step, then the computed tensors (None)."""
    descriptions = transfer.described()
    sizes: list[tuple[Step | None, int]] = [
        (step, sum(descriptions[name].nbytes for name in transfer.outputs(step))) for step in transfer.steps()
    ]
    if computed := transfer.computed():
        sizes.append((None, sum(tensor.nbytes for tensor in computed.values())))
    return sizes


def _check_tokenizer(folder: Path, stage: Path, companions: Sequence[str], *, segments: bool, check: bool) -> str:
    """Compare the tokenizer that was copied with that of the source, or only load it; return what came of it."""
    if not has_tokenizer(companions):
        return "none beside the weights"
    return compare_tokenizers(folder, stage, segments=segments) if check else check_tokenizer(folder, stage)


def _values(transfer: Transfer, steps: list[Step | None]) -> dict[str, torch.Tensor]:
    """Return the tensors to write for some steps; None stands for those that no step makes."""
    values = [transfer.computed() if step is None else transfer.values(step) for step in steps]
    return {_written(name, transfer): tensor for tensors in values for name, tensor in tensors.items()}


def _written(name: str, transfer: Transfer) -> str:
    """Name in the file: a bare encoder's weights stand without the family's prefix."""
    bare = not transfer.forwards and transfer.plan.head.is_encoder
    return name.removeprefix(f"{transfer.plan.family.prefix}.") if bare else name


def _classes(transfer: Transfer) -> tuple[str, str]:
    pair = transfer.plan.family.class_name(transfer.plan.architecture), transfer.plan.head.target
    return pair if transfer.forwards else (pair[1], pair[0])


def _write_config(stage: Path, transfer: Transfer, dtype: str) -> None:
    plan = transfer.plan
    if not transfer.forwards:
        config = from_triembed(plan.config, plan.family, plan.head)
        config |= {"architectures": [plan.family.class_name(plan.architecture)], "dtype": dtype}
        if code := plan.family.own_code:
            config["auto_map"] = code.auto_map(next(iter(plan.family.heads)).removesuffix("Model"))
            shutil.copyfile(code.file, stage / code.file.name)
        (stage / "config.json").write_text(
            json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8", newline="\n"
        )
        return
    plan.config.architectures = [plan.head.target]
    plan.config.dtype = dtype
    plan.config.save_pretrained(stage)
    with torch.device("meta"):
        model = plan.head.model_class(plan.config)
    custom_object_save(model, stage, config=plan.config)  # type: ignore[arg-type]  # it takes a config, too


def _check(original: Source, stage: Path, transfer: Transfer) -> OutputDifference:
    plan = transfer.plan
    ours, stock = plan.head.model_class, plan.family.class_of(plan.architecture)
    batch, origin = sample(stage, plan.config, choices=ours.takes_choices)
    if transfer.forwards:
        reference = outputs_of(partial(_reference, transfer), batch)
        outputs = outputs_of(partial(load, ours, stage), batch)
    else:
        reference = outputs_of(partial(load, ours, original.encoder), batch)
        outputs = outputs_of(partial(load, stock, stage), batch)
    difference = compare_outputs(reference, outputs, batch["attention_mask"], origin)
    if not difference.largest <= difference.tolerance:
        raise ConversionError(
            f"check: {difference.output} differs by {difference.largest:.3g} between source and target, expected at "
            f"most {difference.tolerance:.3g}; nothing was written"
        )
    return difference


def _reference(transfer: Transfer) -> PreTrainedModel:
    """Return the family's own model with all weights of the source, also those that are left out of the target."""
    plan, config = transfer.plan, transfer.config
    family = plan.family
    if today := family.today_as:
        config = from_triembed(plan.config, today, today.heads[plan.architecture])
        family = today
    bare = f"{family.prefix}." if plan.head.is_encoder else ""
    weights = {
        name.removeprefix(bare): transfer.checkpoint.read(stored).clone(memory_format=torch.contiguous_format)
        for name, stored in transfer.names.items()
    }
    return build_reference(family.class_of(plan.architecture), config, weights)
