"""Position bias: none of vectors that are blind to places, and that of an encoder that weighs them."""

from types import SimpleNamespace
from zlib import crc32

import numpy as np
import pytest

from hf_embeddings.evaluation.position_bias import PLACES, position_bias

SENTENCES = [f"word{number} follows word{number + 7} here ." for number in range(60)]


class Weighing:
    """Vectors of a text: random ones of its words, weighed by their place."""

    prompt = ""

    def __init__(self, decay: float, longest: int = 128) -> None:
        self.decay, self.words = decay, {}
        self.encoder = SimpleNamespace(
            max_length=longest, tokenizer=SimpleNamespace(tokenize=str.split),
            count_tokens=lambda texts: [len(text.split()) + 2 for text in texts],
        )  # fmt: skip

    def encode(self, texts: list[str]) -> np.ndarray:
        random = np.random.default_rng
        for word in (word for text in texts for word in text.split()):
            self.words.setdefault(word, random(crc32(word.encode())).normal(size=16))
        return np.stack(
            [sum(self.decay**place * self.words[w] for place, w in enumerate(text.split())) for text in texts]
        )


def test_vectors_that_are_blind_to_places_have_none() -> None:
    found = position_bias(Weighing(1.0), SENTENCES)
    assert found.sentence_in_document == pytest.approx([found.sentence_in_document[0]] * PLACES)
    assert abs(found.start_less_end) <= 2 * found.start_less_end_half_width


def test_an_encoder_that_weighs_the_start_shows_it() -> None:
    found = position_bias(Weighing(0.8), SENTENCES)
    assert found.start_less_end > 5 * found.start_less_end_half_width
    assert found.sentence_in_document[0] > found.sentence_in_document[-1] + 0.3
    assert found.moved_by_edit == sorted(found.moved_by_edit, reverse=True)


def test_too_few_short_sentences_are_not_measured() -> None:
    assert position_bias(Weighing(1.0, longest=16), SENTENCES) is None
    assert position_bias(Weighing(1.0), SENTENCES[:5]) is None
