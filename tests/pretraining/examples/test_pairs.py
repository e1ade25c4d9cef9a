"""Laws of pairs: labels that cannot be wrong, that nothing but meaning gives away, and no hidden state."""

import numpy as np
import pytest

from hf_embeddings.corpora.tokenized_corpus import TokenizedCorpus
from hf_embeddings.pretraining.examples.chunks import Chunks, cut_chunks
from hf_embeddings.pretraining.examples.pairs import UNLABELED, Pairs, make_pairs
from tests.pretraining.numbered_corpus import numbered_corpus


@pytest.fixture(scope="module")
def chunks() -> Chunks:
    return cut_chunks(numbered_corpus(400), max_tokens=61)


@pytest.fixture(scope="module")
def pairs(chunks: Chunks) -> Pairs:
    return make_pairs(chunks, np.arange(len(chunks) // 2 * 2), seed=3, epoch=1, relation="nsp")


def test_chunks_cover_every_document_once(chunks: Chunks) -> None:
    covered = np.zeros(len(chunks.corpus.tokens), dtype=int)
    for start, end, document in zip(chunks.starts, chunks.ends, chunks.documents, strict=True):
        covered[start:end] += 1
        assert 4 <= end - start <= 61
        assert set(chunks.corpus.tokens[start:end]) == {5 + document}
    assert covered.max() == 1 and (covered == 0).sum() <= 3 * chunks.skipped


def test_labels_are_half_and_half_and_never_wrong(chunks: Chunks, pairs: Pairs) -> None:
    asked = pairs[pairs.labels != UNLABELED]
    assert asked.labels.sum() * 2 == len(asked) > 0.99 * len(pairs)
    tokens = chunks.corpus.tokens
    assert (pairs.first_ends > pairs.first_starts).all() and (pairs.second_ends > pairs.second_starts).all()
    assert (pairs.lengths <= 61).all()
    assert ((tokens[pairs.first_starts] == tokens[pairs.second_starts]) == (pairs.labels != 1)).all()
    true = pairs[pairs.labels != 1]
    assert (true.first_ends == true.second_starts).all() and (true.second_ends <= chunks.ends[true.samples]).all()


def test_every_text_stands_once_and_nearly_all_of_it(chunks: Chunks, pairs: Pairs) -> None:
    values, counts = np.unique(pairs.second_starts, return_counts=True)
    assert (counts > 1).sum() <= 1
    assert pairs.lengths.sum() > 0.97 * (chunks.ends - chunks.starts).sum()


def test_every_sentence_end_is_chosen_sometimes_and_only_they(chunks: Chunks) -> None:
    ends = set(chunks.corpus.sentence_starts)
    chosen: dict[int, set] = {}
    for epoch in range(40):
        pairs = make_pairs(chunks, np.arange(20), seed=0, epoch=epoch, relation=None)
        for sample, place in zip(pairs.samples, pairs.first_ends, strict=True):
            chosen.setdefault(sample, set()).add(place)
    for sample, places in chosen.items():
        inside = {place for place in range(chunks.starts[sample] + 1, chunks.ends[sample]) if place in ends}
        assert places == inside if inside else len(places) > 1


def test_a_pair_does_not_depend_on_when_it_is_made(chunks: Chunks, pairs: Pairs) -> None:
    again = make_pairs(chunks, np.arange(len(pairs)), seed=3, epoch=1, relation="nsp")
    assert all(np.array_equal(getattr(again, name), getattr(pairs, name)) for name in pairs.__dataclass_fields__)
    other = make_pairs(chunks, np.arange(len(pairs)), seed=3, epoch=2, relation="nsp")
    assert not np.array_equal(other.labels, pairs.labels) and not np.array_equal(other.first_ends, pairs.first_ends)


def test_without_nsp_every_second_follows(chunks: Chunks) -> None:
    assert not make_pairs(chunks, np.arange(len(chunks)), seed=3, epoch=1, relation=None).labels.any()


def test_sentence_order_swaps_half_of_the_pairs(chunks: Chunks) -> None:
    pairs = make_pairs(chunks, np.arange(len(chunks) // 2 * 2), seed=3, epoch=1, relation="sop")
    swapped = pairs.labels == 1
    assert swapped.sum() == (pairs.labels == 0).sum() > 0
    starts = np.where(swapped, pairs.second_starts, pairs.first_starts)
    ends = np.where(swapped, pairs.first_ends, pairs.second_ends)
    middles = np.where(swapped, pairs.second_ends, pairs.first_ends)
    assert np.array_equal(middles, np.where(swapped, pairs.first_starts, pairs.second_starts))
    assert np.array_equal(starts, chunks.starts[pairs.samples]) and np.array_equal(ends, chunks.ends[pairs.samples])


@pytest.mark.parametrize("documents", [2, 3])
def test_few_documents_are_enough(documents: int) -> None:
    few = cut_chunks(numbered_corpus(documents), max_tokens=61)
    pairs = make_pairs(few, np.arange(len(few)), seed=0, epoch=0, relation="nsp")
    tokens = few.corpus.tokens
    assert ((tokens[pairs.first_starts] == tokens[pairs.second_starts]) == (pairs.labels != 1)).all()
    assert set(pairs.labels) - {UNLABELED} == {0, 1}


def test_one_document_alone_is_an_error() -> None:
    lone = cut_chunks(numbered_corpus(1), max_tokens=8)
    with pytest.raises(ValueError, match="no second document"):
        make_pairs(lone, np.arange(len(lone)), seed=0, epoch=0, relation="nsp")


def test_the_same_text_elsewhere_is_no_false_second() -> None:
    """Many documents are one phrase that all share: what follows elsewhere too must not be called false."""
    tokens = np.array([token for document in range(50) for token in (100 + document, 9, 8, 7)], dtype=np.uint16)
    tokens = np.concatenate((tokens, [30, 31, 32, 33, 40, 41, 42, 43])).astype(np.uint16)
    count = len(tokens) // 4
    starts = np.sort(np.concatenate((np.arange(0, len(tokens) + 1, 4), np.arange(1, len(tokens), 4))))
    corpus = TokenizedCorpus(
        tokens=tokens, continues=np.zeros(len(tokens), dtype=bool),
        sentence_starts=starts, document_starts=np.arange(0, 2 * count + 1, 2),
        empty_sentences=0,
    )  # fmt: skip
    chunks = cut_chunks(corpus, max_tokens=10)
    pairs = make_pairs(chunks, np.arange(len(chunks)), seed=0, epoch=0, relation="nsp")
    for pair in range(len(pairs)):
        second = tokens[pairs.second_starts[pair] : pairs.second_ends[pair]]
        own = tokens[pairs.first_ends[pair] :][: len(second)]
        assert np.array_equal(second, own) == (pairs.labels[pair] != 1)
    assert (pairs.labels != UNLABELED).sum() == 4  # the phrase can be exchanged with two others only
