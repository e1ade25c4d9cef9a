"""Small models to explain: the pieces of the seed's sentences, all position types, with and without an MLM head."""

from pathlib import Path

import torch
from transformers import BertTokenizer, PreTrainedModel

from hf_embeddings import TriEmbedConfig, TriEmbedForPreTraining

SEED = ("猫追狗", "狗追猫")
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "猫", "追", "狗", "cat", "dog", "the", "##s", "م", "##ر", "##ح"]
SIZES = {
    "vocab_size": len(PIECES) + 1, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 32, "max_position_embeddings": 24, "initializer_range": 0.3,
}  # fmt: skip


def save_model(folder: Path, model_class: type[PreTrainedModel] = TriEmbedForPreTraining, **fields: object) -> Path:
    """Save a random model with its tokenizer, a TriEmbed one if its class says nothing else."""
    torch.manual_seed(0)
    own = issubclass(model_class.config_class, TriEmbedConfig)
    model_class(model_class.config_class(**{**SIZES, **fields})).save_pretrained(folder)
    assert own or model_class.config_class.model_type == "bert"
    BertTokenizer(vocab={piece: row for row, piece in enumerate(PIECES)}).save_pretrained(folder)
    return folder
