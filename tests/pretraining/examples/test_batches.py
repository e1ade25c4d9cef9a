"""Laws of batches: each pair as BERT lays it out, one shape for all, labels that belong to their tokens."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hf_embeddings.pretraining.examples.batches import IGNORED, NO_SAMPLE, flat_row, make_batch
from hf_embeddings.pretraining.examples.chunks import cut_chunks
from hf_embeddings.pretraining.examples.pairs import make_pairs
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.options import ExampleOptions
from tests.pretraining.numbered_corpus import VOCABULARY, numbered_corpus

OPTIONS = ExampleOptions(max_length=64)


@pytest.fixture(scope="module")
def schedule() -> Schedule:
    return Schedule.plan(cut_chunks(numbered_corpus(300), max_tokens=61), tokens_per_batch=1024, seed=0, relation="nsp")


def test_a_row_equals_one_written_by_loops(schedule: Schedule) -> None:
    _, pairs = schedule.batch(3)
    tokens = schedule.chunks.corpus.tokens.tolist()
    ids, segments, positions, samples, maskable, bounds = [], [], [], [], [], [0]
    for index in range(len(pairs)):
        first = tokens[pairs.first_starts[index] : pairs.first_ends[index]]
        second = tokens[pairs.second_starts[index] : pairs.second_ends[index]]
        ids += [2, *first, 3, *second, 3]
        segments += [0] * (len(first) + 2) + [1] * (len(second) + 1)
        positions += range(len(first) + len(second) + 3)
        samples += [pairs.samples[index]] * (len(first) + len(second) + 3)
        maskable += [False] + [True] * len(first) + [False] + [True] * len(second) + [False]
        bounds.append(len(ids))
    row = flat_row(schedule.chunks.corpus, pairs, VOCABULARY, size=1024)
    real, padding = len(ids), 1024 - len(ids)
    assert row.ids.tolist() == ids + [0] * padding
    assert row.segments.tolist() == segments + [0] * padding
    assert row.positions[:real].tolist() == positions and row.positions.max() < 64
    assert row.samples.tolist() == samples + [NO_SAMPLE] * padding
    assert row.maskable.tolist() == maskable + [False] * padding
    assert row.bounds[: len(bounds)].tolist() == bounds and row.bounds[-1] == 1024
    assert np.diff(row.bounds).min() > 0 and np.diff(row.bounds).max() <= 64


def test_every_batch_has_the_same_shapes_and_labels_of_its_tokens(schedule: Schedule) -> None:
    shapes = set()
    for number in range(20):
        epoch, pairs = schedule.batch(number)
        batch, again = (make_batch(schedule, epoch, pairs, VOCABULARY, OPTIONS) for _ in range(2))
        assert all(torch.equal(batch[name], again[name]) for name in batch)
        shapes.add((batch["input_ids"].shape, len(batch["labels"]) % 32, len(batch["labels"]) // 32))
        row = flat_row(schedule.chunks.corpus, pairs, VOCABULARY, size=1024)
        real = batch["labels"] != IGNORED
        places, labels = batch["masked_lm_positions"][real], batch["labels"][real]
        assert row.maskable[places].all() and np.array_equal(row.ids[places], labels)
        assert set(row.samples[places]) == set(pairs.samples)  # each pair has something to predict
        kept = np.setdiff1d(np.arange(1024), places)
        assert np.array_equal(batch["input_ids"][0, kept].numpy(), row.ids[kept])
        sentence_labels = batch["next_sentence_label"]
        assert len(sentence_labels) == len(batch["cu_seq_lens"]) - 1
        assert np.array_equal(sentence_labels[: len(pairs)].numpy(), pairs.labels)
        assert (sentence_labels[len(pairs) :] == IGNORED).all()
    assert len(shapes) <= 2


def test_pairs_too_long_for_a_row_are_cut_at_their_ends() -> None:
    chunks = cut_chunks(numbered_corpus(50), max_tokens=61)
    schedule = Schedule.plan(chunks, tokens_per_batch=1024, seed=0, relation="nsp")
    pairs = make_pairs(chunks, np.argsort(chunks.starts - chunks.ends)[:16].copy(), seed=0, epoch=0, relation="nsp")
    size = int(pairs.lengths.sum()) + 3 * 16 - 5
    tight = replace(schedule, tokens_per_batch=size)
    batch = make_batch(tight, 0, pairs, VOCABULARY, OPTIONS)
    assert batch["cu_seq_lens"][-1] == size and len(batch["cu_seq_lens"]) == 17
