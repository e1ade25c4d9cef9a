"""Rows of words in the token table are those of words, with every kind of tokenizer."""

import numpy as np
import pytest

from hf_embeddings import TriEmbedConfig, TriEmbedModel
from hf_embeddings.evaluation.vectors import Vectors
from hf_embeddings.search.encoder import Encoder
from tests.conversion.laws import SIZES
from tests.corpora.tokenizer_kinds import KINDS, tokenizer_of


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_has_the_row_that_it_has_in_a_text(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    model = TriEmbedModel(TriEmbedConfig(**SIZES | {"vocab_size": len(tokenizer)}))
    vectors = Vectors(Encoder(model, tokenizer, precision="fp32"), source="table")
    in_text = tokenizer("in school", add_special_tokens=False)["input_ids"][-1]
    np.testing.assert_array_equal(vectors.encode(["school"])[0], vectors.table[in_text])
