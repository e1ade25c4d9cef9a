"""What `hf-embeddings evaluate` measures, each part a function from vectors to figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain

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
from hf_embeddings.evaluation.file_lines import Account
from hf_embeddings.evaluation.retrieval_set import RetrievalSet
from hf_embeddings.evaluation.test_sets import GROUPS, Analogies, Pair, ScoredPairs, WordLists, texts_of
from hf_embeddings.evaluation.vectors import Vectors
from hf_embeddings.evaluation.weat import SENTENCES
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


def similarity(vectors: Vectors, given: ScoredPairs) -> SimilarityFigures:
    """Compare cosines with people's scores; pairs that the vocabulary cannot spell are left out, and counted."""
    texts = texts_of(given)
    unknown = set(vectors.unknown(texts))
    kept = [pair for pair in given.pairs if not unknown & set(pair[:2])]
    if len(kept) < 3:
        raise ValueError(
            f"{given.path}: {len(kept)} of {len(given.pairs)} pairs can be spelled by the vocabulary, expected 3 or "
            "more; give other pairs, or a model that knows the words"
        )
    first, second, notes = _sides(vectors, kept)
    scores = [pair[2] for pair in kept]
    found = agreement(first, second, scores)
    if found.spearman is None:
        same = f"all scores are {scores[0]:g}" if len(set(scores)) == 1 else "all cosines are the same"
        notes.append(f"{given.path}: {same}, so that there is no order to compare")
    return SimilarityFigures(
        **asdict(found),
        **_said(given.account, notes),
        pairs_in_file=len(given.pairs) + len(given.account.left_out),
        out_of_vocabulary=sorted(unknown),
        tokens_per_text=vectors.pieces_per_text(texts),
    )


def analogies(vectors: Vectors, given: Analogies) -> AnalogyFigures:
    """Answer each question from all words of the file; questions with an unknown word are left out, and counted.

    Words that the tokenizer writes alike, as an uncased one does with King and king, are one candidate: no model can
    tell them apart.
    """
    words = sorted({word for questions in given.sections.values() for question in questions for word in question})
    unknown = set(vectors.unknown(words))
    words = [word for word in words if word not in unknown]
    names: dict[tuple[int, ...], str] = {}  # of the candidates, by their tokens
    same = {word: names.setdefault(ids, word) for word, ids in zip(words, vectors.pieces(words), strict=True)}
    candidates = [*names.values()]
    rows = {word: candidates.index(name) for word, name in same.items()}
    encoded, notes = vectors.encode(candidates), []
    if len(candidates) < len(words):
        notes.append(f"{given.path}: {len(words)} words are {len(candidates)} to the tokenizer; each is one candidate")
    accuracy, right, asked, circular = {}, 0, 0, 0
    for name, questions in given.sections.items():
        known = [[rows[word] for word in q] for q in questions if not unknown & set(q)]
        circular += sum(q[3] in q[:3] for q in known)
        open_ = np.array([q for q in known if q[3] not in q[:3]]).reshape(-1, 4)
        if len(open_):
            correct = int((solve_analogies(encoded, open_[:, :3]) == open_[:, 3]).sum())
            accuracy[name] = correct / len(open_)
            right, asked = right + correct, asked + len(open_)
    if circular:
        notes.append(f"{given.path}: {circular} questions are left out, as the answer is one of their own words")
    if not asked:
        notes.append(f"{given.path}: no question could be asked")
    return AnalogyFigures(
        **_said(given.account, notes),
        questions=asked,
        questions_in_file=sum(map(len, given.sections.values())),
        candidates=len(candidates),
        accuracy=right / asked if asked else None,
        accuracy_by_section=accuracy,
        out_of_vocabulary=sorted(unknown),
    )


def retrieval(vectors: Vectors, given: RetrievalSet) -> RetrievalFigures:
    """Rank all texts of the file for each query, and all queries for each text: for translations, both directions."""
    cut = vectors.encoder.truncated
    queries, candidates = vectors.encode(given.queries, role="query"), vectors.encode(given.candidates, role="document")
    asked, back = given.inverse()
    return RetrievalFigures(
        **_said(given.account, _cut(vectors, cut)),
        forward=_ranked(queries, candidates, given),
        backward=_ranked(candidates[asked], queries, back) if asked else None,
    )


def _ranked(queries: np.ndarray, candidates: np.ndarray, given: RetrievalSet) -> RankingFigures:
    found = ranking(queries, candidates, given.relevant, missing=given.missing, ignored=given.ignored)
    return RankingFigures(**asdict(found))


