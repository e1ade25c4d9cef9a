"""Batches: chunks grouped by length, split, masked and padded; each a pure function of (seed, epoch, batch number)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from hf_embeddings.pretraining.masking import mask_tokens
from hf_embeddings.pretraining.options import ExampleOptions
from hf_embeddings.pretraining.pairs import Chunks, generator, make_pair

SPECIAL_TOKENS_PER_PAIR = 3  # [CLS] A [SEP] B [SEP]


@dataclass(frozen=True)
class Vocabulary:
    """The ids that an input is made of."""

    pad: int
    cls: int
    sep: int
    mask: int
    ordinary: np.ndarray

    @classmethod
    def of(cls, tokenizer) -> "Vocabulary":
        """Read the ids from a tokenizer."""
        ordinary = np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids)
        ids = (tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id)
        return cls(*ids, ordinary)


def plan_epoch(chunks: Chunks, *, tokens_per_batch: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Group the samples of an epoch into batches of at most `tokens_per_batch` tokens, padding included.

    Samples are shuffled, sorted by length within pools of many batches, cut into batches, and the batches shuffled: the
    padding is a few per cent, and each batch still mixes documents.
    """
    random = generator(seed, "order", epoch, 0)
    order = random.permutation(len(chunks))
    lengths = (chunks.ends - chunks.starts + SPECIAL_TOKENS_PER_PAIR)[order]
    batches = []
    pool = 4096
    for begin in range(0, len(order), pool):
        members = order[begin : begin + pool]
        by_length = np.argsort(lengths[begin : begin + pool], kind="stable")[::-1]
        position = 0
        while position < len(members):
            longest = int(lengths[begin + by_length[position]])
            size = max(1, tokens_per_batch // longest)
            batches.append(members[by_length[position : position + size]])
            position += size
    return [batches[index] for index in random.permutation(len(batches))]


def make_batch(
    chunks: Chunks, samples: np.ndarray, vocabulary: Vocabulary, options: ExampleOptions, *, seed: int, epoch: int
) -> dict[str, torch.Tensor]:
    """Build the tensors of one batch.

    Returns:
        input_ids, attention_mask, token_type_ids (B, S); masked_lm_positions and labels (M,); next_sentence_label (B,).
    """
    rows = [_row(chunks, int(sample), vocabulary, options, seed=seed, epoch=epoch) for sample in samples]
    width = max(len(row[0]) for row in rows)
    ids = np.full((len(rows), width), vocabulary.pad, dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    segments = np.zeros((len(rows), width), dtype=np.int64)
    positions, labels = [], []
    for index, (row_ids, row_segments, chosen, originals, _) in enumerate(rows):
        ids[index, : len(row_ids)] = row_ids
        mask[index, : len(row_ids)] = 1
        segments[index, : len(row_ids)] = row_segments
        positions.append(chosen + index * width)
        labels.append(originals)
    batch = {
        "input_ids": ids,
        "attention_mask": mask,
        "token_type_ids": segments,
        "masked_lm_positions": np.concatenate(positions),
        "labels": np.concatenate(labels),
        "next_sentence_label": np.array([row[4] for row in rows]),
    }
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def training_batches(
    chunks: Chunks, vocabulary: Vocabulary, options: ExampleOptions, *, tokens_per_batch: int, seed: int
) -> Iterator[dict[str, torch.Tensor]]:
    """Yield batches without end, epoch after epoch."""
    epoch = 0
    while True:
        for samples in plan_epoch(chunks, tokens_per_batch=tokens_per_batch, seed=seed, epoch=epoch):
            yield make_batch(chunks, samples, vocabulary, options, seed=seed, epoch=epoch)
        epoch += 1


def _row(
    chunks: Chunks, sample: int, vocabulary: Vocabulary, options: ExampleOptions, *, seed: int, epoch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    pair = make_pair(chunks, sample, seed=seed, epoch=epoch, false_seconds="nsp" in options.objectives)
    first, second = pair.first.astype(np.int64), pair.second.astype(np.int64)
    ids = np.concatenate(([vocabulary.cls], first, [vocabulary.sep], second, [vocabulary.sep]))
    segments = (np.arange(len(ids)) >= len(first) + 2).astype(np.int64)
    maskable = np.ones(len(ids), dtype=bool)
    maskable[[0, len(first) + 1, len(ids) - 1]] = False
    changed, chosen = mask_tokens(
        ids,
        maskable,
        generator(seed, "mask", epoch, sample),
        probability=options.masking_probability,
        mask_token_id=vocabulary.mask,
        ordinary_ids=vocabulary.ordinary,
        mask_token_fraction=options.mask_token_fraction,
        random_token_fraction=options.random_token_fraction,
    )
    return changed, segments, chosen, ids[chosen], pair.label
