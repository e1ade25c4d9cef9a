"""What `hf-embeddings evaluate` measures, each part a function from vectors to figures."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

import numpy as np

from hf_embeddings.analysis.bias import association_test
from hf_embeddings.analysis.calibration import cosine_levels
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
from hf_embeddings.evaluation.position_bias import position_bias
from hf_embeddings.evaluation.retrieval_set import RetrievalSet
from hf_embeddings.evaluation.test_sets import GROUPS, Analogies, ScoredPair, ScoredPairs, WordLists, texts_of
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

FEW = 10  # queries; resampling fewer of them shows little of how others would do
ROWS_COMPARED = 10_000  # of the token table, at most; each is compared with all others
SHOWN = 10  # entries of a list that a report names


def measure_similarity(vectors: Vectors, data: ScoredPairs) -> SimilarityFigures:
    """Compare cosines with people's scores; pairs that the vocabulary cannot spell are left out, and counted."""
    texts = texts_of(data)
    unknown = set(vectors.unknown(texts))
    sample = [pair for pair in data.pairs if not unknown & set(pair[:2])]
    if len(sample) < 3:
        raise ValueError(
            f"{data.path}: {len(sample)} of {len(data.pairs)} pairs can be spelled by the vocabulary, expected 3 or "
            "more; give other pairs, or a model that knows the words"
        )
    first, second, notes = _sides(vectors, sample)
    scores = [pair[2] for pair in sample]
    result = agreement(first, second, scores)
    if result.spearman is None:
        same = f"all scores are {scores[0]:g}" if len(set(scores)) == 1 else "all cosines are the same"
        notes.append(f"{data.path}: {same}, so that there is no order to compare")
    return SimilarityFigures(
        **asdict(result),
        **_said(data.account, notes),
        pairs_in_file=len(data.pairs) + len(data.account.left_out),
        out_of_vocabulary=sorted(unknown),
        tokens_per_text=vectors.pieces_per_text(texts),
    )


def analogies(vectors: Vectors, data: Analogies) -> AnalogyFigures:
    """Answer each question from all words of the file; questions with an unknown word are left out, and counted.

    Words that the tokenizer writes alike, as an uncased one does with King and king, are one candidate: no model can
    tell them apart.
    """
    words = sorted({word for questions in data.sections.values() for question in questions for word in question})
    unknown = set(vectors.unknown(words))
    words = [word for word in words if word not in unknown]
    names: dict[tuple[int, ...], str] = {}  # of the candidates, by their tokens
    same = {word: names.setdefault(ids, word) for word, ids in zip(words, vectors.pieces(words), strict=True)}
    candidates = [*names.values()]
    rows = {word: candidates.index(name) for word, name in same.items()}
    word_vectors, notes = vectors.encode(candidates), []
    if len(candidates) < len(words):
        notes.append(f"{data.path}: {len(words)} words are {len(candidates)} to the tokenizer; each is one candidate")
    accuracy, right, question_count, circular = {}, 0, 0, 0
    for name, questions in data.sections.items():
        known_rows = [[rows[word] for word in q] for q in questions if not unknown & set(q)]
        circular += sum(q[3] in q[:3] for q in known_rows)
        open_ = np.array([q for q in known_rows if q[3] not in q[:3]]).reshape(-1, 4)
        if len(open_):
            correct = int((solve_analogies(word_vectors, open_[:, :3]) == open_[:, 3]).sum())
            accuracy[name] = correct / len(open_)
            right, question_count = right + correct, question_count + len(open_)
    if circular:
        notes.append(f"{data.path}: {circular} questions are left out, as the answer is one of their own words")
    if not question_count:
        notes.append(f"{data.path}: no question could be asked")
    return AnalogyFigures(
        **_said(data.account, notes),
        questions=question_count,
        questions_in_file=sum(map(len, data.sections.values())),
        candidates=len(candidates),
        accuracy=right / question_count if question_count else None,
        accuracy_by_section=accuracy,
        out_of_vocabulary=sorted(unknown),
    )


