"""How a model directory wants its texts encoded: pooling, normalisation, length and prompts.

A sentence-transformers directory states it in `modules.json` and the files named there; any other directory gets the
defaults. What is stated but cannot be honoured is refused: a vector of another recipe looks right and ranks wrongly.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_embeddings.search.pooling import POOLINGS

_SHORT_NAMES = {"mean_tokens": "mean", "cls_token": "cls", "max_tokens": "max"}  # of the older Pooling files


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything beside weights and tokenizer that decides a vector."""

    pooling: str = "mean"
    layer: int | None = None  # which hidden state is pooled: 0 the embeddings, 1 the first layer, -1 or None the last
    normalize: bool = True
    max_length: int | None = None  # tokens with the special ones; None for what the model can take
    prompts: dict[str, str] = field(default_factory=dict)  # "query" and "document" are used by search

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling {self.pooling!r}: expected one of {', '.join(POOLINGS)}")
        if self.max_length is not None and self.max_length < 3:
            raise ValueError(f"max_length {self.max_length}: expected 3 tokens or more, as two are special ones")


def read_recipe(folder: Path) -> Recipe:
    """Read the recipe of a model directory.

    Raises:
        ValueError: `modules.json` asks for something that is not a transformer, a known pooling and normalisation.
    """
    if not (folder / "modules.json").is_file():
        return Recipe()
    modules = {module["type"].rsplit(".", 1)[-1]: folder / module["path"] for module in _read(folder / "modules.json")}
    unknown = sorted(set(modules) - {"Transformer", "Pooling", "Normalize"})
    if unknown or "Transformer" not in modules:
        raise ValueError(
            f"{folder / 'modules.json'}: got the modules {', '.join(modules) or 'none'}, expected Transformer, Pooling "
            "and Normalize only; encode with sentence-transformers, or remove the others from the file"
        )
    lengths = _read(folder / "sentence_bert_config.json").get("max_seq_length")
    return Recipe(
        pooling=_pooling(modules["Pooling"] / "config.json") if "Pooling" in modules else "mean",
        normalize="Normalize" in modules,
        max_length=lengths,
        prompts={
            name: prompt
            for name, prompt in (_read(folder / "config_sentence_transformers.json").get("prompts") or {}).items()
            if prompt
        },
    )


def _pooling(path: Path) -> str:
    config = _read(path)
    names = config.get("pooling_mode")
    if names is None:
        flags = {key.removeprefix("pooling_mode_"): on for key, on in config.items() if key.startswith("pooling_mode_")}
        names = [_SHORT_NAMES.get(name, name) for name, on in flags.items() if on]
    names = [names] if isinstance(names, str) else list(names)
    if len(names) != 1 or names[0] not in POOLINGS:
        raise ValueError(f"{path}: got pooling {' + '.join(names) or 'none'}, expected one of {', '.join(POOLINGS)}")
    return names[0]


def _read(path: Path) -> Any:  # noqa: ANN401  what JSON holds
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path}: got text that is not JSON ({error}), expected an object; restore the file") from None
