"""The checkpoints that libraries are tried on: stock BERT as the control, and one for each position type."""

from pathlib import Path

import torch
from transformers import BertConfig, BertForPreTraining, BertTokenizer

from hf_embeddings import TriEmbedConfig, TriEmbedForPreTraining

CONTROL = "bert"
POSITIONS = ("learned", "rope", "alibi", "relative_key", "disentangled")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "answer", "is", "on", "next", "page", ".", "today"]
SIZES = {
    "vocab_size": 16, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": 64, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip


def write_checkpoints(folder: Path) -> list[Path]:
    """Write all checkpoints, the control first, and return their folders."""
    tokenizer = BertTokenizer(vocab={word: index for index, word in enumerate(WORDS)}, model_max_length=64)
    written = []
    for name in (CONTROL, *POSITIONS):
        torch.manual_seed(0)
        if name == CONTROL:
            model = BertForPreTraining(BertConfig(**SIZES))
        else:
            model = TriEmbedForPreTraining(TriEmbedConfig(**SIZES, position_embedding_type=name))
        with torch.no_grad():
            for parameter in model.parameters():  # as far from their start values as training would bring them
                parameter.add_(torch.randn_like(parameter) * 0.1)
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
        written.append(folder / name)
    return written
