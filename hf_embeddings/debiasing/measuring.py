"""What a change of bias does to a model: association tests, a classifier of groups, similarity and retrieval.

Shapes: N words, D width.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from hf_embeddings.analysis.directions import bias_directions
from hf_embeddings.analysis.geometry import unit_rows
from hf_embeddings.analysis.separation import group_accuracy
from hf_embeddings.corpora.word_starts import word_pieces
from hf_embeddings.evaluation import measures
from hf_embeddings.evaluation.evaluation_data import EvaluationData
from hf_embeddings.evaluation.vectors import Vectors
from hf_embeddings.records.debiasing import BiasFigures, Separation

WORDS = 3000  # of the vocabulary, whose leaning is looked at
LEANING = 500  # of them on each side that are classified, at most
FEWEST = 20  # words on each side


def whole_words(vectors: Vectors, without: Sequence[str]) -> list[str]:
    """Return the first words of the vocabulary that are one token, in the order of its rows; some are left out."""
    tokenizer, left_out = vectors.encoder.tokenizer, {word.lower() for word in without}
    words: dict[str, None] = {}
    tokens = [token for token in vectors.tokens if token not in tokenizer.all_special_tokens][: 8 * WORDS]
    texts = [tokenizer.convert_tokens_to_string([token]).strip() for token in tokens]
    candidates = [text for text in texts if text.isalpha() and (len(text) > 1 or not text.isascii())]
    for text, pieces in zip(candidates, word_pieces(tokenizer, candidates), strict=True):
        if len(pieces) == 1 and text.lower() not in left_out:
            words.setdefault(text)
            if len(words) == WORDS:
                break
    return list(words)


class Leaning:
    """Words that lean to one side of a direction or the other in a model, and which."""

    def __init__(self, vectors: Vectors, words: Sequence[str], pairs: Sequence[tuple[str, str]]) -> None:
        """Take the words of both ends of the direction in which pairs of words differ most."""
        first, second = (vectors.encode([pair[side] for pair in pairs]) for side in (0, 1))
        (direction,), _ = bias_directions(first, second, 1)
        scores = unit_rows(vectors.encode(words).astype(np.float64)) @ direction if words else np.empty(0)
        count = min(LEANING, len(words) // 4)
        ends = np.argsort(scores, kind="stable")
        chosen = [*ends[:count], *ends[len(ends) - count :]]
        self.words = [words[number] for number in chosen]
        self.labels = np.arange(len(chosen)) >= count
        self.direction, self.middle = direction, float(scores.mean()) if words else 0.0

    def separation(self, vectors: Vectors) -> Separation | None:
        """Classify the same words by their vectors in this model, or another; None where they are few."""
        if len(self.words) < 2 * FEWEST:
            return None
        rows = vectors.encode(self.words)
        scores = unit_rows(rows.astype(np.float64)) @ self.direction
        leaning = np.where(self.labels, scores - self.middle, self.middle - scores).mean()
        accuracy = group_accuracy(rows, self.labels)
        return Separation(words=len(self.words), accuracy=accuracy, leaning=float(leaning))


def figures(vectors: Vectors, data: EvaluationData, leaning: Leaning) -> BiasFigures:
    """Measure one kind of vectors of a model."""
    tests = chain.from_iterable(measures.bias(vectors, tests, name) for name, tests in data.bias.items())
    return BiasFigures(
        bias=list(tests),
        similarity={name: measures.measure_similarity(vectors, one) for name, one in data.similarity.items()},
        retrieval={name: measures.retrieval(vectors, one) for name, one in data.retrieval.items()},
        separation=leaning.separation(vectors),
    )
