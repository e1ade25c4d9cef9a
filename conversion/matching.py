"""Match a checkpoint's weights with a model of its family: what it says it is, unless the weights know better."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import transformers

from hf_embeddings.conversion.checkpoints import TensorReader
from hf_embeddings.conversion.configs import config_of, foreign_keys, from_triembed, to_triembed
from hf_embeddings.conversion.families import FAMILIES, declared_classes, find_families
from hf_embeddings.conversion.family import Family
from hf_embeddings.conversion.plan import make_plan
from hf_embeddings.conversion.rules import Config, ConversionError
from hf_embeddings.conversion.transfer import Transfer, resolve_same
from hf_embeddings.conversion.unread_weights import is_of_encoder, matches_weight, pattern_for
from hf_embeddings.conversion.weight_names import canonical_names
from hf_embeddings.model.configuration_triembed import TriEmbedConfig

TRIEMBED = TriEmbedConfig.model_type
HEAD = re.compile(r"(?<!LMHead)(Model|For[A-Z]\w*)$")  # how the name of a class ends
LABELS = ("classifier", "qa_outputs")  # TriEmbed's names of the layer that has one row for each label


class Undecided(ConversionError):
    """The weights fit several models."""


class Misfit(ConversionError):
    """The weights are not those of a model."""

    def __init__(self, message: str, count: int) -> None:
        super().__init__(message)
        self.count = count  # of the names that are missing or unknown


@dataclass(frozen=True)
class ConversionOptions:
    """What the user says of a checkpoint beside the checkpoint itself."""

    family: str | None = None
    head: str | None = None  # a class of the family, or the end of its name
    drop: tuple[str, ...] = ()  # patterns of weights to leave out
    ignore: tuple[str, ...] = ()  # config keys that change nothing
    task: str | None = None  # whose adapter is merged


def match_family(
    config: Config, checkpoint: TensorReader, options: ConversionOptions, family: Family | None = None
) -> Transfer:
    """Return how the checkpoint of a family becomes TriEmbed.

    Args:
        config: its config.json.
        checkpoint: its weights.
        options: what the user says of it.
        family: its table, where the kind of file tells.

    Raises:
        ConversionError: there is no table for it, or its weights are not those of any of the family's models.
    """
    if config.get("model_type") == TRIEMBED:
        raise ConversionError("the source is TriEmbed already; name the family to convert it to with --to")
    _refuse_unused(options.drop, checkpoint)
    families = [family] if family else find_families(config, options.family)
    if len(families) == 1:
        return _match(config, checkpoint, options, families[0])
    fitting: list[Transfer] = []
    problems: list[ConversionError] = []
    for candidate in families:
        try:
            fitting.append(_match(config, checkpoint, options, candidate))
        except ConversionError as error:
            problems.append(error)
    if not fitting:
        raise _nearest(problems, config)
    differing = {repr(t.plan.config.to_diff_dict()): t for t in reversed(fitting)}
    if len(differing) > 1:
        typical = [t for t in differing.values() if _is_typical(config, t.plan.family)]
        plain = [t for t in differing.values() if not t.plan.family.typical]
        fitting = typical or plain
    if len(fitting) != 1 and len(differing) > 1:
        fits = ", ".join(sorted(t.plan.family.name for t in differing.values()))
        raise ConversionError(f"model_type: missing in config.json, and the weights fit {fits}; give --family")
    return fitting[0]


def _nearest(problems: Sequence[ConversionError], config: Config) -> ConversionError:
    """Return the error of the family that comes nearest to a checkpoint that names none."""
    if undecided := [error for error in problems if isinstance(error, Undecided)]:
        return undecided[0]
    misfits = [error for error in problems if isinstance(error, Misfit)]
    nearest = min(misfits, key=lambda error: error.count, default=problems[0])
    return ConversionError(
        f"model_type {config.get('model_type')!r}: no table for this family, and the weights are those of none; the "
        f"nearest: {nearest}; give --family to say which it is"
    )


def _is_typical(config: Config, family: Family) -> bool:
    return any(config.get(key) in values for key, values in family.typical.items())


def _match(config: Config, checkpoint: TensorReader, options: ConversionOptions, family: Family) -> Transfer:
    stored_names = [name for name in checkpoint.tensors if not matches_weight(name, options.drop)]
    names = {today: stored_name for stored_name, today in canonical_names(stored_names, family).items()}

    def attempt(architecture: str) -> Transfer:
        head = family.heads[architecture]
        full_config = config | _labels(config, family, architecture, checkpoint, names)
        foreign = foreign_keys(full_config, family, head)
        our_config = to_triembed(full_config, family, head, ignore=(*options.ignore, *foreign))
        plan = make_plan(family, architecture, our_config)
        return Transfer(plan, checkpoint, resolve_same(names, plan), forwards=True, config=full_config, foreign=foreign)

    if options.head is not None:
        return _complete(attempt(_chosen_head(options.head, family)))
    declared_class = _declared_class(config, family)
    first = attempt(declared_class) if declared_class else None
    if first and not first.missing() and not first.unread:
        return first
    attempts = [first if name == declared_class and first else attempt(name) for name in family.heads]
    return _best(attempts, first)


def _best(attempts: list[Transfer], declared: Transfer | None) -> Transfer:
    """Return the model that reads most heads: the declared one, unless another reads the same and more.

    A published BERT often declares BertForMaskedLM and holds the weights of BertForPreTraining.
    """
    fitting = [t for t in attempts if not t.missing() and not t.extra()]
    if declared in fitting:
        fitting = [t for t in fitting if t is declared or _keeps_more(t, declared)]
    elif declared:  # a head that is missing is not made up for by a class without one
        fitting = [t for t in fitting if not _heads_left_out(t)]
    best = [t for t in fitting if not any(_keeps_more(other, t) for other in fitting)]
    if len(best) > 1:
        best = [t for t in best if _has_shapes(t)] or best[:1]
    if len(best) == 1:
        return best[0]
    if best:
        fits = ", ".join(t.plan.architecture for t in best)
        raise Undecided(f"architectures: missing in config.json, and the weights fit {fits}; give --head")
    raise misfit(declared or min(attempts, key=_distance))


def _declared_class(config: Config, family: Family) -> str | None:
    """Return the class of the family that config.json declares, None where it is unknown and the weights decide."""
    for name in declared_classes(config)[:1]:
        own = name.removeprefix(family.own_code.prefix) if family.own_code else name
        if own in family.heads:
            return own
        end = HEAD.search(name)
        candidates = [head for head in family.heads if end and HEAD.search(head) and head.endswith(end[0])]
        if len(candidates) == 1:  # of another family, or code of its own: the end of the name says which head it is
            return candidates[0]
        if hasattr(transformers, name):
            raise ConversionError(
                f"architectures: {name!r} has no counterpart in TriEmbed; expected one of {', '.join(family.heads)}; "
                "give --head to convert what one of them reads"
            )
    return None


def _chosen_head(choice: str, family: Family) -> str:
    candidates = [head for head in family.heads if head == choice or (head.endswith(choice) and HEAD.search(head))]
    if len(candidates) != 1:
        raise ConversionError(f"--head {choice}: no class of {family.name}; expected one of {', '.join(family.heads)}")
    return candidates[0]


def _complete(transfer: Transfer) -> Transfer:
    if transfer.missing() or transfer.extra():
        raise misfit(transfer)
    return transfer


def _heads_left_out(transfer: Transfer) -> set[str]:
    return {name for name in transfer.left_out if not is_of_encoder(name, transfer.plan.family)}


def _keeps_more(one: Transfer, other: Transfer) -> bool:
    """Tell whether a model reads all heads of the checkpoint that another one reads, and more."""
    return _heads_left_out(one) < _heads_left_out(other)


def _distance(transfer: Transfer) -> int:
    return len(transfer.missing()) + len(transfer.extra()) + len(_heads_left_out(transfer))


def _has_shapes(transfer: Transfer) -> bool:
    try:
        transfer.described()
    except ConversionError:
        return False
    return True


def _labels(
    config: Config, family: Family, architecture: str, checkpoint: TensorReader, names: dict[str, str]
) -> dict[str, int]:
    """Return the number of labels, which old configs leave to the weights."""
    if "id2label" in config or "num_labels" in config or family.heads[architecture].model_class.takes_choices:
        return {}
    for rule in family.heads[architecture].weights:
        weight = names.get(f"{rule.sources[0]}.weight") if set(rule.targets) & set(LABELS) else None
        if weight and len(checkpoint.tensors[weight].shape) == 2:
            return {"num_labels": checkpoint.tensors[weight].shape[0]}
    return {}


def _refuse_unused(patterns: Sequence[str], checkpoint: TensorReader) -> None:
    for pattern in patterns:
        if not any(matches_weight(name, (pattern,)) for name in checkpoint.tensors):
            raise ConversionError(f"--drop {pattern}: names no weight of the checkpoint; fix the pattern, or remove it")


def match_triembed(config: Config, checkpoint: TensorReader, to: str) -> Transfer:
    """Return how a TriEmbed checkpoint becomes one of the family `to`.

    Raises:
        ConversionError: the family cannot hold the model; the message says what it cannot hold.
    """
    if config.get("model_type") != TRIEMBED:
        raise ConversionError(
            f"--to {to}: the source has model_type {config.get('model_type')!r}, expected {TRIEMBED!r}; convert it to "
            "TriEmbed first"
        )
    if to not in FAMILIES:
        raise ConversionError(f"--to {to}: no such family; expected one of {', '.join(sorted(FAMILIES))}")
    family = FAMILIES[to]
    if family.today_as:
        raise ConversionError(
            f"--to {to}: this layout is read, not written, as transformers has no class for it; use --to "
            f"{family.today_as.name}"
        )
    ours = config_of({key: value for key, value in config.items() if key != "transformers_version"})
    class_name = next(iter(config.get("architectures") or []), "TriEmbedModel")
    fitting = [name for name, head in family.heads.items() if head.target == class_name]
    if not fitting:
        raise ConversionError(
            f"{family.name} cannot hold a {class_name}; it has "
            f"{', '.join(sorted({head.target for head in family.heads.values()}))}"
        )
    problem: ConversionError | None = None
    for architecture in fitting:
        try:
            from_triembed(ours, family, family.heads[architecture])
            names = {name: name for name in checkpoint.tensors}
            transfer = Transfer(make_plan(family, architecture, ours), checkpoint, names, forwards=False)
            if transfer.missing() or transfer.extra():
                raise misfit(transfer, class_name)
            return transfer
        except ConversionError as error:
            problem = problem or error
    assert problem is not None, "a family has architectures"
    raise problem


def misfit(transfer: Transfer, class_name: str | None = None) -> Misfit:
    """Say what a checkpoint lacks of a model, and what it holds beyond it."""
    problems = []
    missing, extra = transfer.missing(), [transfer.names[name] for name in transfer.extra()]
    for word, names in (("lacks", missing), ("holds, beyond what that model has,", extra)):
        if names:
            listing = ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            problems.append(f"{word} {listing}")
    message = f"weights of {class_name or transfer.plan.architecture}: the checkpoint {'; and it '.join(problems)}"
    if any("lora_" in name for name in extra):
        message += "; these are adapters beside the weights: merge them first, with merge_and_unload of PEFT"
    elif extra and not missing and transfer.forwards:
        pattern = pattern_for(extra, transfer.checkpoint.tensors)
        message += f"; if no output depends on them, leave them out with --drop '{pattern}'"
    return Misfit(message, len(missing) + len(extra))
