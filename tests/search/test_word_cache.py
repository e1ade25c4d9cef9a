"""What is remembered of words gives the vectors that tokenizing the whole text gives."""

import random
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from hf_embeddings.embedding.static_model import distil_static
from hf_embeddings.search import word_cache
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.word_cache import cuts_at_spaces
from tests.search.conftest import WORDS

ALPHABET = [*"ab.,s\n\t", " ", "  ", "\u00a0", "\x1c", "\u3000", "\u0301", "é", "中", "[SEP]", "[UNK]", *WORDS]


@pytest.fixture(scope="module")
def table(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("static") / "table"
    distil_static(model_folder, target, dimension=16)
    return target


def plain(folder: Path) -> Encoder:
    """Return the encoder that remembers no words."""
    encoder = Encoder.load(folder, precision="fp32")
    encoder.words = None
    return encoder


def test_remembered_words_change_no_vector(table: Path) -> None:
    draw = random.Random(0)
    odd = ["".join(draw.choices(ALPHABET, k=draw.randrange(12))) for _ in range(400)]
    encoder = Encoder.load(table, precision="fp32")
    assert encoder.words is not None
    for _ in range(2):  # new words, then known ones
        np.testing.assert_allclose(encoder.encode(odd), plain(table).encode(odd), atol=1e-6)


def test_nor_does_forgetting_them(table: Path, texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_cache, "MOST_WORDS", 3)
    encoder = Encoder.load(table, precision="fp32")
    found = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(found, plain(table).encode(texts), atol=1e-6)


def test_a_text_beyond_the_length_is_cut_as_ever(table: Path) -> None:
    encoder, text = Encoder.load(table, precision="fp32", max_length=5), "cat cat cat cat cat dog dog"
    np.testing.assert_allclose(encoder.encode([text]), encoder.encode(["cat"]), atol=1e-6)
    assert encoder.truncated == 1


def test_a_language_without_spaces_is_not_remembered(table: Path) -> None:
    encoder = Encoder.load(table, precision="fp32")
    encoder.encode(["猫" * 100])
    assert encoder.words is not None and not encoder.words._numbers


def test_only_a_tokenizer_that_cuts_at_spaces_qualifies(table: Path) -> None:
    backend = Tokenizer.from_file(str(table / "tokenizer.json"))
    assert cuts_at_spaces(backend)
    backend.add_tokens(["the cat"])
    assert not cuts_at_spaces(backend)
    assert not cuts_at_spaces(Tokenizer(models.BPE()))
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel()
    assert not cuts_at_spaces(backend)
