"""Convert a checkpoint to TriEmbed, or a TriEmbed checkpoint to a stock family: check first, then write."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import transformers
from transformers import PreTrainedConfig
from transformers.dynamic_module_utils import custom_object_save

from hf_embeddings.conversion.card import write_card
from hf_embeddings.conversion.check import Difference, compare, load, outputs_of, sample
from hf_embeddings.conversion.checkpoints import Checkpoint, open_checkpoint, read_json
from hf_embeddings.conversion.companions import copy_companions
from hf_embeddings.conversion.configs import from_triembed, make_config, to_triembed
from hf_embeddings.conversion.families import FAMILIES, find_family
from hf_embeddings.conversion.families.google_bert import find_prefix, open_google, write_tokenizer_settings
from hf_embeddings.conversion.plan import Step, canonical_names, make_plan
from hf_embeddings.conversion.rules import Config, ConversionError, Family
from hf_embeddings.conversion.staging import staged, write_weights
from hf_embeddings.conversion.transfer import Transfer, resolve_same
from hf_embeddings.model import modeling_triembed
from hf_embeddings.model.configuration_triembed import TriEmbedConfig

TRIEMBED = TriEmbedConfig.model_type


@dataclass(frozen=True)
class Report:
    """What a conversion did."""

    source: str
    target: str
    source_class: str
    target_class: str
    position_embedding_type: str
    tensors: int
    bytes: int
    largest_difference: float | None  # None: not checked
    largest_output: float | None
    checked_on: str | None  # "text" or "spread" token ids
    copied: tuple[str, ...]
    seconds: float


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

    Raises:
        ConversionError: the source is damaged or of no known family, a side cannot hold what the other has, or the two
            models differ.
    """
    started = time.perf_counter()
    notify(f"reading {source}")
    prefix = find_prefix(Path(source))
    if prefix is not None:
        folder = prefix.parent
        config, checkpoint, family = open_google(prefix)
    else:
        folder = locate(source, revision=revision)
        config = read_json(folder / "config.json")
        checkpoint, family = open_checkpoint(folder, allow_pickle=allow_pickle), None
    transfer = _to_family(config, checkpoint, to) if to else _to_triembed(config, checkpoint, ignore_keys, family)
    described = transfer.described()
    transfer.check_same()
    transfer.check_computed()
    sizes: list[tuple[Step | None, int]] = [
        (step, sum(described[name].nbytes for name in transfer.outputs(step))) for step in transfer.steps()
    ]
    if computed := transfer.computed():
        sizes.append((None, sum(tensor.nbytes for tensor in computed.values())))
    with staged(Path(target), overwrite=overwrite) as stage:
        notify(f"writing {len(described)} tensors")
        write_weights(stage, sizes, lambda steps: _values(transfer, steps), shard_bytes=shard_bytes)
        dtype = str(next(iter(described.values())).dtype).removeprefix("torch.")
        _write_config(stage, transfer, dtype)
        if prefix is not None and (folder / "vocab.txt").is_file():
            write_tokenizer_settings(folder / "vocab.txt", stage)
        copied = copy_companions(folder, stage, tokenizer_class=transfer.plan.family.tokenizer_class)
        if check:
            notify("comparing both models on the same tokens")
        difference = _check(folder, stage, transfer) if check else None
        report = Report(
            source=str(source),
            target=str(target),
            source_class=_classes(transfer)[0],
            target_class=_classes(transfer)[1],
            position_embedding_type=transfer.plan.config.position_embedding_type,
            tensors=len(described),
            bytes=sum(size for _, size in sizes),
            largest_difference=difference.largest if difference else None,
            largest_output=difference.scale if difference else None,
            checked_on=difference.tokens if difference else None,
            copied=tuple(copied),
            seconds=time.perf_counter() - started,
        )
        (stage / "README.md").write_text(_card(report, folder, Path(target).name, transfer), encoding="utf-8")
    return report


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

    wanted = ["*.json", "*.safetensors", "*.txt", "*.model", "*.bin", "*.bpe.codes", "README.md"]
    try:
        return Path(snapshot_download(str(source), revision=revision, allow_patterns=wanted))
    except Exception as error:  # the hub client has many of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConversionError(f"{source}: no such directory, and not to be had from the Hub ({reason})") from None


def _to_triembed(config: Config, checkpoint: Checkpoint, ignore: tuple[str, ...], family: Family | None) -> Transfer:
    if config.get("model_type") == TRIEMBED:
        raise ConversionError("the source is TriEmbed already; name the family to convert it to with --to")
    family = family or find_family(config)
    names = {today: stored for stored, today in canonical_names(checkpoint.tensors, family).items()}
    declared = next(iter(config.get("architectures") or []), None)
    if declared is not None and declared not in family.heads:
        raise ConversionError(
            f"architectures: {declared!r} has no counterpart in TriEmbed; expected one of {', '.join(family.heads)}"
        )

    def attempt(architecture: str) -> Transfer:
        made = to_triembed(config, family, family.heads[architecture], ignore=ignore)
        plan = make_plan(family, architecture, made)
        return Transfer(plan, checkpoint, resolve_same(names, plan), forwards=True)

    # A published BERT often declares BertForMaskedLM and holds the weights of BertForPreTraining: the weights decide.
    first = attempt(declared) if declared else None
    if first and not first.missing() and not first.extra():
        return first
    attempts = [attempt(architecture) for architecture in family.heads]
    fitting = [t for t in attempts if not t.missing() and not t.extra()]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        fits = ", ".join(t.plan.architecture for t in fitting)
        raise ConversionError(f"architectures: missing in config.json, and the weights fit {fits}; name one of them")
    raise _misfit(first or min(attempts, key=lambda t: len(t.missing()) + len(t.extra())), declared)


