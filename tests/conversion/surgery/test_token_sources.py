"""Rows go from vocabulary to vocabulary by text and by where it stands, across all kinds of tokenizers."""

import pytest

from hf_embeddings.conversion.surgery.token_sources import sources_of
from hf_embeddings.corpora.word_starts import word_mark, word_pieces
from tests.corpora.tokenizer_kinds import KINDS, tokenizer_of


@pytest.mark.parametrize("new_kind", KINDS)
@pytest.mark.parametrize("old_kind", KINDS)
def test_a_word_takes_the_row_of_the_word(old_kind: str, new_kind: str) -> None:
    old, new = tokenizer_of(old_kind), tokenizer_of(new_kind)
    sources, kept = sources_of(old, new)
    ids = [word_pieces(tokenizer, ["school"])[0] for tokenizer in (old, new)]
    assert sources[ids[1][0]] == ids[0] and kept > len(new.all_special_tokens)
    assert sources[new.mask_token_id] == [old.mask_token_id]
    if old_kind == new_kind:
        assert sources == [[index] for index in range(len(new))] and kept == len(new)


@pytest.mark.parametrize("new_kind", KINDS)
@pytest.mark.parametrize("old_kind", KINDS)
def test_a_piece_within_words_never_takes_the_row_of_a_word(old_kind: str, new_kind: str) -> None:
    old, new = tokenizer_of(old_kind), tokenizer_of(new_kind)
    sources, _ = sources_of(old, new)
    mark, names = word_mark(new), new.get_vocab()
    inner = names.get("s" if mark else "##s")
    assert inner is not None
    (source,) = sources[inner]
    assert old.convert_ids_to_tokens(source) == ("s" if word_mark(old) else "##s")
