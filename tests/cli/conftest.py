"""A small TriEmbed directory with a WordPiece tokenizer over English words and Chinese characters."""

from pathlib import Path

import pytest
import torch
from transformers import BertTokenizer

from hf_embeddings import TriEmbedConfig, TriEmbedForPreTraining

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"[unused{i}]" for i in range(6))]
ENGLISH = (
    "the a cat dog tiger king queen man woman boy girl hot cold warm cool happy glad sad walk walks walked "
    "paris france rome italy tokyo japan runs sleeps eats reads in of to and is this that ##s ##ed . , : query"
).split()
CHINESE = list("快乐高兴愉悦开心男人女国王后冷凉温热走了过着猫追狗")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder of two layers, saved as `pretrain` saves one."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    tokens = [*SPECIAL, *ENGLISH, *CHINESE]
    BertTokenizer(vocab={token: row for row, token in enumerate(tokens)}).save_pretrained(folder)
    torch.manual_seed(0)
    config = TriEmbedConfig(
        vocab_size=len(tokens) + 8, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32,
        max_position_embeddings=40, initializer_range=0.3,
    )  # fmt: skip
    TriEmbedForPreTraining(config).save_pretrained(folder)
    return folder
