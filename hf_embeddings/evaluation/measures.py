"""What `hf-embeddings evaluate` measures, each part a function from vectors to figures."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from hf_embeddings.analysis.bias import association_test
from hf_embeddings.analysis.compression import PRECISIONS, compare_sizes, compressed, widths
from hf_embeddings.analysis.geometry import (
    Hubness,
    hubness,
    isotropy,
    mean_cosine,
    norm_outliers,
    repeated_rows,
    untrained_rows,
)
from hf_embeddings.analysis.similarity import agreement, ranking, solve_analogies
from hf_embeddings.evaluation.test_sets import (
    RetrievalSet,
    read_analogies,
    read_association_tests,
    read_retrieval,
    read_scored_pairs,
)
from hf_embeddings.evaluation.vectors import Vectors
from hf_embeddings.records.evaluation import (
    AnalogyFigures,
    AssociationFigures,
    HubFigures,
    NormOutliers,
    RankingFigures,
    RetrievalFigures,
    SimilarityFigures,
    SizeFigures,
    TableGeometry,
    TextGeometry,
    TokenCount,
)

SHOWN = 10  # entries of a list that a report names


def similarity(vectors: Vectors, path: Path) -> SimilarityFigures:
    """Compare cosines with people's scores; pairs that the vocabulary cannot spell are left out, and counted."""
    pairs = read_scored_pairs(path)
    texts = sorted({text for first, second, _ in pairs for text in (first, second)})
    unknown = set(vectors.unknown(texts))
    kept = [pair for pair in pairs if not unknown & set(pair[:2])]
    if len(kept) < 3:
        raise ValueError(
            f"{path}: {len(kept)} of {len(pairs)} pairs can be spelled by the vocabulary, expected 3 or more"
        )
    encoded = dict(zip(texts, vectors.encode(texts), strict=True))
    first, second = (np.stack([encoded[text] for text in side]) for side in list(zip(*kept, strict=True))[:2])
    return SimilarityFigures(
        **asdict(agreement(first, second, [pair[2] for pair in kept])),
        pairs_in_file=len(pairs),
        out_of_vocabulary=sorted(unknown),
        tokens_per_text=vectors.pieces_per_text(texts),
    )


def analogies(vectors: Vectors, path: Path) -> AnalogyFigures:
    """Answer each question from all words of the file; questions with an unknown word are left out, and counted."""
    sections = read_analogies(path)
    words = sorted({word for questions in sections.values() for question in questions for word in question})
    unknown = set(vectors.unknown(words))
    words = [word for word in words if word not in unknown]
    rows = {word: row for row, word in enumerate(words)}
    encoded = vectors.encode(words)
    accuracy, right, asked = {}, 0, 0
    for name, questions in sections.items():
        known = np.array([[rows[word] for word in q] for q in questions if not unknown & set(q)]).reshape(-1, 4)
        if len(known):
            correct = int((solve_analogies(encoded, known[:, :3]) == known[:, 3]).sum())
            accuracy[name] = correct / len(known)
            right, asked = right + correct, asked + len(known)
    return AnalogyFigures(
        questions=asked,
        questions_in_file=sum(map(len, sections.values())),
        candidates=len(words),
        accuracy=right / asked if asked else None,
        accuracy_by_section=accuracy,
        out_of_vocabulary=sorted(unknown),
    )


def retrieval(vectors: Vectors, path: Path) -> RetrievalFigures:
    """Rank all texts of the file for each query, and all queries for each text: for translations, both directions."""
    found = read_retrieval(path)
    queries, candidates = vectors.encode(found.queries), vectors.encode(found.candidates)
    back = inverse(found)
    return RetrievalFigures(
        forward=RankingFigures(**asdict(ranking(queries, candidates, found.relevant))),
        backward=RankingFigures(**asdict(ranking(candidates[list(back)], queries, [*back.values()]))),
    )


def inverse(found: RetrievalSet) -> dict[int, set[int]]:
    """Return for each candidate that some query asks for, the rows of these queries."""
    back: dict[int, set[int]] = {}
    for query, candidates in enumerate(found.relevant):
        for candidate in candidates:
            back.setdefault(candidate, set()).add(query)
    return back


def bias(vectors: Vectors, source: str) -> list[AssociationFigures]:
    """Run each association test on single words (WEAT) and, for contextual vectors, in sentences (SEAT)."""
    from hf_embeddings.evaluation.weat import SENTENCES, SOURCE

    results = []
    for name, groups in read_association_tests(source).items():
        unknown = vectors.unknown([word for words in groups.values() for word in words])
        if unknown:
            reason = f"not in the vocabulary: {', '.join(unknown[:SHOWN])}"
            results.append(AssociationFigures(test=name, skipped=reason))
            continue
        frames = {"words": ("{}",)} | ({"sentences": SENTENCES} if vectors.source == "contextual" else {})
        for kind, frame in frames.items():
            encoded = [vectors.encode([s.format(word) for word in words for s in frame]) for words in groups.values()]
            words = SOURCE if source == "weat" else source
            results.append(AssociationFigures(test=name, on=kind, source=words, **asdict(association_test(*encoded))))
    return results


