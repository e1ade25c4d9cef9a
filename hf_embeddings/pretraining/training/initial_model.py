"""What a run begins with: a new model, or a checkpoint whose pretraining goes on, on other text or in another way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from hf_embeddings.corpora.tokenizer import row_count
from hf_embeddings.loading.messages import no_bars
from hf_embeddings.loading.saved_model import check_counts, one_line_errors
from hf_embeddings.loading.stored_weights import check_finite, stored_shapes
from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.model.discriminators import is_discriminator, restart_head
from hf_embeddings.model.heads import PredictionHead
from hf_embeddings.model.layers import Layer
from hf_embeddings.model.modeling_triembed import TriEmbedForPreTraining, TriEmbedPreTrainedModel
from hf_embeddings.pretraining.architecture import is_checkpoint, read_architecture

Model = TypeVar("Model", bound=TriEmbedPreTrainedModel)
PADDED_ROWS = 128  # token tables are commonly padded to a multiple of 8, 64 or 128 rows, as matrix products like it


def architecture_of_base(base: Path) -> dict[str, Any]:
    """Return the fields of a config file, or of the config of a checkpoint.

    Raises:
        ValueError: there is none, or it is that of another model.
    """
    if not is_checkpoint(base):
        return read_architecture(base)
    kind = read_architecture(base).get("model_type")
    if kind != TriEmbedConfig.model_type:
        raise ValueError(
            f"model.base: {base} holds a {kind!r} model, expected 'triembed'; "
            f"convert it first: hf-embeddings convert {base} DIR"
        )
    check_counts(read_architecture(base), base, stored_shapes(base))
    with one_line_errors(base):
        return TriEmbedConfig.from_pretrained(base).to_dict()


def check_vocabulary(
    base: Path, config: TriEmbedConfig, tokenizer: PreTrainedTokenizerBase, say: Callable[[str], None]
) -> None:
    """Compare the tokenizer of a checkpoint with its token table; say when it has more unused rows than padding adds.

    Raises:
        ValueError: there are more tokens than rows.
    """
    rows = row_count(tokenizer)
    if rows > config.vocab_size:
        raise ValueError(
            f"model.base: the tokenizer of {base} needs {rows:,} rows, its model has {config.vocab_size:,} "
            "(vocab_size); give the tokenizer that belongs to the model"
        )
    if (unused_rows := config.vocab_size - rows) >= PADDED_ROWS:
        say(
            f"warning: the model of {base} has {config.vocab_size:,} rows (vocab_size), its tokenizer "
            f"{rows:,}: {unused_rows:,} rows are never used, more than padding to a multiple of "
            f"{PADDED_ROWS} adds; is it the tokenizer of this model?"
        )


def first_model(config: TriEmbedConfig, base: Path, *, log_frequencies: np.ndarray) -> TriEmbedForPreTraining:
    """Return a new model with random weights, or that of the checkpoint `base`; heads that it lacks begin at random.

    A new model begins with the scores of token frequencies, `log_frequencies` (V,), which else take 100 steps to learn.

    Raises:
        ValueError: weights are missing, unknown, no numbers, or have other shapes than the config asks for.
    """
    if not is_checkpoint(base):
        model = TriEmbedForPreTraining(config)
        begin_with(log_frequencies, model.predictions)
        return model
    return load_base(TriEmbedForPreTraining, base, config)


@torch.no_grad()
def begin_with(log_frequencies: np.ndarray, head: PredictionHead) -> None:
    """Let a new head score each token by its frequency."""
    if head.decoder.bias is not None:
        head.decoder.bias.copy_(torch.from_numpy(log_frequencies))


def load_base(model_class: type[Model], base: Path, config: TriEmbedConfig, *, section: str = "model") -> Model:
    """Return the model of the checkpoint `base` in fp32; heads that it lacks begin at random.

    Raises:
        ValueError: weights are missing, unknown, no numbers, or have other shapes than the config asks for.
    """
    with no_bars():
        model, info = model_class.from_pretrained(
            base, config=config, dtype=torch.float32, ignore_mismatched_sizes=True, output_loading_info=True
        )
    if not is_discriminator(read_architecture(base)):  # a classifier of something else
        restart_head(model, info, base, strict=False)
    if info["mismatched_keys"]:
        name, there, here = sorted(info["mismatched_keys"])[0]
        raise ValueError(
            f"model.base: {name} has shape {tuple(there)} in {base}, and {tuple(here)} with the fields of `{section}`; "
            "remove the field that changes it, or change the checkpoint first: hf-embeddings reposition, vocabulary"
        )
    check_finite(model.named_parameters(), f"model.base: {base}")
    return model


def compile_layers(model: nn.Module) -> None:
    """Compile the feed-forward part of each layer, whose shapes stay the same; names of weights stay too.

    Not attention, which looks at the lengths of the documents in Python and would be compiled again at each step.
    """
    for layer in [module for module in model.modules() if isinstance(module, Layer)]:
        layer.feed_forward.compile()
