"""Match a checkpoint's weights with a model of its family: what it says it is, unless the weights know better."""

from hf_embeddings.conversion.checkpoints import Checkpoint
from hf_embeddings.conversion.configs import from_triembed, make_config, to_triembed
from hf_embeddings.conversion.families import FAMILIES, find_family
from hf_embeddings.conversion.plan import canonical_names, make_plan
from hf_embeddings.conversion.rules import Config, ConversionError, Family
from hf_embeddings.conversion.transfer import Transfer, resolve_same
from hf_embeddings.model.configuration_triembed import TriEmbedConfig

TRIEMBED = TriEmbedConfig.model_type


def match_family(config: Config, checkpoint: Checkpoint, ignore: tuple[str, ...], family: Family | None) -> Transfer:
    """Return how the checkpoint of a family becomes TriEmbed.

    Raises:
        ConversionError: there is no table for it, or its weights are not those of any of the family's models.
    """
    if config.get("model_type") == TRIEMBED:
        raise ConversionError("the source is TriEmbed already; name the family to convert it to with --to")
    family = family or find_family(config)
    names = {today: stored_name for stored_name, today in canonical_names(checkpoint.tensors, family).items()}
    class_name = next(iter(config.get("architectures") or []), None)
    if class_name is not None and family.own_code:
        class_name = class_name.removeprefix(family.own_code.prefix)
    if class_name is not None and class_name not in family.heads:
        raise ConversionError(
            f"architectures: {class_name!r} has no counterpart in TriEmbed; expected one of {', '.join(family.heads)}"
        )

    def attempt(architecture: str) -> Transfer:
        our_config = to_triembed(config, family, family.heads[architecture], ignore=ignore)
        plan = make_plan(family, architecture, our_config)
        return Transfer(plan, checkpoint, resolve_same(names, plan), forwards=True)

    # A published BERT often declares BertForMaskedLM and holds the weights of BertForPreTraining: the weights decide.
    first = attempt(class_name) if class_name else None
    if first and not first.missing() and not first.extra():
        return first
    attempts = [attempt(architecture) for architecture in family.heads]
    fitting = [t for t in attempts if not t.missing() and not t.extra()]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        fits = ", ".join(t.plan.architecture for t in fitting)
        raise ConversionError(f"architectures: missing in config.json, and the weights fit {fits}; name one of them")
    raise _misfit(first or min(attempts, key=lambda t: len(t.missing()) + len(t.extra())), class_name)


def match_triembed(config: Config, checkpoint: Checkpoint, to: str) -> Transfer:
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
    if family.reference:
        raise ConversionError(
            f"--to {to}: this layout is read, not written, as transformers has no class for it; use --to "
            f"{family.model_type}"
        )
    ours = make_config({key: value for key, value in config.items() if key != "transformers_version"})
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
                raise _misfit(transfer, class_name)
            return transfer
        except ConversionError as error:
            problem = problem or error
    assert problem is not None, "a family has architectures"
    raise problem


def _misfit(transfer: Transfer, class_name: str | None) -> ConversionError:
    model_name = f"{class_name or transfer.plan.architecture}"
    problems = []
    for word, names in (
        ("lacks", transfer.missing()),
        ("holds, beyond what that model has,", [transfer.names[name] for name in transfer.extra()]),
    ):
        if names:
            listing = ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            problems.append(f"{word} {listing}")
    return ConversionError(f"weights of {model_name}: the checkpoint {'; and it '.join(problems)}")
