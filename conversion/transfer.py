"""Carry the tensors of one checkpoint over to the other, by a plan, forwards or backwards.

Everything that headers can tell is checked before a single value is read: names, shapes and types.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch

from hf_embeddings.analysis.differences import largest_difference
from hf_embeddings.conversion.checkpoints import TensorReader
from hf_embeddings.conversion.configs import fields_of
from hf_embeddings.conversion.plan import Plan, Step
from hf_embeddings.conversion.rules import Config, ConversionError
from hf_embeddings.conversion.unread_weights import is_known


@dataclass(frozen=True)
class Transfer:
    """A plan, a checkpoint to read, and the direction."""

    plan: Plan
    checkpoint: TensorReader
    names: Mapping[str, str]  # name in the plan -> name in the checkpoint
    forwards: bool  # from the family to TriEmbed
    config: Config = field(default_factory=dict)  # of the family's model, with what the weights say of it
    foreign: tuple[str, ...] = ()  # its keys that no model reads

    def inputs(self, step: Step) -> tuple[str, ...]:
        """Names that a step reads."""
        return step.sources if self.forwards else step.targets

    def outputs(self, step: Step) -> tuple[str, ...]:
        """Names that a step makes."""
        return step.targets if self.forwards else step.sources

    def run(self, step: Step, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        """Apply a step to values, or to tensors without values."""
        config = fields_of(self.plan.config)
        return step.forward(tensors, config) if self.forwards else step.backward(tensors, config)

    def missing(self) -> list[str]:
        """Names that the plan reads and the checkpoint lacks."""
        input_names = (name for step in self.plan.steps for name in self.inputs(step))
        return [name for name in input_names if name not in self.names and not self.plan.is_optional(name)]

    @cached_property
    def unread(self) -> list[str]:
        """Names that the checkpoint holds and nothing of the plan reads."""
        read_names = {name for step in self.plan.steps for name in self.inputs(step)} | set(self.plan.same)
        read_names |= {*self.plan.unread, *self.plan.computed} if self.forwards else set()
        return [name for name in self.names if name not in read_names]

    @cached_property
    def left_out(self) -> list[str]:
        """Those of them that a checkpoint of this family may hold beside what its class reads."""
        family, headers = self.plan.family, self.checkpoint.tensors
        return [n for n in self.unread if self.forwards and is_known(n, headers[self.names[n]], family)]

    def extra(self) -> list[str]:
        """Those that are not known, and may be part of another model."""
        return [name for name in self.unread if name not in self.left_out]

    def steps(self) -> Iterator[Step]:
        """The steps whose tensors the checkpoint holds: all but those of an optional module."""
        return (step for step in self.plan.steps if all(name in self.names for name in self.inputs(step)))

    def described(self) -> dict[str, torch.Tensor]:
        """Return what would be written, as tensors without values.

        Raises:
            ConversionError: a tensor has another shape than the config says, or is not of a floating point type.
        """
        result: dict[str, torch.Tensor] = {}
        for step in self.steps():
            empty = [self._empty(name) for name in self.inputs(step)]
            outputs = self.run(step, empty)
            for name, tensor in zip(step.targets, outputs if self.forwards else empty, strict=True):
                if tensor.shape != self.plan.shapes[name]:
                    raise self._misshaped(step, name, empty, tensor)
            result |= dict(zip(self.outputs(step), outputs, strict=True))
        return result

    def values(self, step: Step) -> dict[str, torch.Tensor]:
        """Read, check and convert the tensors of one step.

        Raises:
            ConversionError: a value is not finite.
        """
        tensors = [self.read(name) for name in self.inputs(step)]
        outputs = {name: t.contiguous() for name, t in zip(self.outputs(step), self.run(step, tensors), strict=True)}
        twice = {first: outputs[second].clone() for first, second in self.plan.unread.items() if second in outputs}
        return outputs | twice if not self.forwards else outputs

    def read(self, name: str) -> torch.Tensor:
        """Read one tensor by its name in the plan."""
        tensor = self.checkpoint.read(self.names[name])
        if not torch.isfinite(tensor).all():
            count = int((~torch.isfinite(tensor)).sum())
            raise ConversionError(f"{self.names[name]}: {count} of {tensor.numel()} values are NaN or infinite")
        return tensor

    def computed(self) -> dict[str, torch.Tensor]:
        """Return the tensors that the family stores and the config determines."""
        config = fields_of(self.plan.config)
        return {} if self.forwards else {name: make(config) for name, make in self.plan.computed.items()}

    def check_computed(self) -> None:
        """Raise where the checkpoint holds other numbers than the config determines."""
        config = fields_of(self.plan.config)
        for name, make in self.plan.computed.items() if self.forwards else ():
            if name in self.names:
                stored_values, computed_values = self.read(name).float(), make(config)
                if (
                    stored_values.shape != computed_values.shape
                    or not largest_difference(stored_values.numpy(), computed_values.numpy()) <= 1e-5
                ):
                    raise ConversionError(
                        f"{self.names[name]}: differs from what the config determines; it was trained or changed, and "
                        "TriEmbed computes it"
                    )

    def check_same(self) -> None:
        """Raise where a checkpoint stores a tied weight twice and the copies differ."""
        for second, first in self.plan.same.items() if self.forwards else ():
            if second in self.names and first in self.names and self.names[second] != self.names[first]:
                if not torch.equal(self.read(second), self.read(first)):
                    raise ConversionError(
                        f"{self.names[second]} differs from {self.names[first]}, to which the config ties it; set "
                        "tie_word_embeddings to false if the two are meant to differ"
                    )

    def _empty(self, name: str) -> torch.Tensor:
        header = self.checkpoint.tensors[self.names[name]]
        if header.dtype is None:
            raise ConversionError(
                f"{self.names[name]}: stored as {header.stored}, expected a floating point type; quantised weights "
                "must be restored first"
            )
        return torch.empty(header.shape, dtype=header.dtype, device="meta")

    def _misshaped(self, step: Step, name: str, args: list[torch.Tensor], output: torch.Tensor) -> ConversionError:
        expected_shape = self.plan.shapes[name]
        fields = {
            field
            for size, actual_size in zip(expected_shape, (*output.shape, *[None] * len(expected_shape)), strict=False)
            if size != actual_size
            for field, value in fields_of(self.plan.config).items()
            if value == size and not isinstance(value, bool)
        }
        source = self.names[self.inputs(step)[0]]
        return ConversionError(
            f"{source}: has shape {tuple(args[0].shape)}, which makes {tuple(output.shape)} for {name}, and the config "
            f"says {tuple(expected_shape)}" + (f" (see {', '.join(sorted(fields))})" if fields else "")
        )


def resolve_same(names: dict[str, str], plan: Plan) -> dict[str, str]:
    """Let a second name stand in where a checkpoint stores a tied weight under that name only."""
    all_names = dict(names)
    for second, first in plan.same.items():
        if first not in all_names and second in all_names:
            all_names[first] = all_names[second]
    return all_names