def _to_family(config: Config, checkpoint: Checkpoint, to: str) -> Transfer:
    if config.get("model_type") != TRIEMBED:
        raise ConversionError(
            f"--to {to}: the source has model_type {config.get('model_type')!r}, expected {TRIEMBED!r}; convert it to "
            "TriEmbed first"
        )
    if to not in FAMILIES:
        raise ConversionError(f"--to {to}: no such family; expected one of {', '.join(sorted(FAMILIES))}")
    family = FAMILIES[to]
    ours = make_config({key: value for key, value in config.items() if key != "transformers_version"})
    declared = next(iter(config.get("architectures") or []), "TriEmbedModel")
    fitting = [name for name, head in family.heads.items() if head.target == declared]
    if not fitting:
        raise ConversionError(
            f"{family.name} cannot hold a {declared}; it has "
            f"{', '.join(sorted({head.target for head in family.heads.values()}))}"
        )
    problem = None
    for architecture in fitting:
        try:
            from_triembed(ours, family, family.heads[architecture])
            names = {name: name for name in checkpoint.tensors}
            transfer = Transfer(make_plan(family, architecture, ours), checkpoint, names, forwards=False)
            if transfer.missing() or transfer.extra():
                raise _misfit(transfer, declared)
            return transfer
        except ConversionError as error:
            problem = problem or error
    raise problem


def _misfit(transfer: Transfer, declared: str | None) -> ConversionError:
    told = f"{declared or transfer.plan.architecture}"
    problems = []
    for word, names in (
        ("lacks", transfer.missing()),
        ("holds, beyond what that model has,", [transfer.names[name] for name in transfer.extra()]),
    ):
        if names:
            shown = ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            problems.append(f"{word} {shown}")
    return ConversionError(f"weights of {told}: the checkpoint {'; and it '.join(problems)}")


def _values(transfer: Transfer, steps: list[Step | None]) -> dict[str, torch.Tensor]:
    """Return the tensors to write for some steps; None stands for those that no step makes."""
    values = [transfer.computed() if step is None else transfer.values(step) for step in steps]
    return {_written(name, transfer): tensor for made in values for name, tensor in made.items()}


def _written(name: str, transfer: Transfer) -> str:
    """Name in the file: a bare encoder's weights stand without the family's prefix."""
    bare = not transfer.forwards and transfer.plan.head.target == "TriEmbedModel"
    return name.removeprefix(f"{transfer.plan.family.prefix}.") if bare else name


def _classes(transfer: Transfer) -> tuple[str, str]:
    pair = transfer.plan.architecture, transfer.plan.head.target
    return pair if transfer.forwards else (pair[1], pair[0])


def _write_config(stage: Path, transfer: Transfer, dtype: str) -> None:
    plan = transfer.plan
    if not transfer.forwards:
        config = from_triembed(plan.config, plan.family, plan.head)
        config |= {"architectures": [plan.architecture], "dtype": dtype}
        (stage / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return
    plan.config.architectures = [plan.head.target]
    plan.config.dtype = dtype
    plan.config.save_pretrained(stage)
    with torch.device("meta"):
        model = getattr(modeling_triembed, plan.head.target)(plan.config)
    custom_object_save(model, stage, config=plan.config)


def _check(folder: Path, stage: Path, transfer: Transfer) -> Difference:
    plan = transfer.plan
    stock = (
        partial(plan.family.reference, plan.architecture)
        if plan.family.reference
        else partial(load, getattr(transformers, plan.architecture))
    )
    ours = partial(load, getattr(modeling_triembed, plan.head.target))
    config: PreTrainedConfig = plan.config
    batch, origin = sample(stage, config, choices=plan.head.target.endswith("MultipleChoice"))
    loaders = (stock, ours) if transfer.forwards else (ours, stock)
    theirs = outputs_of(loaders[0], folder, batch)
    difference = compare(theirs, outputs_of(loaders[1], stage, batch), batch["attention_mask"], origin)
    if not difference.largest <= difference.tolerance:
        raise ConversionError(
            f"check: {difference.output} differs by {difference.largest:.3g} between source and target, expected at "
            f"most {difference.tolerance:.3g}; nothing was written"
        )
    return difference


def _card(report: Report, folder: Path, name: str, transfer: Transfer) -> str:
    checked = "not checked"
    if report.largest_difference is not None:
        tokens = "on text" if report.checked_on == "text" else "on ids spread over the vocabulary"
        checked = (
            f"at most {report.largest_difference:.2g} over all logits and hidden states (fp32, {tokens}; largest "
            f"output {report.largest_output:.3g})"
        )
    sentence = "modules.json" in report.copied
    lines = ["import hf_embeddings"] if transfer.forwards else []
    if sentence:
        lines += [
            "from sentence_transformers import SentenceTransformer",
            "",
            'model = SentenceTransformer("PATH_OR_ID")',
        ]
    else:
        auto = "AutoModel" + re.sub(r"^.*?(Model|For\w+)$", r"\1", report.target_class).replace("Model", "")
        lines += [f"from transformers import {auto}", "", f'model = {auto}.from_pretrained("PATH_OR_ID")']
    origin = folder / "README.md"
    found = re.search(r"^license:\s*\S+$", origin.read_text(encoding="utf-8"), re.M) if origin.is_file() else None
    return write_card(
        tags=", ".join([TRIEMBED, *(["sentence-transformers"] if sentence else [])]),
        license=f"{found[0]}\n" if found else "",
        name=name,
        source=report.source if not Path(report.source).is_absolute() else Path(report.source).name,
        architecture=report.source_class,
        target_class=report.target_class,
        position=report.position_embedding_type,
        tensors=report.tensors,
        size=report.bytes,
        check=checked,
        code="\n".join(lines),
    )
