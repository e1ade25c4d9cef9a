"""Laws of pairs, masking and batches: labels that cannot be wrong, exact shares, and no hidden state."""

import numpy as np
import pytest

from hf_embeddings.pretraining.batches import Vocabulary, make_batch, plan_epoch
from hf_embeddings.pretraining.masking import mask_tokens
from hf_embeddings.pretraining.options import ExampleOptions
from hf_embeddings.pretraining.pairs import Chunks, cut_chunks, generator, make_pair
from hf_embeddings.pretraining.tokenizer import TokenizedCorpus


def corpus(documents: int = 60) -> TokenizedCorpus:
    """Document d consists of tokens 5 + d, so that every segment tells where it is from."""
    random = np.random.default_rng(0)
    tokens, sentences, starts = [], [0], [0]
    for document in range(documents):
        for _ in range(random.integers(1, 9)):
            tokens += [5 + document] * int(random.integers(2, 30))
            sentences.append(len(tokens))
        starts.append(len(sentences) - 1)
    return TokenizedCorpus(
        tokens=np.array(tokens, dtype=np.uint16),
        sentence_starts=np.array(sentences),
        document_starts=np.array(starts),
        empty_sentences=0,
        empty_documents=0,
    )


@pytest.fixture(scope="module")
def chunks() -> Chunks:
    return cut_chunks(corpus(), max_tokens=61)


def test_chunks_cover_every_document_once(chunks: Chunks) -> None:
    covered = np.zeros(len(chunks.corpus.tokens), dtype=int)
    for start, end, document in zip(chunks.starts, chunks.ends, chunks.documents, strict=True):
        covered[start:end] += 1
        assert 4 <= end - start <= 61
        assert set(chunks.corpus.tokens[start:end]) == {5 + document}
    assert covered.max() == 1 and (covered == 0).sum() <= 3 * chunks.skipped


def test_labels_are_half_and_half_and_never_wrong(chunks: Chunks) -> None:
    labels = []
    for sample in range(len(chunks) // 2 * 2):
        pair = make_pair(chunks, sample, seed=3, epoch=1)
        labels.append(pair.label)
        assert len(pair.first) and len(pair.second) and len(pair.first) + len(pair.second) <= 61
        assert (pair.first[0] == pair.second[0]) == (pair.label == 0)
    assert sum(labels) * 2 == len(labels)


def test_without_nsp_every_second_follows(chunks: Chunks) -> None:
    assert not any(make_pair(chunks, s, seed=3, epoch=1, false_seconds=False).label for s in range(len(chunks)))


def test_one_document_alone_is_an_error() -> None:
    lone = cut_chunks(corpus(1), max_tokens=61)
    with pytest.raises(ValueError, match="no second document"):
        for sample in range(2):
            make_pair(lone, sample, seed=0, epoch=0)


def test_masking_shares_and_special_tokens() -> None:
    ordinary = np.arange(5, 5000)
    fates, share = [], []
    for sample in range(3000):
        ids = np.full(50, 4999)
        ids[[0, 25, 49]] = 2
        maskable = ids != 2
        changed, chosen = mask_tokens(
            ids, maskable, generator(0, "mask", 0, sample), probability=0.15, mask_token_id=4, ordinary_ids=ordinary
        )
        assert maskable[chosen].all() and (changed[~maskable] == 2).all() and len(set(chosen)) == len(chosen)
        untouched = np.setdiff1d(np.arange(50), chosen)
        assert (changed[untouched] == ids[untouched]).all() and not np.isin(changed[chosen], [0, 1, 2, 3]).any()
        share.append(len(chosen) / 47)
        fates += np.where(changed[chosen] == 4, "mask", np.where(changed[chosen] == 4999, "kept", "random")).tolist()
    assert np.mean(share) == pytest.approx(0.15, abs=0.002)
    for fate, expected in (("mask", 0.8), ("random", 0.1), ("kept", 0.1)):
        assert fates.count(fate) / len(fates) == pytest.approx(expected, abs=0.01)


def test_batches_are_pure_functions_and_cover_an_epoch(chunks: Chunks) -> None:
    vocabulary = Vocabulary(0, 2, 3, 4, np.arange(5, 100))
    plan = plan_epoch(chunks, tokens_per_batch=256, seed=0, epoch=2)
    assert sorted(np.concatenate(plan)) == list(range(len(chunks)))
    options = ExampleOptions(max_length=64)
    for samples in plan:
        batch, again = (make_batch(chunks, samples, vocabulary, options, seed=0, epoch=2) for _ in range(2))
        assert all((batch[name] == again[name]).all() for name in batch)
        assert batch["input_ids"].numel() <= 256
        assert (batch["input_ids"][batch["attention_mask"] == 0] == 0).all()
        assert (batch["token_type_ids"] <= batch["attention_mask"]).all()
        rows = batch["masked_lm_positions"] // batch["input_ids"].shape[1]
        assert set(rows.tolist()) == set(range(len(samples)))