def retrieval(vectors: Vectors, data: RetrievalSet) -> RetrievalFigures:
    """Rank all texts of the file for each query, and all queries for each text: for translations, both directions."""
    truncated_before = vectors.encoder.truncated
    queries, candidates = _queries_and_candidates(vectors, data)
    rows, back = data.inverse()
    notes = _cut(vectors, truncated_before)
    for name, texts in (("queries", data.queries), ("texts", data.candidates)):
        if unknown := len(vectors.unknown(texts)):
            notes.append(f"{unknown} of {len(texts)} {name} are empty, or hold what the vocabulary cannot spell")
    if len(data.queries) < FEW:
        notes.append(f"{len(data.queries)} queries are few: the intervals are narrower than what is not known")
    return RetrievalFigures(
        **_said(data.account, notes),
        forward=_ranked(queries, candidates, data),
        backward=_ranked(candidates[rows], queries, back) if rows else None,
    )


def _queries_and_candidates(vectors: Vectors, data: RetrievalSet) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors of both sides of a retrieval set, each with its prompt."""
    return vectors.encode(data.queries, role="query"), vectors.encode(data.candidates, role="document")


def _ranked(queries: np.ndarray, candidates: np.ndarray, data: RetrievalSet) -> RankingFigures:
    result = ranking(queries, candidates, data.relevant, missing=data.missing, ignored_rows=data.ignored)
    return RankingFigures(**asdict(result))


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
            group_vectors = dict(zip(unique, vectors.encode(unique), strict=True))
            result = association_test(*(np.stack([group_vectors[text] for text in texts[group]]) for group in GROUPS))
            level = ["the targets of both groups score the same"] if not result.effect_size else []
            note = "; ".join([*level, *_shared(vectors, groups)])
            results.append(AssociationFigures(test=name, on=kind, source=source, **asdict(result), note=note or None))
    return results


def _shared(vectors: Vectors, groups: WordLists) -> list[str]:
    """Say which words stand more than once in the four groups: a test of them says less, or what its lists say.

    To an uncased tokenizer, `Cat` is `cat` once more.
    """
    words = [word for group in groups.values() for word in group]
    ids = dict(zip(words, vectors.pieces(words), strict=True))
    counts = Counter(ids[word] for word in words)
    shared = [word for word in ids if counts[ids[word]] > 1]
    return (
        [f"{', '.join(shared[:SHOWN])} {'stand' if len(shared) > 1 else 'stands'} in more than one place"]
        if shared
        else []
    )


def _sides(vectors: Vectors, pairs: Sequence[ScoredPair]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return the vectors of both sides of pairs, each (N, D), and what there is to say of them."""
    truncated_before, texts = vectors.encoder.truncated, sorted({text for pair in pairs for text in pair[:2]})
    by_text = dict(zip(texts, vectors.encode(texts), strict=True))
    first = np.stack([by_text[text] for text, *_ in pairs])
    second = np.stack([by_text[text] for _, text, *_ in pairs])
    return first, second, _cut(vectors, truncated_before)


def _cut(vectors: Vectors, before: int) -> list[str]:
    """Say how many texts were longer than the model reads, since a count before."""
    count = vectors.encoder.truncated - before
    return [f"{count} texts are longer than {vectors.encoder.max_length} tokens and were cut there"] if count else []


def _said(account: Account, more: Sequence[str]) -> dict[str, Any]:
    """Return the fields of `FileFigures`; what there is none of is not in the report."""
    return {"left_out": account.left_out or None, "notes": [*account.notes, *more] or None}


