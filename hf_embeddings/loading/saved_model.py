"""Read the config and the tokenizer of a model directory: what is damaged or does not fit its weights is one line.

A config.json can ask for any size. What the files hold bounds it, before memory is taken for more.
"""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from transformers import (
    CONFIG_MAPPING,
    MODEL_MAPPING,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)

from hf_embeddings.files.reading import read_object, read_text
from hf_embeddings.loading.auto_classes import OwnCode, build_model, open_config, open_tokenizer
from hf_embeddings.loading.messages import no_bars, quiet_loading
from hf_embeddings.loading.sentence_models import MODULES
from hf_embeddings.loading.stored_weights import check_finite, stored_shapes
from hf_embeddings.model import modeling_triembed, multi_task
from hf_embeddings.model.configuration_triembed import MOST_LABELS, MOST_LAYERS, TriEmbedConfig
from hf_embeddings.model.modeling_triembed import TriEmbedModel, TriEmbedPreTrainedModel

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
TOKENIZERS = (*TOKENIZER_FILES, "vocab.txt", "vocab.json")  # of any year; those of SentencePiece are *.model
UNKNOWN = "a \U0010fffd"  # a text with a character that no vocabulary has
RESTORE = "restore the file, or download the model again"
LARGEST_FACTOR = 16  # parameters of the model for each that is stored: packed weights hold up to 8 in one
_LAYERS = re.compile(r"(num_|n_)((hidden|encoder|decoder)_)?layers?|(encoder|decoder)_layers|num_hidden_groups")
Shapes = Mapping[str, tuple[int, ...]]


@contextmanager
def one_line_errors(place: str | Path, cure: str = RESTORE) -> Iterator[None]:
    """Tell what a library says of a damaged file, whatever kind of error it raises, as a ValueError of one line."""
    try:
        yield
    except (OSError, MemoryError, OwnCode):
        raise
    except Exception as error:  # of tokenizers, safetensors and the checks of transformers: they share no class
        reason = " ".join(str(error).split())
        line = reason if type(error) is ValueError else f"cannot be read ({type(error).__name__}: {reason}); {cure}"
        raise ValueError(f"{place}: {line}") from error


def read_config(source: str | Path) -> PreTrainedConfig:
    """Read the config of a model directory or Hub id.

    Raises:
        ValueError: it is damaged, or asks for a larger model than the weights beside it are of.
    """
    folder = Path(source)
    path = folder / "config.json"
    if not path.is_file():
        return open_config(source)
    with one_line_errors(folder, "download the weights again"):
        shapes = stored_shapes(folder)
    fields = read_object(path)
    check_type(fields, path)
    check_counts(fields, path, shapes)
    with one_line_errors(path):
        config = open_config(source)
    check_shapes(config, path, shapes)
    return config


