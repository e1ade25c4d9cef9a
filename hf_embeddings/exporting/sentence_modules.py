"""The modules behind the encoder that a directory of sentence-transformers names, read into torch and written again.

What is stated is done or refused by name. A directory that states nothing gets the mean of its tokens at length 1.

Shapes: B batch, S sequence, D hidden, E features of a sentence vector.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hf_embeddings.exporting.token_pooling import POOLINGS
from hf_embeddings.loading.pooling_files import pooling_names
from hf_embeddings.loading.sentence_models import TRANSFORMER_FILES, encoder_folder
from hf_embeddings.search.dense import OF_VECTORS, module_weights, read_dense
from hf_embeddings.search.recipe_files import (
    ANY,
    MODULES,
    NORMALIZE_KEYS,
    POOLING_KEYS,
    SETTINGS,
    SETTINGS_KEYS,
    TRANSFORMER_KEYS,
    Rules,
    module_list,
    read_checked,
)

LAYER_NORM_KEYS: Rules = {"dimension": ANY, **OF_VECTORS}
DROPOUT_KEYS: Rules = {"dropout": ANY, **OF_VECTORS}


class Normalize(nn.Module):
    """Scale (B, E) vectors to length 1."""

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Map (B, E) to (B, E)."""
        return nn.functional.normalize(vectors, dim=-1)


@dataclass(frozen=True)
class VectorModule:
    """A module behind the pooling: its kind, what it does, and what its directory holds."""

    kind: str
    module: nn.Module
    settings: dict[str, Any] = field(default_factory=dict)
    source: Path | None = None  # the directory it was read from, with weights


@dataclass(frozen=True)
class SentenceModules:
    """All that stands between hidden states and a sentence vector, and what is done to a text before."""

    poolings: tuple[str, ...] = ("mean",)
    steps: tuple[VectorModule, ...] = (VectorModule("Normalize", Normalize()),)
    dimension: int | None = None  # features that are kept of the vector, from the first; None for all
    include_prompt: bool = True  # pool the tokens of the prompt, too
    max_length: int | None = None  # tokens with the special ones; None where nothing is stated
    lowercase: bool = False
    settings: dict[str, Any] = field(default_factory=dict)  # of config_sentence_transformers.json
    stated: bool = True  # whether the directory says so, or this is the default

    @property
    def prompts(self) -> dict[str, str]:
        """The prompts by name."""
        return {name: text for name, text in (self.settings.get("prompts") or {}).items() if text is not None}

    @property
    def pools_all(self) -> bool:
        """Whether pooling can be done without knowing how long the prompt is."""
        return self.include_prompt or not any(self.prompts.values())

    def vectors(self) -> "SentenceVectors":
        """Return what maps hidden states to vectors."""
        return SentenceVectors(self)

    def describe(self) -> str:
        """Return the words for it: the pooling, then each module."""
        kinds = ["+".join(self.poolings), *(step.kind for step in self.steps)]
        kinds += [f"first {self.dimension} features"] if self.dimension else []
        return " -> ".join(kinds) + ("" if self.stated else " (the default: the directory does not say)")


class SentenceVectors(nn.Module):
    """Pooling, then each module, then what is cut off."""

    def __init__(self, modules: SentenceModules) -> None:
        super().__init__()
        self.poolings = modules.poolings
        self.steps = nn.Sequential(*(step.module for step in modules.steps))
        self.dimension = modules.dimension

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map hidden states (B, S, D) and the attention mask (B, S) to vectors (B, E)."""
        pooled = torch.cat([POOLINGS[name](hidden, mask) for name in self.poolings], dim=-1)
        vectors = self.steps(pooled)
        return vectors if self.dimension is None else vectors[:, : self.dimension]


def read_modules(folder: Path) -> SentenceModules:
    """Read the modules of a model directory.

    Raises:
        ValueError: a file states something that is not known here, or known and not done.
    """
    if not (folder / MODULES).is_file():
        return SentenceModules(stated=False)
    found = _module_list(folder)
    pooling_place = folder / found[1][1] / "config.json"
    pooling = read_checked(pooling_place, POOLING_KEYS)
    if not pooling:
        raise ValueError(
            f"{pooling_place}: missing or empty, expected the pooling of the model; copy it with its folders"
        )
    encoder = encoder_folder(folder)
    transformer = next(
        (part for name in TRANSFORMER_FILES if (part := read_checked(encoder / name, TRANSFORMER_KEYS))), {}
    )
    settings = read_checked(folder / SETTINGS, SETTINGS_KEYS)
    return SentenceModules(
        poolings=pooling_names(pooling_place, pooling),
        steps=tuple(STEPS[kind](folder / path) for kind, path in found[2:]),
        dimension=settings.get("truncate_dim"),
        include_prompt=bool(pooling.get("include_prompt", True)),
        max_length=transformer.get("max_seq_length"),
        lowercase=bool(transformer.get("do_lower_case")),
        settings=settings,
    )


def _module_list(folder: Path) -> list[tuple[str, str]]:
    """Return kind and path of each module: the transformer, the pooling, and those that are known here."""
    return module_list(
        folder,
        lambda kinds: kinds[:2] == ["Transformer", "Pooling"] and all(kind in STEPS for kind in kinds[2:]),
        f"Transformer, Pooling and then {', '.join(STEPS)} of sentence-transformers; nothing else is exported",
    )


def _normalize(folder: Path) -> VectorModule:
    read_checked(folder / "config.json", NORMALIZE_KEYS)
    return VectorModule("Normalize", Normalize())


def _dropout(folder: Path) -> VectorModule:
    settings = read_checked(folder / "config.json", DROPOUT_KEYS)
    return VectorModule("Dropout", nn.Identity(), settings, folder)


def _dense(folder: Path) -> VectorModule:
    module, settings = read_dense(folder)
    return VectorModule("Dense", module, settings, folder)


def _layer_norm(folder: Path) -> VectorModule:
    place = folder / "config.json"
    settings = read_checked(place, LAYER_NORM_KEYS)
    weights = module_weights(folder, place)
    norm = nn.LayerNorm(len(weights["norm.weight"]))
    norm.load_state_dict({name.removeprefix("norm."): tensor.float() for name, tensor in weights.items()})
    return VectorModule("LayerNorm", norm, settings, folder)


STEPS = {"Dense": _dense, "LayerNorm": _layer_norm, "Normalize": _normalize, "Dropout": _dropout}
