"""Load an encoder of any family that turns token ids into hidden states, and know the length of its input."""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import MODEL_MAPPING, PreTrainedModel, PreTrainedTokenizerBase
from transformers.tokenization_utils_base import VERY_LARGE_INTEGER

from hf_embeddings.file_names import WEIGHTS
from hf_embeddings.loading.auto_classes import open_model
from hf_embeddings.loading.messages import quiet_loading
from hf_embeddings.loading.model_names import fetch, refuse_onnx_only
from hf_embeddings.loading.saved_model import one_line_errors, read_config
from hf_embeddings.loading.static_model import StaticConfig, load_static
from hf_embeddings.loading.stored_weights import check_finite
from hf_embeddings.model.modeling_triembed import TriEmbedModel

UNLIMITED = 8192  # tokens of a text where neither model nor tokenizer states a limit: bounds the memory of a batch


def load_text_model(source: str | Path, **options: str) -> PreTrainedModel:
    """Load a model directory or Hub id in fp32, without its pooler where the family lets it be left out.

    `options` are more arguments of `from_pretrained`.

    Raises:
        ValueError: it is no encoder of text; weights other than those of a pooler are missing, or are no numbers.
    """
    refuse_onnx_only(source)
    config = read_config(source)
    if isinstance(config, StaticConfig):
        folder = Path(source) if Path(source).is_dir() else fetch(str(source), [WEIGHTS])
        table = load_static(folder, config)
        check_finite(table.named_parameters(), source)
        return table
    if type(config) not in MODEL_MAPPING:
        raise ValueError(f"{source}: model_type {config.model_type!r} has no base model, expected an encoder of text")
    family: Any = MODEL_MAPPING[type(config)]  # a class, or several
    family = family[0] if isinstance(family, tuple) else family
    if config.is_encoder_decoder or "input_ids" not in inspect.signature(family.forward).parameters:
        raise ValueError(
            f"{source}: {family.__name__} is no encoder of token ids, expected one such as BERT; encode with "
            "sentence-transformers"
        )
    # A pooler would be computed for nothing, and be random where the checkpoint has none.
    has_pooler = "add_pooling_layer" in inspect.signature(family).parameters
    left_out: dict[str, Any] = {"add_pooling_layer": False} if has_pooler else {}
    with quiet_loading(), one_line_errors(source):  # a pooler left out is no news, and the rest is checked below
        model, report = open_model(
            source, config=config, dtype=torch.float32, output_loading_info=True, **left_out, **options
        )
    missing = sorted(name for name in report["missing_keys"] if "pooler" not in name)
    alike = {_numberless(name) for name in model.state_dict()}
    extra = sorted(name for name in report["unexpected_keys"] if _numberless(name) in alike)
    for keys, state in ((missing, "missing, and would be random"), (extra, "left over, and would be dropped")):
        if keys:
            listing = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
            raise ValueError(
                f"{source}: weights of {family.__name__} are {state} ({listing}); check that config.json belongs to "
                "these weights"
            )
    check_finite(model.named_parameters(), source)
    return model


def _numberless(name: str) -> str:
    """Return the name of a weight without the number of its layer."""
    return re.sub(r"\d+", "N", name)


def longest_input(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return how many tokens, special ones included, a text may have."""
    positions = getattr(model.config, "max_position_embeddings", None)
    limits = [positions, position_rows(model), tokenizer.model_max_length]
    finite = [int(limit) for limit in limits if limit and 0 < limit < VERY_LARGE_INTEGER]
    return min(finite, default=UNLIMITED)


def position_rows(model: PreTrainedModel) -> int | None:
    """Return how many positions a table can tell that counts from `padding_idx` on, as RoBERTa's does."""
    if isinstance(model, TriEmbedModel):
        return None
    for module in model.modules():
        padding, table = getattr(module, "padding_idx", None), getattr(module, "position_embeddings", None)
        rows = getattr(table, "weight", None)
        if isinstance(padding, int) and isinstance(rows, torch.Tensor) and rows.dim() == 2:
            return len(rows) - padding - 1
    return None


def read_inputs(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return what a model reads of a tokenizer's output: a model without segments is given none."""
    takes = set(inspect.signature(model.forward).parameters)
    if getattr(model.config, "type_vocab_size", 1) == 0:
        takes.discard("token_type_ids")
    return {name: tensor for name, tensor in batch.items() if name in takes}


def check_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ids: torch.Tensor) -> None:
    """Compare token ids with the rows of the model's table.

    Raises:
        ValueError: an id has no row, as the tokenizer is that of another model, or has tokens that were added alone.
    """
    table: Any = model.get_input_embeddings()
    rows, largest = len(table.weight), int(ids.max()) if ids.numel() else -1
    if largest >= rows:
        raise ValueError(
            f"{model.name_or_path or 'the model'}: got the token {tokenizer.convert_ids_to_tokens(largest)!r} with id "
            f"{largest}, expected ids below {rows}, the rows of its token table; give the tokenizer that belongs to it"
        )


def reads_mask(model: PreTrainedModel) -> bool:
    """Tell whether a model can be told of padding at all; FNet cannot."""
    return "attention_mask" in inspect.signature(model.forward).parameters


@torch.inference_mode()
def ignores_padding(model: PreTrainedModel, ids: list[int], longest: int) -> bool:
    """Tell whether a text of a few tokens has the same states in a padded row.

    MobileBERT and ConvBERT mix padding into the last tokens, Funnel and Nystromformer divide rows by their length.
    """
    if not reads_mask(model):
        return False
    length = min(longest, 64)
    short = ids[: length // 2]
    row = torch.full((1, length), model.config.pad_token_id or 0, device=model.device)
    row[0, : len(short)] = torch.tensor(short)
    mask = torch.arange(length, device=model.device)[None] < len(short)
    alone = model(row[:, : len(short)], attention_mask=mask[:, : len(short)].long()).last_hidden_state
    in_row = model(row, attention_mask=mask.long()).last_hidden_state[:, : len(short)]
    error = (alone - in_row).abs().amax() / alone.abs().amax()
    return bool(error < (1e-3 if alone.dtype == torch.float32 else 0.05))
