"""Load and save TriEmbed checkpoints on which something is changed."""

from pathlib import Path

import torch

from hf_embeddings.conversion.checkpoints import read_json_object
from hf_embeddings.conversion.rules import ConversionError
from hf_embeddings.files.reading import not_a_directory
from hf_embeddings.loading.messages import quiet_loading
from hf_embeddings.loading.saved_model import load_saved
from hf_embeddings.model.configuration_triembed import AUTO_MAP, TriEmbedConfig
from hf_embeddings.model.modeling_triembed import TriEmbedPreTrainedModel


def load_own(folder: Path) -> TriEmbedPreTrainedModel:
    """Load a TriEmbed checkpoint in fp32 as the class that it was saved from.

    Raises:
        ConversionError: the directory holds none.
    """
    if not folder.is_dir():
        raise ConversionError(f"{folder}: {not_a_directory(folder)}, expected the directory of a checkpoint")
    config = read_json_object(folder / "config.json")
    if config.get("model_type") != TriEmbedConfig.model_type:
        raise ConversionError(
            f"{folder}: model_type {config.get('model_type')!r}, expected {TriEmbedConfig.model_type!r}; convert the "
            "checkpoint to TriEmbed first (hf-embeddings convert)"
        )
    names = {path.split(".")[1] for auto_class, path in AUTO_MAP.items() if auto_class != "AutoConfig"}
    class_name = next(iter(config.get("architectures") or []), "TriEmbedModel")
    if class_name not in names:
        raise ConversionError(f"{folder}: architectures {class_name!r}, expected one of {', '.join(sorted(names))}")
    return load_saved(folder)


def save_own(model: TriEmbedPreTrainedModel, folder: Path, *, source: Path) -> None:
    """Save weights, config and code; weights in the number format of `source`, whatever they were worked on in."""
    config = read_json_object(source / "config.json")
    dtype_name = config.get("dtype") or config.get("torch_dtype") or "float32"
    with quiet_loading():
        model.to(getattr(torch, dtype_name)).save_pretrained(folder)
