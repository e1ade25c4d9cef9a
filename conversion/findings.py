"""What was found in a source: what is left out of the target, and what transformers would write otherwise today."""

from hf_embeddings.conversion.families import declared_classes
from hf_embeddings.conversion.rules import Config
from hf_embeddings.conversion.sentence_modules import own_modules
from hf_embeddings.conversion.sources import Source
from hf_embeddings.conversion.task_adapters import MergedAdapters
from hf_embeddings.conversion.transfer import Transfer
from hf_embeddings.conversion.unread_weights import matches_weight
from hf_embeddings.conversion.weight_names import find_wrapper


def left_out(transfer: Transfer, drop: tuple[str, ...]) -> list[str]:
    """Return the names, as the source has them, of weights that no output depends on, or that the user drops."""
    read_not = {transfer.names[name] for name in transfer.left_out}
    return sorted(read_not | {name for name in transfer.checkpoint.tensors if matches_weight(name, drop)})


def remarks(transfer: Transfer, source: Source, task: str | None) -> list[str]:
    """Say what was found otherwise than transformers would write it today.

    Args:
        transfer: how the checkpoint is converted.
        source: the checkpoint.
        task: the task whose adapter was merged.
    """
    lines = _of_names(transfer, source.config) if transfer.forwards else []
    if transfer.foreign:
        lines.append(f"config keys that no model reads: {', '.join(transfer.foreign)}")
    if isinstance(transfer.checkpoint, MergedAdapters):
        adapter = "none is merged; --task merges one" if task is None else f"that of {task} is merged"
        lines.append(f"adapters of several tasks: {adapter}")
    if source.encoder != source.folder:
        lines.append(f"the encoder lay in {source.encoder.name}/; it lies on top now, as modules.json says")
    if own := own_modules(source.folder):
        lines.append(f"modules.json names code that is not copied: {', '.join(own)}")
    return lines


def _of_names(transfer: Transfer, config: Config) -> list[str]:
    """Say which family and class it is where the source does not, and what stands before its names."""
    family, lines = transfer.plan.family, []
    if config.get("model_type") != family.model_type:
        model_type = repr(config["model_type"]) if config.get("model_type") else "missing"
        lines.append(f"model_type {model_type}: names and sizes are those of {family.name}")
    code = [name for name in config.get("auto_map") or {} if name != "AutoTokenizer"]
    if code and not family.own_code and not family.today_as:
        own_type = family.model_type
        lines.append(f"code of its own (auto_map), which was not run: compared with {own_type} of transformers")
    classes = declared_classes(config)[:1]
    if classes != [family.class_name(transfer.plan.architecture)]:
        class_name = f"{classes[0]!r}" if classes else "missing"
        lines.append(f"architectures {class_name}: converted as {family.class_name(transfer.plan.architecture)}")
    if wrapper := find_wrapper(list(transfer.names.values()), family)[0]:
        lines.append(f"the weights stand under {wrapper!r}, which is left out")
    return lines
