"""From a family's table and one config to a plan: which tensors of one side become which of the other.

The names and shapes of TriEmbed's side are those of a model built on the meta device, so a plan names every parameter
the model has, and read backwards it is the way back.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from hf_embeddings.conversion.family import Family, Head
from hf_embeddings.conversion.rules import ConversionError, Operation, Weight
from hf_embeddings.model.configuration_triembed import TriEmbedConfig

BASE = "triembed."


@dataclass(frozen=True)
class Step:
    """Some tensors of the family (`sources`) and the TriEmbed tensors (`targets`) that hold the same values."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    operation: Operation

    def forward(self, tensors: list[torch.Tensor], config: Mapping[str, Any]) -> list[torch.Tensor]:
        """Turn the family's tensors into TriEmbed's."""
        return self.operation.forward(tensors, config, len(self.targets))

    def backward(self, tensors: list[torch.Tensor], config: Mapping[str, Any]) -> list[torch.Tensor]:
        """Turn TriEmbed's tensors into the family's."""
        return self.operation.backward(tensors, config, len(self.sources))


@dataclass(frozen=True)
class Plan:
    """The steps of one conversion, either way."""

    family: Family
    architecture: str  # the family's class
    head: Head
    config: TriEmbedConfig
    steps: tuple[Step, ...]
    shapes: Mapping[str, torch.Size]  # of TriEmbed's tensors
    # A name that nothing reads once the head is untied -> the name that is read; both are written on the way back.
    unread: Mapping[str, str]
    rules: frozenset[Weight]  # those that were used

    @cached_property
    def sources(self) -> frozenset[str]:
        """Every tensor of the family's side, with the prefix."""
        return frozenset(name for step in self.steps for name in step.sources)

    @cached_property
    def same(self) -> dict[str, str]:
        """Second names that a family's checkpoint may have, and the first names they repeat."""
        names = self.head.same.items()
        return {second: first for second, first in names if second not in self.sources and first not in self.unread}

    @cached_property
    def computed(self) -> dict[str, Callable[[Mapping[str, Any]], torch.Tensor]]:
        """Tensors of the family that its config determines."""
        return {f"{self.family.prefix}.{rule.source}": rule.make for rule in self.family.computed}

    def is_optional(self, name: str) -> bool:
        """Tell whether a bare encoder may lack this tensor, under either side's name."""
        bare = name.removeprefix(self.family.prefix + ".").removeprefix(BASE)
        return self.head.is_encoder and bare.startswith(tuple(f"{m}." for m in self.family.optional))


def make_plan(family: Family, architecture: str, config: TriEmbedConfig) -> Plan:
    """Return the steps between `architecture` of the family and the TriEmbed model with this config.

    Raises:
        ConversionError: the table has no rule for a parameter of the model.
    """
    head = family.heads[architecture]
    pooler: dict[str, Any] = {"add_pooling_layer": bool(family.optional)} if head.is_encoder else {}
    with torch.device("meta"):
        model = head.model_class(config, **pooler)
    tied_names = set(model.all_tied_weights_keys)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items() if name not in tied_names}
    task = not head.is_encoder
    steps: dict[tuple[str, ...], Step] = {}
    used_rules = set()
    for name in shapes:
        rule, sources, targets = _find(name, family, head, task, depth=config.num_hidden_layers)
        used_rules.add(rule)
        steps[targets] = Step(sources, targets, rule.operation)
    unmade = [name for targets in steps for name in targets if name not in shapes]
    if unmade:
        raise ConversionError(f"{family.name}: the model has no {unmade[0]}, which a rule of the table would fill")
    plan_steps = tuple(steps.values())
    unread: dict[str, str] = {}
    if not config.tie_word_embeddings:
        plan_steps, unread = _untie(plan_steps, head)
    return Plan(family, architecture, head, config, plan_steps, shapes, unread, frozenset(used_rules))


def _untie(steps: tuple[Step, ...], head: Head) -> tuple[tuple[Step, ...], dict[str, str]]:
    """Let steps read the second name of a weight: transformers ties a head's bias only together with its table."""
    sources = {name for step in steps for name in step.sources}
    second = {first: second for second, first in head.same.items() if first in sources and second not in sources}
    renamed_steps = (replace(step, sources=tuple(second.get(name, name) for name in step.sources)) for step in steps)
    return tuple(renamed_steps), second


Names = tuple[str, ...]


def _find(name: str, family: Family, head: Head, task: bool, *, depth: int) -> tuple[Weight, Names, Names]:
    """Return the rule for a parameter of TriEmbed, the family's names with the prefix, and all names the rule fills."""
    bare = name.removeprefix(BASE) if task else name
    in_encoder = not task or name.startswith(BASE)
    for rule in head.weights:
        if names := _match(rule, name, depth):
            return rule, *names
    for rule in family.encoder if in_encoder else ():
        if names := _match(rule, bare, depth):
            sources, targets = names
            with_prefix = tuple(f"{family.prefix}.{source}" for source in sources)
            return rule, with_prefix, tuple(BASE + t for t in targets) if task else targets
    raise ConversionError(f"{family.name} cannot hold {name}: no rule of its table names this parameter")


def _match(rule: Weight, name: str, depth: int) -> tuple[Names, Names] | None:
    for target in rule.targets:
        pattern = re.escape(target).replace(r"\{\}", r"(\d+)") + r"((?:\..+)?)"
        if match := re.fullmatch(pattern, name):
            *numbers, leaf = match.groups()
            # A family whose layers share their weights has no number where TriEmbed has one for each layer.
            is_shared = bool(numbers) and not any("{}" in source for source in rule.sources)
            counts = [str(number) for number in range(depth)] if is_shared else numbers[:1] or [""]
            sources = tuple(source.replace("{}", counts[0]) + leaf for source in rule.sources)
            return sources, tuple(text.replace("{}", number) + leaf for text in rule.targets for number in counts)
    return None


def rule_covers(rule: Weight, name: str) -> bool:
    """Tell whether a rule without layer numbers speaks of a name of the family's side."""
    return any(name == source or name.startswith(f"{source}.") for source in rule.sources)