def bias(vectors: Vectors, tests: Mapping[str, WordLists], source: str) -> list[AssociationFigures]:
    """Run each association test on single words (WEAT) and, for contextual vectors, in sentences (SEAT)."""
    results = []
    frames = {"words": ("{}",)} | ({"sentences": SENTENCES} if vectors.source == "contextual" else {})
    for name, groups in tests.items():
        unknown = vectors.unknown([word for words in groups.values() for word in words])
        if unknown:
            reason = f"not in the vocabulary: {', '.join(unknown[:SHOWN])}"
            results.append(AssociationFigures(test=name, skipped=reason))
            continue
        for kind, frame in frames.items():
            texts = {group: [s.format(word) for word in words for s in frame] for group, words in groups.items()}
            # Each text once: the same word has the same vector wherever it stands.
            unique = sorted(set(chain.from_iterable(texts.values())))
            encoded = dict(zip(unique, vectors.encode(unique), strict=True))
            found = association_test(*(np.stack([encoded[text] for text in texts[group]]) for group in GROUPS))
            note = "the targets of both groups score the same" if not found.effect_size else None
            results.append(AssociationFigures(test=name, on=kind, source=source, **asdict(found), note=note))
    return results


def _sides(vectors: Vectors, pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return the vectors of both sides of pairs, each (N, D), and what there is to say of them."""
    cut, texts = vectors.encoder.truncated, sorted({text for pair in pairs for text in pair[:2]})
    encoded = dict(zip(texts, vectors.encode(texts), strict=True))
    first, second = (np.stack([encoded[pair[side]] for pair in pairs]) for side in (0, 1))
    return first, second, _cut(vectors, cut)


def _cut(vectors: Vectors, before: int) -> list[str]:
    """Say how many texts were longer than the model reads, since a count before."""
    count = vectors.encoder.truncated - before
    return [f"{count} texts are longer than {vectors.encoder.max_length} tokens and were cut there"] if count else []


def _said(account: Account, more: Sequence[str]) -> dict[str, list[str] | None]:
    """Return the fields of `FileFigures`; what there is none of is not in the report."""
    return {"left_out": account.left_out or None, "notes": [*account.notes, *more] or None}


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
    vectors: Vectors,
    sentences: Sequence[str],
    scored: Mapping[str, ScoredPairs],
    retrieved: Mapping[str, RetrievalSet],
) -> list[SizeFigures]:
    """Measure what truncated and quantised vectors keep: neighbours, and the figure of each given file."""
    encoded = vectors.encode(sentences)
    ranges = np.stack([encoded.min(axis=0), encoded.max(axis=0)])
    figures = {f"{name} spearman": _similarity_at(vectors, given, ranges) for name, given in scored.items()}
    figures |= {f"{name} mrr": _retrieval_at(vectors, given, ranges) for name, given in retrieved.items()}
    return [
        SizeFigures(
            **asdict(size), figures={name: by_size[size.width, size.precision] for name, by_size in figures.items()}
        )
        for size in compare_sizes(encoded)
    ]


def _similarity_at(vectors: Vectors, given: ScoredPairs, ranges: np.ndarray) -> dict[tuple[int, str], float | None]:
    unknown = set(vectors.unknown(texts_of(given)))
    pairs = [pair for pair in given.pairs if not unknown & set(pair[:2])]
    sides = _sides(vectors, pairs)[:2]

    def figure(width: int, precision: str) -> float | None:
        first, second = (compressed(side, width, precision, ranges=ranges) for side in sides)
        return agreement(first, second, [pair[2] for pair in pairs]).spearman

    return _at_every_size(ranges.shape[1], figure)


def _retrieval_at(vectors: Vectors, given: RetrievalSet, ranges: np.ndarray) -> dict[tuple[int, str], float | None]:
    sides = [vectors.encode(given.queries), vectors.encode(given.candidates)]

    def figure(width: int, precision: str) -> float:
        queries, candidates = (compressed(side, width, precision, ranges=ranges) for side in sides)
        return _ranked(queries, candidates, given).mrr

    return _at_every_size(ranges.shape[1], figure)


def _at_every_size(full: int, figure: Callable[[int, str], float | None]) -> dict[tuple[int, str], float | None]:
    return {(width, precision): figure(width, precision) for width in widths(full) for precision in PRECISIONS}