def table_geometry(vectors: Vectors, *, rows: int = 10_000) -> TableGeometry:
    """Measure the token table: its isotropy, hubs, and the rows that stand out."""
    table, tokens, unused = vectors.table, vectors.tokens, vectors.unused
    used = np.setdiff1d(np.arange(len(table)), unused)
    chosen = used if len(used) <= rows else np.random.default_rng(0).choice(used, rows, replace=False)
    hubs = hubness(table[chosen])
    outliers = norm_outliers(table)
    untrained = untrained_rows(table, unused) if len(unused) >= 4 else None
    return TableGeometry(
        rows=len(table),
        rows_measured=len(chosen),
        isotropy=isotropy(table[chosen]),
        hubness=_hubs(hubs, [tokens[chosen[row]] for row in hubs.hubs]),
        zero_rows=[tokens[row] for row in np.flatnonzero(~table.any(axis=1))[:SHOWN]],
        repeated_rows=[[tokens[row] for row in group[:SHOWN]] for group in repeated_rows(table)[:SHOWN]],
        norm_outliers=NormOutliers(
            count=len(outliers), farthest={tokens[row]: score for row, score in outliers[:SHOWN]}
        ),
        unused_rows=len(unused),
        like_unused=None
        if untrained is None
        else TokenCount(count=len(untrained), tokens=[tokens[row] for row in untrained[:SHOWN]]),
    )


def text_geometry(vectors: Vectors, sentences: Sequence[str]) -> TextGeometry:
    """Measure the vectors of sentences, and token states layer by layer."""
    encoded = vectors.encode(sentences)
    states = vectors.layer_states(sentences[:128])
    hubs = hubness(encoded)
    return TextGeometry(
        sentences=len(sentences),
        isotropy=isotropy(encoded),
        hubness=_hubs(hubs, [sentences[row] for row in hubs.hubs]),
        # Ethayarajh 2019, https://arxiv.org/abs/1909.00512: mean cosine of tokens in different contexts.
        anisotropy_by_layer=[mean_cosine(layer) for layer in states],
    )


def _hubs(hubs: Hubness, names: list[str]) -> HubFigures:
    return HubFigures(skewness=hubs.skewness, most=hubs.most, never=hubs.never, hubs=names)


def sizes(
    vectors: Vectors, sentences: Sequence[str], scored: Sequence[Path], retrieved: Sequence[Path]
) -> list[SizeFigures]:
    """Measure what truncated and quantised vectors keep: neighbours, and the figure of each given file."""
    encoded = vectors.encode(sentences)
    ranges = np.stack([encoded.min(axis=0), encoded.max(axis=0)])
    figures = [_similarity_at(vectors, path, ranges) for path in scored]
    figures += [_retrieval_at(vectors, path, ranges) for path in retrieved]
    return [
        SizeFigures(**asdict(size), figures={name: by_size[size.width, size.precision] for name, by_size in figures})
        for size in compare_sizes(encoded)
    ]


def _similarity_at(vectors: Vectors, path: Path, ranges: np.ndarray) -> tuple[str, dict[tuple[int, str], float]]:
    pairs = read_scored_pairs(path)
    unknown = set(vectors.unknown([text for first, second, _ in pairs for text in (first, second)]))
    pairs = [pair for pair in pairs if not unknown & set(pair[:2])]
    sides = [vectors.encode([first for first, _, _ in pairs]), vectors.encode([second for _, second, _ in pairs])]

    def figure(width: int, precision: str) -> float:
        first, second = (compressed(side, width, precision, ranges=ranges) for side in sides)
        return agreement(first, second, [pair[2] for pair in pairs]).spearman

    return f"{path.stem} spearman", _at_every_size(ranges.shape[1], figure)


def _retrieval_at(vectors: Vectors, path: Path, ranges: np.ndarray) -> tuple[str, dict[tuple[int, str], float]]:
    found = read_retrieval(path)
    sides = [vectors.encode(found.queries), vectors.encode(found.candidates)]

    def figure(width: int, precision: str) -> float:
        queries, candidates = (compressed(side, width, precision, ranges=ranges) for side in sides)
        return ranking(queries, candidates, found.relevant).mrr

    return f"{path.stem} mrr", _at_every_size(ranges.shape[1], figure)


def _at_every_size(full: int, figure: Callable[[int, str], float]) -> dict[tuple[int, str], float]:
    return {(width, precision): figure(width, precision) for width in widths(full) for precision in PRECISIONS}
