"""How much the place of a sentence in a document decides what the document's vector says of it.

Documents are made of sentences in random order, so that no place has sentences of its own kind: without position bias,
all places would count the same. Shapes: N documents, P places, D features.
"""

from collections.abc import Sequence

import numpy as np

from hf_embeddings.analysis.intervals import mean_interval
from hf_embeddings.analysis.similarity import pair_cosines
from hf_embeddings.evaluation.vectors import Vectors
from hf_embeddings.records.evaluation import PositionBias

PLACES = 5  # sentences of a document
DOCUMENTS = 60
LONGEST_SENTENCE = 24  # tokens: bounds the time, as documents are of so many times PLACES
SPECIAL = 2  # tokens around a document


def position_bias(vectors: Vectors, sentences: Sequence[str]) -> PositionBias | None:
    """Measure documents of a few sentences; None where too few sentences are short enough for the model.

    Two figures for each place: the cosine of a sentence and of the document that has it there, among the same other
    sentences; and how far an edit moves the vector, as 1 - cosine, where the sentence there is exchanged for another.
    """
    encoder = vectors.encoder
    room = (encoder.max_length - SPECIAL - len(encoder.tokenizer.tokenize(vectors.prompt))) // PLACES
    lengths = encoder.count_tokens(sentences)
    short = [s for s, n in zip(sentences, lengths, strict=True) if n - SPECIAL <= min(room, LONGEST_SENTENCE)]
    short = list(dict.fromkeys(short))
    if len(short) < 2 * PLACES:
        return None
    random = np.random.default_rng(0)
    drawn = [[short[n] for n in random.choice(len(short), PLACES + 1, replace=False)] for _ in range(DOCUMENTS)]
    placed = [
        [*rest[:place], new, *rest[place:]] for new, *rest in (d[:PLACES] for d in drawn) for place in range(PLACES)
    ]
    edited = [[*old[:place], new, *old[place + 1 :]] for new, *old in drawn for place in range(PLACES)]
    alone = vectors.encode([document[0] for document in drawn])  # (N, D)
    whole = vectors.encode([" ".join(document[1:]) for document in drawn])  # (N, D)
    with_it, after_edit = (
        vectors.encode([" ".join(parts) for parts in texts]) for texts in (placed, edited)
    )  # (N P, D)
    kept = pair_cosines(np.repeat(alone, PLACES, axis=0), with_it).reshape(DOCUMENTS, PLACES)
    moved = 1 - pair_cosines(np.repeat(whole, PLACES, axis=0), after_edit).reshape(DOCUMENTS, PLACES)
    difference = mean_interval(list(moved[:, 0] - moved[:, -1]))
    return PositionBias(
        documents=DOCUMENTS,
        sentence_in_document=[float(value) for value in kept.mean(axis=0)],
        moved_by_edit=[float(value) for value in moved.mean(axis=0)],
        start_less_end=difference.mean,
        start_less_end_half_width=difference.half_width or 0.0,
    )
