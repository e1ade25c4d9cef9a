"""What a checkpoint says of the run that it is a state of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from hf_embeddings.corpora.text_rules import RULES
from hf_embeddings.files.manifest import read_manifest
from hf_embeddings.json_record import JsonRecord, absent

PRECISION = "training.mixed_precision"


@dataclass(frozen=True, kw_only=True)
class Identity(JsonRecord):
    """Everything that a checkpoint and the run that goes on from it must agree on."""

    seed: int
    micro_batches_per_step: int  # over all processes
    settings: dict[str, Any] = field(
        default_factory=dict
    )  # `section.field` of options, and `model.field` of the config
    corpus: str  # fingerprint of the training examples

    @property
    def precision(self) -> str:
        """The number format of the run, where the options may say `auto`."""
        return str(self.settings[PRECISION])

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, in which the settings lie flat."""
        values = super().to_dict()
        return values.pop("settings") | values

    @classmethod
    def _of_any_version(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values with the settings, which lie flat, in their place."""
        own = {"seed", "micro_batches_per_step", "corpus"}
        settings = {name: value for name, value in values.items() if name not in own}
        return {**values, "settings": settings}


@dataclass(frozen=True, kw_only=True)
class CheckpointFacts(JsonRecord):
    """What stands in the manifest of a checkpoint beside its step and its files."""

    identity: Identity
    gradient_accumulation_steps: int | None = absent()  # where the options had it in place of micro_batches
    processes: int | None = absent()
    versions: dict[str, str] | None = absent()  # of libraries
    text_rules: int | None = absent()  # by which its corpus was encoded: see `text_rules`

    @classmethod
    def read(cls, checkpoint: Path) -> Self:
        """Read the manifest of a checkpoint that has been verified."""
        return cls.from_dict(read_manifest(checkpoint).facts)


def text_rules(checkpoint: Path | None) -> int:
    """Return the rules by which a run encodes text: those of its checkpoint, of which the first named none."""
    return RULES if checkpoint is None else CheckpointFacts.read(checkpoint).text_rules or 1
