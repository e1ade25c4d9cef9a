"""A tiny random TriEmbed with a WordPiece tokenizer, as a sentence-transformers directory on disk."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import BertTokenizerFast

from hf_embeddings import TriEmbedConfig, TriEmbedModel

WORDS = "the a cat dog king queen runs sleeps eats big small red blue house river tree stone light night day".split()


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", "##s", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
    torch.manual_seed(0)
    config = TriEmbedConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.1,
    )
    TriEmbedModel(config).save_pretrained(folder)
    modules = ["Transformer", "Pooling", "Normalize"]
    (folder / "modules.json").write_text(
        json.dumps(
            [
                {
                    "idx": i,
                    "name": str(i),
                    "path": f"{i}_{name}" if i else "",
                    "type": f"sentence_transformers.models.{name}",
                }
                for i, name in enumerate(modules)
            ]
        )
    )
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False})
    )
    (folder / "2_Normalize").mkdir()
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 48, "do_lower_case": False}))
    return folder


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Forty texts of 1 to 40 words, none like another."""
    return [" ".join(WORDS[(3 * i + j * (1 + i % 7)) % len(WORDS)] for j in range(1 + i)) for i in range(40)]


@pytest.fixture
def refused() -> Callable[[Callable[[], object], str], None]:
    """Return a check that an action is refused in words that match a pattern."""

    def check(action: Callable[[], object], pattern: str) -> None:
        with pytest.raises(ValueError, match=pattern):
            action()

    return check
