"""Convert a checkpoint to TriEmbed, or a TriEmbed checkpoint to a stock family: check first, then write."""

import json
import re
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from transformers import PreTrainedConfig
from transformers.dynamic_module_utils import custom_object_save

from hf_embeddings.conversion.check import Difference, compare, load, outputs_of, sample
from hf_embeddings.conversion.checkpoints import open_checkpoint, read_json
from hf_embeddings.conversion.companions import copy_companions, has_tokenizer
from hf_embeddings.conversion.configs import from_triembed
from hf_embeddings.conversion.families.google_bert import find_prefix, open_google, write_tokenizer_settings
from hf_embeddings.conversion.matching import match_family, match_triembed
from hf_embeddings.conversion.origin import write_origin
from hf_embeddings.conversion.plan import Step
from hf_embeddings.conversion.report import Report, description, how_it_loads, made, plain_card
from hf_embeddings.conversion.rules import ConversionError
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
    notify(f"reading {source}")
    prefix = find_prefix(Path(source))  # of a checkpoint that TensorFlow wrote
    folder = prefix.parent if prefix else locate(source, revision=revision)
    transfer = _match(folder, prefix, to=to, allow_pickle=allow_pickle, ignore_keys=ignore_keys)
    descriptions = transfer.described()
    transfer.check_same()
    transfer.check_computed()
    sizes = _sizes(transfer)
    with staged_directory(Path(target), inputs={"source": folder}, overwrite=overwrite) as stage:
        notify(f"writing {len(descriptions)} tensors")
        write_weights(stage, sizes, lambda steps: _values(transfer, steps), shard_bytes=shard_bytes)
        dtype = str(next(iter(descriptions.values())).dtype).removeprefix("torch.")
        _write_config(stage, transfer, dtype)
        if prefix and (folder / "vocab.txt").is_file():
            write_tokenizer_settings(folder / "vocab.txt", stage)
        segments = transfer.plan.config.type_vocab_size > 0
        family = transfer.plan.family
        companions = copy_companions(folder, stage, tokenizer_class=family.tokenizer_class, segments=segments)
        if check:
            notify("comparing both models on the same tokens")
        difference = _check(folder, stage, transfer) if check else None
        report = Report(
            source=str(source),
            target=str(target),
            source_class=_classes(transfer)[0],
            target_class=_classes(transfer)[1],
            position_embedding_type=transfer.plan.config.position_embedding_type,
            tensors=len(descriptions),
            bytes=sum(size for _, size in sizes),
            largest_difference=difference.largest if difference else None,
            largest_output=difference.scale if difference else None,
            checked_on=difference.tokens if difference else None,
            copied=tuple(companions),
            tokenizer=_check_tokenizer(folder, stage, companions, segments=segments, check=check),
            note=how_it_loads(family.own_code) if family.own_code and not transfer.forwards else None,
            seconds=time.perf_counter() - start,
        )
        if transfer.forwards:
            write_origin(stage, source=source, folder=folder, phrase=made(report), description=description(report))
        else:
            (stage / "README.md").write_text(plain_card(report, folder), encoding="utf-8", newline="\n")
        finish(stage)
    return report


def _match(
    folder: Path, prefix: Path | None, *, to: str | None, allow_pickle: bool, ignore_keys: tuple[str, ...]
) -> Transfer:
    """Open what lies in `folder`, and return which of its weights become which of the target."""
    if prefix:
        config, checkpoint, family = open_google(prefix)
    else:
        config, family = read_json(folder / "config.json"), None
        checkpoint = open_checkpoint(folder, allow_pickle=allow_pickle)
    return match_triembed(config, checkpoint, to) if to else match_family(config, checkpoint, ignore_keys, family)


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


def locate(source: str | Path, *, revision: str | None = None) -> Path:
    """Return the directory of a checkpoint, fetching a Hub repository's config, weights and tokenizer if need be.

    Raises:
        ConversionError: `source` is neither a directory nor a repository that can be reached.
    """
    path = Path(source)
    if path.is_dir():
        return path
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(source)) or path.exists():
        raise ConversionError(f"{source}: no such directory")
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.txt", "*.model", "*.bin", "*.bpe.codes", "README.md"]
    try:
        return Path(snapshot_download(str(source), revision=revision, allow_patterns=patterns))
    except Exception as error:  # the hub client has many of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConversionError(f"{source}: no such directory, and the Hub cannot give it ({reason})") from None


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


def _check(folder: Path, stage: Path, transfer: Transfer) -> Difference:
    plan = transfer.plan
    family, architecture = plan.family, plan.architecture
    stock = (
        partial(family.reference, architecture) if family.reference else partial(load, family.class_of(architecture))
    )
    ours = partial(load, plan.head.model_class)
    config: PreTrainedConfig = plan.config
    batch, origin = sample(stage, config, choices=plan.head.model_class.takes_choices)
    loaders = (stock, ours) if transfer.forwards else (ours, stock)
    theirs = outputs_of(loaders[0], folder, batch)
    difference = compare(theirs, outputs_of(loaders[1], stage, batch), batch["attention_mask"], origin)
    if not difference.largest <= difference.tolerance:
        raise ConversionError(
            f"check: {difference.output} differs by {difference.largest:.3g} between source and target, expected at "
            f"most {difference.tolerance:.3g}; nothing was written"
        )
    return difference