def table_geometry(vectors: Vectors, *, rows: int = ROWS_COMPARED) -> TableGeometry:
    """Measure the token table: its isotropy, hubs, and the rows that stand out."""
    table, tokens, unused_ids = vectors.table, vectors.tokens, vectors.unused
    used_ids = np.setdiff1d(np.arange(len(table)), unused_ids)
    sample = used_ids if len(used_ids) <= rows else np.random.default_rng(0).choice(used_ids, rows, replace=False)
    hubs = hubness(table[sample])
    outliers = norm_outliers(table)
    untrained_ids = untrained_rows(table, unused_ids) if len(unused_ids) >= 4 else None
    return TableGeometry(
        rows=len(table),
        rows_measured=len(sample),
        isotropy=isotropy(table[sample]),
        hubness=_hubs(hubs, [tokens[sample[row]] for row in hubs.hubs]),
        zero_rows=[tokens[row] for row in np.flatnonzero(~table.any(axis=1))[:SHOWN]],
        repeated_rows=[[tokens[row] for row in group[:SHOWN]] for group in repeated_rows(table)[:SHOWN]],
        norm_outliers=NormOutliers(
            count=len(outliers), farthest={tokens[row]: score for row, score in outliers[:SHOWN]}
        ),
        unused_rows=len(unused_ids),
        like_unused=None
        if untrained_ids is None
        else TokenCount(count=len(untrained_ids), tokens=[tokens[row] for row in untrained_ids[:SHOWN]]),
    )


def text_geometry(vectors: Vectors, sentences: Sequence[str]) -> TextGeometry:
    """Measure the vectors of sentences, and token states layer by layer."""
    sentence_vectors = vectors.encode(sentences)
    states = vectors.layer_states(sentences[:128])
    hubs = hubness(sentence_vectors)
    return TextGeometry(
        sentences=len(sentences),
        isotropy=isotropy(sentence_vectors),
        hubness=_hubs(hubs, [sentences[row] for row in hubs.hubs]),
        # Ethayarajh 2019, https://arxiv.org/abs/1909.00512: mean cosine of tokens in different contexts.
        anisotropy_by_layer=[mean_cosine(layer) for layer in states],
        cosines=cosine_levels(sentence_vectors),
        position_bias=position_bias(vectors, sentences),
    )


def _hubs(hubs: Hubness, names: list[str]) -> HubFigures:
    return HubFigures(skewness=hubs.skewness, most=hubs.most, never=hubs.never, hubs=names)


def sizes(
    vectors: Vectors,
    sentences: Sequence[str],
    similarity_files: Mapping[str, ScoredPairs],
    retrieval_files: Mapping[str, RetrievalSet],
) -> list[SizeFigures]:
    """Measure what truncated and quantised vectors keep: neighbours, and the figure of each given file."""
    sentence_vectors = vectors.encode(sentences)
    ranges = np.stack([sentence_vectors.min(axis=0), sentence_vectors.max(axis=0)])
    figures = {f"{name} spearman": _similarity_at(vectors, data, ranges) for name, data in similarity_files.items()}
    figures |= {f"{name} mrr": _retrieval_at(vectors, data, ranges) for name, data in retrieval_files.items()}
    return [
        SizeFigures(
            **asdict(size), figures={name: by_size[size.width, size.precision] for name, by_size in figures.items()}
        )
        for size in compare_sizes(sentence_vectors)
    ]


def _similarity_at(vectors: Vectors, data: ScoredPairs, ranges: np.ndarray) -> dict[tuple[int, str], float | None]:
    unknown = set(vectors.unknown(texts_of(data)))
    pairs = [pair for pair in data.pairs if not unknown & set(pair[:2])]
    sides = _sides(vectors, pairs)[:2]

    def figure(width: int, precision: str) -> float | None:
        first, second = (compressed(side, width, precision, ranges=ranges) for side in sides)
        return agreement(first, second, [pair[2] for pair in pairs]).spearman

    return _at_every_size(ranges.shape[1], figure)


def _retrieval_at(vectors: Vectors, data: RetrievalSet, ranges: np.ndarray) -> dict[tuple[int, str], float | None]:
    sides = _queries_and_candidates(vectors, data)

    def figure(width: int, precision: str) -> float:
        queries, candidates = (compressed(side, width, precision, ranges=ranges) for side in sides)
        return _ranked(queries, candidates, data).mrr

    return _at_every_size(ranges.shape[1], figure)


def _at_every_size(full: int, figure: Callable[[int, str], float | None]) -> dict[tuple[int, str], float | None]:
    return {(width, precision): figure(width, precision) for width in widths(full) for precision in PRECISIONS}
