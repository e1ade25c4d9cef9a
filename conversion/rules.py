"""The words in which a family's table is written: what a config key and a weight of one side are on the other.

Every rule knows both ways. A table is read forwards (the family's checkpoint becomes TriEmbed) and backwards (TriEmbed
becomes the family's checkpoint); nothing is written twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

Config = dict[str, Any]
REQUIRED = object()  # the default of a key that a config must have


class ConversionError(ValueError):
    """A checkpoint cannot be converted: what was found, what was expected, and the cure."""


@dataclass(frozen=True)
class Key:
    """A config key with the same meaning on both sides; `target` only where TriEmbed has another word for it."""

    source: str
    default: object = REQUIRED
    target: str = ""

    @property
    def sources(self) -> tuple[str, ...]:
        """Keys of the family's config."""
        return (self.source,)

    @property
    def targets(self) -> tuple[str, ...]:
        """Fields of TriEmbedConfig."""
        return (self.target or self.source,)

    def forward(self, config: Config) -> Config:
        """Return TriEmbed's fields for the family's config."""
        value = config.get(self.source, self.default)
        if value is REQUIRED:
            raise ConversionError(f"config: {self.source!r} is missing; expected a value")
        return {self.targets[0]: value}

    def backward(self, config: Config) -> Config:
        """Return the family's keys for TriEmbed's fields."""
        return {self.source: config[self.targets[0]]}


# Fields of TriEmbedConfig whose null means the value of another one.
MEANT_BY_NONE = {"prediction_act": "hidden_act", "mlp_down_bias": "mlp_bias"}


@dataclass(frozen=True)
class Fixed:
    """A choice that the family makes in its code and TriEmbed in its config."""

    target: str
    value: object
    sources = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Fields of TriEmbedConfig."""
        return (self.target,)

    def forward(self, config: Config) -> Config:
        """Return the fixed choice."""
        return {self.target: self.value}

    def backward(self, config: Config) -> Config:
        """Return nothing, once the model is known to have made the same choice."""
        value = config[self.target]
        if value is None and self.value is not None and self.target in MEANT_BY_NONE:
            value = config[MEANT_BY_NONE[self.target]]
        if value != self.value:
            raise ConversionError(f"{self.target}: {value!r}, and this family can hold {self.value!r} only")
        return {}


@dataclass(frozen=True)
class Only:
    """A key of the family for which TriEmbed can hold these values only; the first of them is the default."""

    source: str
    values: tuple[object, ...]
    targets = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """Keys of the family's config."""
        return (self.source,)

    def forward(self, config: Config) -> Config:
        """Return nothing, once the value is known to be one of those."""
        value = config.get(self.source, self.values[0])
        if value not in self.values:
            choices = " or ".join(repr(choice) for choice in self.values)
            raise ConversionError(f"config: {self.source} is {value!r}, and TriEmbed can hold {choices} only")
        return {}

    def backward(self, config: Config) -> Config:
        """Return nothing: the family's default says it."""
        return {}


@dataclass(frozen=True)
class Choice:
    """Keys whose meaning is spread differently over both configs: two functions, each the inverse of the other."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    forward: Callable[[Config], Config]
    backward: Callable[[Config], Config]


@dataclass(frozen=True)
class Unread:
    """Keys that no forward pass of the family reads: they are left out, and not written on the way back."""

    sources: tuple[str, ...]
    targets = ()

    def forward(self, config: Config) -> Config:
        """Return nothing."""
        return {}

    def backward(self, config: Config) -> Config:
        """Return nothing."""
        return {}


ConfigRule = Key | Fixed | Only | Choice | Unread
Tensors = Sequence[torch.Tensor]


def copy(tensors: Tensors, config: Mapping[str, Any], count: int) -> list[torch.Tensor]:
    """Leave a tensor as it is."""
    return list(tensors)


def split(tensors: Tensors, config: Mapping[str, Any], count: int) -> list[torch.Tensor]:
    """Cut one tensor into `count` equal parts along its rows."""
    return list(tensors[0].chunk(count, dim=0))


def join(tensors: Tensors, config: Mapping[str, Any], count: int) -> list[torch.Tensor]:
    """Put tensors on top of each other."""
    return [torch.cat(list(tensors), dim=0)]


@dataclass(frozen=True)
class Operation:
    """What happens to the values on the way; `config` is that of the TriEmbed model, `count` the number of results."""

    forward: Callable[[Tensors, Mapping[str, Any], int], list[torch.Tensor]]
    backward: Callable[[Tensors, Mapping[str, Any], int], list[torch.Tensor]]


def repeat(tensors: Tensors, config: Mapping[str, Any], count: int) -> list[torch.Tensor]:
    """Give each layer a copy of the weight that all share."""
    return [tensors[0].clone() for _ in range(count)]


def the_same(tensors: Tensors, config: Mapping[str, Any], count: int) -> list[torch.Tensor]:
    """Return the one weight that all layers have.

    Raises:
        ConversionError: they differ.
    """
    first = tensors[0]
    if not first.is_meta and not all(torch.equal(first, other) for other in tensors):
        raise ConversionError("the layers differ, and this family has one set of weights for all of them")
    return [first]


COPY = Operation(copy, copy)
SHARED = Operation(repeat, the_same)  # one layer of the family is every layer of TriEmbed's
SPLIT = Operation(split, join)  # one fused tensor of the family is several of TriEmbed's


@dataclass(frozen=True)
class Weight:
    """Modules or parameters that are the same on both sides, up to `operation`; `{}` stands for the layer number.

    A rule speaks of everything below its names: `("dense", "out")` covers `dense.weight` and `dense.bias`. Where only
    the target has `{}`, the layers of the family share the weight.
    """

    source: str | tuple[str, ...]
    target: str | tuple[str, ...]
    operation: Operation = COPY

    @property
    def sources(self) -> tuple[str, ...]:
        """Names on the family's side."""
        return (self.source,) if isinstance(self.source, str) else self.source

    @property
    def targets(self) -> tuple[str, ...]:
        """Names on TriEmbed's side."""
        return (self.target,) if isinstance(self.target, str) else self.target


@dataclass(frozen=True)
class Computed:
    """A tensor that a family stores and its config determines: checked on the way in, made on the way out."""

    source: str
    make: Callable[[Mapping[str, Any]], torch.Tensor]  # of the config of the TriEmbed model
