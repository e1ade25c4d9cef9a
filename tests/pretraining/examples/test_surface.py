"""The law of labels: what can be seen of a pair without understanding it does not tell the label."""

import numpy as np
import pytest

from hf_embeddings.corpora.corpus import load_corpus
from hf_embeddings.corpora.tokenized_corpus import TokenizedCorpus, encode_sentences
from hf_embeddings.corpora.tokenizer_training import train_tokenizer
from hf_embeddings.pretraining.examples.chunks import cut_chunks
from hf_embeddings.pretraining.examples.pairs import UNLABELED, Pairs, make_pairs

LENGTHS = [24, 32, 64, 128, 256]
SAMPLES = 1 << 13  # planned together, as in a schedule
ENOUGH = 20_000  # pairs: the share of the half that is held out is then right to 0.5 points


@pytest.fixture(scope="module")
def docstrings() -> tuple[TokenizedCorpus, np.ndarray]:
    """A real corpus, with case; and what is seen of each piece, (V, 5): punctuation, stop, digit, capital, goes on."""
    documents = load_corpus("pydoc:torch", max_documents=6000).documents
    tokenizer = train_tokenizer(documents, vocab_size=3000, lowercase=False, min_frequency=2, max_length=128)
    rows = []
    for piece in tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))):
        text = piece.removeprefix("##")
        seen = (
            not any(map(str.isalnum, text)),
            text in ".!?",
            any(map(str.isdigit, text)),
            any(map(str.isupper, text)),
        )
        rows.append([*seen, piece.startswith("##")])
    return encode_sentences(tokenizer, documents), np.array(rows, dtype=float)


def surface(tokens: np.ndarray, pieces: np.ndarray, pairs: Pairs, longest: int) -> np.ndarray:
    """Lengths, ends, counts and shares of both segments, and whether the pair is full, (P, F)."""
    seen = pieces[tokens]
    sums = np.concatenate([np.zeros((1, seen.shape[1])), np.cumsum(seen, axis=0)])
    columns = []
    for start, end in ((pairs.first_starts, pairs.first_ends), (pairs.second_starts, pairs.second_ends)):
        length = (end - start)[:, None]
        counts = sums[end] - sums[start]
        columns += [length, np.log(length), seen[start], seen[end - 1], counts, counts / length]
    total = pairs.lengths[:, None]
    return np.concatenate([*columns, total, total >= longest, total >= longest - 1, total >= longest - 3], axis=1)


def probed(features: np.ndarray, labels: np.ndarray, trained: np.ndarray) -> float:
    """Train a logistic regression by Newton's method; return its accuracy on the pairs that it was not trained on."""
    features = features[:, features[trained].std(axis=0) > 0]
    features = (features - features[trained].mean(axis=0)) / features[trained].std(axis=0)
    features = np.column_stack([features, np.ones(len(features))])
    given, wanted, weights = features[trained], labels[trained], np.zeros(features.shape[1])
    for _ in range(6):
        expected = 1 / (1 + np.exp(-np.clip(given @ weights, -30, 30)))
        curvature = (given * (expected * (1 - expected))[:, None]).T @ given + np.eye(len(weights))
        weights -= np.linalg.solve(curvature, given.T @ (expected - wanted) + weights)
    return float(((features[~trained] @ weights > 0) == labels[~trained]).mean())


@pytest.mark.parametrize("relation", ["nsp", "sop"])
@pytest.mark.parametrize("max_length", LENGTHS)
def test_a_trained_probe_of_the_surface_guesses(docstrings, relation: str, max_length: int) -> None:
    corpus, pieces = docstrings
    chunks = cut_chunks(corpus, max_tokens=max_length - 3)
    found, halves, count = [], [], 0
    for epoch in range(30):
        order = np.random.default_rng(epoch).permutation(len(chunks))
        for samples in np.array_split(order, max(1, round(len(order) / SAMPLES))):
            pairs = make_pairs(chunks, samples, seed=0, epoch=epoch, relation=relation)
            pairs = pairs[pairs.labels != UNLABELED]
            count += len(pairs)
            found.append((surface(corpus.tokens, pieces, pairs, max_length - 3), pairs.labels))
            halves.append(chunks.documents[pairs.samples] % 2 == 0)  # another half of the documents
        if count > ENOUGH:
            break
    features, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    assert labels.mean() == pytest.approx(0.5, abs=0.005)
    accuracy = probed(features, labels, np.concatenate(halves))
    assert accuracy < 0.51
