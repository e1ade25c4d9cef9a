"""What an example is given, looked at before data are read: a mistake is told at once."""

from pathlib import Path

import torch
from torch import nn
from transformers import AutoConfig, AutoModel

from hf_embeddings.loading.model_names import check_model_or_id, is_hub_id

LOADERS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet", ".txt": "text"}


def check_model(model: str, length: int, option: str) -> None:
    """Look whether a model is there, and has a position for each token of an example.

    Raises:
        ValueError: it is not there, or its table of positions ends before the `length` that the `option` asks for.
    """
    check_model_or_id(model, "--model")
    config = AutoConfig.from_pretrained(model)
    if config.model_type == "triembed":
        ends = [config.max_position_embeddings] if config.positions_end else []
    else:
        with torch.device("meta"):  # takes no memory
            modules = AutoModel.from_config(config).named_modules()
        tables = [module for name, module in modules if name.endswith("position_embeddings")]
        ends = [_end(table) for table in tables if isinstance(table, nn.Embedding)]
    if ends and min(ends) < length:
        raise ValueError(f"{option} {length}: the positions of {model} end at {min(ends)}; choose at most {min(ends)}")


def check_data(option: str, place: str | None) -> None:
    """Refuse a mistyped path, rather than ask the Hub for it, and files of other kinds.

    Raises:
        ValueError: nothing is there, or something else.
    """
    if place is None or Path(place).is_dir():
        return
    kinds = ", ".join(LOADERS)
    if Path(place).exists() and Path(place).suffix.lower() not in LOADERS:
        raise ValueError(f"{option} {place}: got another kind of file, expected {kinds}; convert it")
    if not Path(place).exists() and (option == "--test" or not is_hub_id(place)):
        raise ValueError(f"{option} {place}: no such file, expected one of {kinds}; check the path")


def _end(table: nn.Embedding) -> int:
    """Return how many positions a table has; that of RoBERTa counts from the row behind the padding's on."""
    return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
