"""The law of long words: what a tokenizer is trained on is bounded, and other text is left as it is."""

import random

from hf_embeddings.corpora.long_words import LONGEST_TRAINED, MOST_PARTS, cut_long_words

TEXT = "An ordinary text, with words. " * 200
CHINESE = "天下大势，分久必合，合久必分。" * 200


def test_texts_with_words_are_left_as_they_are() -> None:
    documents = [TEXT, CHINESE, "a" * LONGEST_TRAINED]
    assert cut_long_words(documents) == (documents, 0)


def test_of_long_words_some_parts_stay_however_many_there_are() -> None:
    letters = "".join(random.Random(0).choices("กขคงจัิี", k=1_300_000))
    documents, left_out = cut_long_words([TEXT + letters, CHINESE + letters[:5000] + CHINESE])
    assert documents[0].startswith(TEXT) and documents[1].startswith(CHINESE) and documents[1].endswith(CHINESE)
    parts = documents[0].removeprefix(TEXT).split()
    assert MOST_PARTS // 2 < len(parts) <= MOST_PARTS and all(part in letters for part in parts)
    assert max(map(len, parts)) == LONGEST_TRAINED and left_out > 1_200_000
    assert cut_long_words(documents) == (documents, 0)
