"""The tokens that end a sentence are found in every kind of tokenizer, and a config gets them once."""

import pytest
from transformers import PreTrainedTokenizerBase

from hf_embeddings import TriEmbedConfig
from hf_embeddings.corpora.sentence_tokens import sentence_end_ids, set_sentence_ends
from tests.corpora.tokenizer_kinds import KINDS, tokenizer_of


def ends(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    return {tokenizer.decode([token]).strip(" ").removeprefix("##") for token in sentence_end_ids(tokenizer)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_that_is_a_token_is_found(kind: str) -> None:
    found = ends(tokenizer_of(kind))
    assert "." in found and found <= {".", "!", "?", ";", "\n"}, found


def test_a_config_gets_the_separators_that_it_does_not_name() -> None:
    tokenizer = tokenizer_of("WordPiece")
    for given, expected in ((None, sentence_end_ids(tokenizer)), ([3], [3]), ([], [])):
        config = TriEmbedConfig(
            vocab_size=200,
            position_embedding_type="bipe+alibi",
            position_parameters=None if given is None else {"bipe": {"separators": given}},
        )
        set_sentence_ends(config, tokenizer)
        assert config.position_parameters == {"bipe": {"separators": expected}}
    plain = TriEmbedConfig(position_embedding_type="rope")
    set_sentence_ends(plain, tokenizer)
    assert plain.position_parameters is None
