"""Pairs whose order their surface does not tell: for each there is another that looks the other way round.

The first half of a text is not like the second: in docstrings it is shorter, with fewer digits and more full stops.
Asked which half comes first, a model would learn that. So the order is asked of pairs only that come in mirror images:
as many whose first half looks like a second one as the other way round. Shapes: P samples, F features.
"""

import numpy as np

from hf_embeddings.corpora.tokenized_corpus import TokenizedCorpus
from hf_embeddings.pretraining.examples.chunks import Chunks, Spans

ROUNDS = 2  # of balancing: after one, other features than those that told most may tell a little
STRATUM = 200  # pairs whose surface tells about as much, among which both directions are made as frequent
RIDGE = 4.0  # added to the moments for each feature; each pair adds one
PAIRS_PER_FEATURE = 4  # the first features, such as the length, come first
GRID = 1e-6  # scores are rounded to this: their last digits depend on the machine


def balanced(chunks: Chunks, spans: Spans, places: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return the pairs that may be asked for their order, ascending numbers of the P that are split at `places` (P,).

    Both halves are whole sentences, or both are from the middle of one; `bits` (P,) choose among pairs of one kind.
    """
    marks = chunks.corpus.sentence_starts
    begins, ends = marks[spans.first_marks - 1] == spans.starts, marks[spans.end_marks] == spans.ends
    has_boundary = spans.first_marks < spans.end_marks
    first, second = half_features(chunks.corpus, spans, places)
    kinds = begins & has_boundary & ends, ~(begins | has_boundary | ends)
    members = [_mirrored(first - second, np.flatnonzero(kind), bits) for kind in kinds]
    return np.sort(np.concatenate(members))


def half_features(corpus: TokenizedCorpus, spans: Spans, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measure the halves of spans: lengths, counts and shares, first and last token, (P, F) each."""
    total = spans.ends - spans.starts
    before = np.cumsum(total) - total
    tokens = np.repeat(spans.starts - before, total) + np.arange(total.sum())
    single = corpus.continues[tokens][None].astype(np.uint8)  # (measures, T)
    if corpus.surface is not None:
        single = np.concatenate([single, corpus.surface.T[:, corpus.tokens[tokens]]])
    firsts = np.stack([before, before + places - spans.starts], axis=1).ravel()  # of A and B in turn
    lengths = np.diff(np.append(firsts, len(tokens)))
    counts = np.add.reduceat(single, firsts, axis=1, dtype=np.int64)
    ends = single[:, firsts], single[:, firsts + lengths - 1]
    both = np.vstack([lengths, np.log(lengths), counts, counts / lengths, *ends]).T
    return both[::2], both[1::2]


def _mirrored(slant: np.ndarray, pairs: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Leave out pairs until what the two halves differ in (P, F) is as often one way as the other."""
    scale = slant[pairs].std(axis=0) if len(pairs) else 1.0
    unit_slant = slant / np.where(scale == 0, 1, scale)
    for _ in range(ROUNDS):
        score = np.round(_slants(unit_slant[pairs]) / GRID) if len(pairs) else np.empty(0)
        order = np.lexsort((bits[pairs], np.abs(score)))
        stratum = np.arange(len(order)) // STRATUM
        pairs = pairs[order][_evened(score[order] > 0, stratum)]
    return pairs


def _slants(slants: np.ndarray) -> np.ndarray:
    """Return how much each pair looks like one in its order, (P,): by the linear function that tells it best.

    It has no more weights than so many pairs can tell: a few pairs would all look as if they were in order.
    """
    slants = slants[:, : max(1, len(slants) // PAIRS_PER_FEATURE)]
    size = slants.shape[1]
    moments = slants.T @ slants + RIDGE * size * np.eye(size)
    return np.asarray(slants @ np.linalg.solve(moments, slants.sum(axis=0)))


def _evened(positive: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """Tell which to keep (P,), the first ones, so that each stratum has as many positive ones as others."""
    is_kept = np.zeros(len(positive), dtype=bool)
    counts = [np.bincount(stratum[positive == side], minlength=stratum.max(initial=-1) + 1) for side in (True, False)]
    least = np.minimum(*counts)
    for side, count in zip((True, False), counts, strict=True):
        own = np.flatnonzero(positive == side)
        rank = np.arange(len(own)) - np.repeat(np.cumsum(count) - count, count)
        is_kept[own[rank < least[stratum[own]]]] = True
    return is_kept