def read_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """Read the tokenizer of a model directory or Hub id.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    folder = Path(source)
    if folder.is_dir() and not [*folder.glob("*.model"), *(name for name in TOKENIZERS if (folder / name).is_file())]:
        raise ValueError(f"{source}: no tokenizer in it; save one there with tokenizer.save_pretrained")
    with one_line_errors(f"{source}: the tokenizer", "save it again with save_pretrained, or download it again"):
        tokenizer = open_tokenizer(source)
        tokenizer(UNKNOWN)  # a model that lacks its unknown token loads, and fails at the first text that needs it
    return tokenizer


def check_tokenizer_file(folder: Path) -> None:
    """Parse the tokenizer.json of a model directory, where there is one, before it is copied to another.

    Raises:
        ValueError: it is damaged.
    """
    path = folder / "tokenizer.json"
    if path.is_file():
        with one_line_errors(path):
            Tokenizer.from_str(read_text(path))


def load_saved(folder: Path) -> TriEmbedPreTrainedModel:
    """Load the TriEmbed checkpoint of a directory in fp32, as the class that it was saved from.

    Raises:
        ValueError: config and weights make none.
    """
    config = read_config(folder)  # before memory is taken for it
    if not isinstance(config, TriEmbedConfig):
        raise ValueError(
            f"{folder}: model_type {config.model_type!r}, expected {TriEmbedConfig.model_type!r}; convert the "
            "checkpoint to TriEmbed first (hf-embeddings convert)"
        )
    check_tokenizer_file(folder)
    name = next(iter(config.architectures or []), TriEmbedModel.__name__)
    # Of a class of the user's own, the encoder.
    own: type[TriEmbedPreTrainedModel] = getattr(multi_task, name, TriEmbedModel)
    model_class: type[TriEmbedPreTrainedModel] = getattr(modeling_triembed, name, own)
    with quiet_loading(), one_line_errors(folder):
        model: TriEmbedPreTrainedModel = model_class.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    return model.eval()


def load_saved_encoder(folder: str | Path, **options: Any) -> TriEmbedModel:
    """Load the encoder of a TriEmbed checkpoint in fp32; `options` are more arguments of `from_pretrained`.

    Raises:
        ValueError: config and weights make none, or a weight is not finite.
    """
    read_config(folder)  # before memory is taken for it
    with no_bars():
        model: TriEmbedModel = TriEmbedModel.from_pretrained(folder, dtype=torch.float32, **options)
    check_finite(model.named_parameters(), folder)
    return model.eval()


def check_saved(folder: Path) -> None:
    """Load a checkpoint and its tokenizer once, as its users will, before it is said to be done.

    Raises:
        ValueError: as `load_saved`; or a head has no weights, or the tokenizer is damaged, or has tokens that the model
            has no rows for.
    """
    model = load_saved(folder)
    if random := [name for name in model.new_modules if name.split(".")[-1] != "pooler"]:
        raise ValueError(
            f"{folder / 'config.json'}: architectures is {type(model).__name__}, the weights hold no "
            f"{', '.join(random)}; {RESTORE}"
        )
    size = model.config.vocab_size
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        return
    tokenizer = read_tokenizer(folder)
    vocabulary = tokenizer.get_vocab()
    # Where transformers finds no vocabulary, it makes one up of the special tokens.
    if not vocabulary.keys() - tokenizer.get_added_vocab().keys() - set(tokenizer.all_special_tokens):
        raise ValueError(f"{folder}: the tokenizer has no vocabulary, expected tokenizer.json or vocab.txt; {RESTORE}")
    highest = max(vocabulary.values())
    if highest >= size:
        raise ValueError(
            f"{folder}: the tokenizer has the id {highest:,}, the model {size:,} rows, expected more; take the "
            "tokenizer that belongs to the model"
        )


def make_config(fields: Mapping[str, Any], place: Path, *, foreign: bool) -> TriEmbedConfig:
    """Return the config of TriEmbed with these fields, read from `place`; `foreign` keys of other tools may stay.

    Raises:
        ValueError: a field of a wrong type or value.
    """
    with one_line_errors(place, "correct the field"):
        return TriEmbedConfig.from_dict(dict(fields)) if foreign else TriEmbedConfig(**fields)


def check_type(fields: Mapping[str, Any], path: Path) -> None:
    """Refuse a config.json that says of no model, such as that of a module beside an encoder.

    Raises:
        ValueError: there is no `model_type`, or transformers does not know it; the cure is named.
    """
    kind, whole = fields.get("model_type"), path.parent.parent
    if "auto_map" in fields or kind in CONFIG_MAPPING:
        return
    cure = RESTORE if kind is None else "update transformers, or check the name"
    if kind is None and (whole / MODULES).is_file():
        cure = f"give {whole}, of which this is a part"
    actual = "no model_type" if kind is None else f"the model_type {kind!r:.60}"
    raise ValueError(f"{path}: got {actual}, expected one that transformers {transformers.__version__} knows; {cure}")


def check_counts(fields: Mapping[str, Any], path: Path, shapes: Shapes) -> None:
    """Refuse more layers than there are weights, and labels without end, before the library makes a list of them.

    Raises:
        ValueError: a count is too high; it is named.
    """
    layers = min(len(shapes) or MOST_LAYERS, MOST_LAYERS)
    for name, value in fields.items():
        if isinstance(value, dict):
            check_counts(value, path, shapes)
        most = layers if _LAYERS.fullmatch(name) else MOST_LABELS if name == "num_labels" else None
        if most is not None and isinstance(value, int | float) and value > most:
            raise ValueError(f"{path}: {name} is {value}, expected at most {most}, by what stands beside it; {RESTORE}")


def check_shapes(config: PreTrainedConfig, path: Path, shapes: Shapes) -> None:
    """Compare the model that a config stands for with the weights beside it, without taking memory for it.

    Raises:
        ValueError: a weight has another shape, or the model is many times as large.
    """
    if not shapes or type(config) not in MODEL_MAPPING:  # no weights beside it: nothing to compare with
        return
    with one_line_errors(path), torch.device("meta"):
        model = build_model(config)
    model_shapes, prefix = {name: tuple(p.shape) for name, p in model.named_parameters()}, model.base_model_prefix
    is_quantized = getattr(config, "quantization_config", None) is not None
    for name, shape in model_shapes.items():
        stored_shape = shapes.get(name, shapes.get(f"{prefix}.{name}", shape))
        if stored_shape != shape and not is_quantized:
            raise ValueError(
                f"{path}: stands for {name} of shape {list(shape)}, the weights hold {list(stored_shape)}; {RESTORE}"
            )
    size, stored_size = (sum(map(math.prod, each.values())) for each in (model_shapes, shapes))
    if size > LARGEST_FACTOR * stored_size:
        raise ValueError(f"{path}: stands for {size:,} parameters, the weights hold {stored_size:,}; {RESTORE}")
