"""Rows of words in the token table are those of words, with every kind of tokenizer."""

import numpy as np
import pytest

from hf_embeddings import TriEmbedConfig, TriEmbedModel
from hf_embeddings.evaluation.vectors import GIVEN, Vectors
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.recipe import Recipe
from tests.conversion.laws import SIZES
from tests.corpora.tokenizer_kinds import KINDS, tokenizer_of


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_has_the_row_that_it_has_in_a_text(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    model = TriEmbedModel(TriEmbedConfig(**SIZES | {"vocab_size": len(tokenizer)}))
    vectors = Vectors(Encoder(model, tokenizer, precision="fp32"), source="table")
    in_text = tokenizer("in school", add_special_tokens=False)["input_ids"][-1]
    np.testing.assert_array_equal(vectors.encode(["school"])[0], vectors.table[in_text])


def test_roles_have_the_prompts_of_the_directory_unless_one_is_given() -> None:
    tokenizer = tokenizer_of("WordPiece")
    model = TriEmbedModel(TriEmbedConfig(**SIZES | {"vocab_size": len(tokenizer)}))
    encoder = Encoder(model, tokenizer, Recipe(prompts={"query": "in "}), precision="fp32")
    plain, query, document = (Vectors(encoder).encode(["school"], role=role) for role in (None, "query", "document"))
    np.testing.assert_array_equal(query, encoder.encode(["school"], prompt="query"))
    np.testing.assert_array_equal(document, plain)
    assert not np.allclose(query, plain)
    encoder.recipe = Recipe(prompts={GIVEN: "in "}, default_prompt=GIVEN)
    for role in (None, "query", "document"):
        np.testing.assert_array_equal(Vectors(encoder).encode(["school"], role=role), query)
