"""Batches: many pairs in one flat row without padding between them; a pure function of the schedule and a number.

Every batch has the same number of tokens and nearly the same number of masked ones, so that kernels, which are compiled
for each shape, are compiled once. Shapes: T tokens, N documents (pairs, and padding at the end), M masked tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from hf_embeddings.corpora.tokenized_corpus import TokenizedCorpus
from hf_embeddings.pretraining.examples.chunks import SPECIAL_TOKENS_PER_PAIR
from hf_embeddings.pretraining.examples.masking import choose_masked, find_units, hide
from hf_embeddings.pretraining.examples.pairs import UNLABELED, Pairs
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.options import ExampleOptions

IGNORED = UNLABELED  # the label of what is not predicted
MASKED_ROUNDED_TO = 32  # masked tokens: fewer different shapes for little more work
NO_SAMPLE = -1


@dataclass(frozen=True)
class Vocabulary:
    """The ids that an input is made of."""

    pad: int
    cls: int
    sep: int
    mask: int
    ordinary: np.ndarray  # ids of everything that is not special
    unknown: int | None = None  # id of what stands for text that has no token

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> "Vocabulary":
        """Read the ids from a tokenizer."""
        ordinary = np.setdiff1d(list(tokenizer.get_vocab().values()), tokenizer.all_special_ids)
        ids = (tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id)
        return cls(*ids, ordinary, tokenizer.unk_token_id)


@dataclass(frozen=True)
class PackedRow:
    """Pairs, each as [CLS] A [SEP] B [SEP], one after the other, and padding at the end."""

    ids: np.ndarray  # (T,)
    segments: np.ndarray  # (T,) 0 up to the first [SEP] of a pair, then 1
    positions: np.ndarray  # (T,) from 0 in each document
    samples: np.ndarray  # (T,) the sample that a token belongs to; NO_SAMPLE in the padding
    maskable: np.ndarray  # (T,) False for special tokens and padding
    continues: np.ndarray  # (T,) whether a token continues the word before it
    bounds: np.ndarray  # (N + 1,) where each document begins, and the end


def iter_batches(
    schedule: Schedule, vocabulary: Vocabulary, options: ExampleOptions, *, start: int = 0, stride: int = 1
) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the batches `start`, `start + stride`, ... of a schedule without end."""
    for epoch, pairs in schedule.batches(start, stride):
        yield make_batch(schedule, epoch, pairs, vocabulary, options)


def make_batch(
    schedule: Schedule,
    epoch: int,
    pairs: Pairs,
    vocabulary: Vocabulary,
    options: ExampleOptions,
    *,
    probability: float | None = None,
) -> dict[str, torch.Tensor]:
    """Build the tensors of one batch; `probability` is that of masking, by default that of the options.

    Returns:
        input_ids, token_type_ids and position_ids (1, T); cu_seq_lens (N + 1,), the bounds of the documents;
        masked_lm_positions and labels (M,), next_sentence_label (N,), with IGNORED where nothing is predicted.
    """
    pairs = _fitted(pairs, schedule.tokens_per_batch)
    row = flat_row(schedule.chunks.corpus, pairs, vocabulary, size=schedule.tokens_per_batch)
    key = {"seed": schedule.seed, "epoch": epoch}
    units = find_units(options.masking_unit, row.samples, row.continues, **key)
    probability = options.masking_probability if probability is None else probability
    masked_positions = choose_masked(row.samples, row.maskable, units, probability=probability, **key)
    masked_ids = hide(
        row.ids,
        row.samples,
        masked_positions,
        mask_token_id=vocabulary.mask,
        ordinary_ids=vocabulary.ordinary,
        mask_token_fraction=options.mask_token_fraction,
        random_token_fraction=options.random_token_fraction,
        **key,
    )
    spare = -len(masked_positions) % MASKED_ROUNDED_TO
    batch = {
        "input_ids": masked_ids[None],
        "token_type_ids": row.segments[None],
        "position_ids": row.positions[None],
        "cu_seq_lens": row.bounds.astype(np.int32),
        "masked_lm_positions": np.pad(masked_positions, (0, spare)),
        "labels": np.pad(row.ids[masked_positions], (0, spare), constant_values=IGNORED),
        "next_sentence_label": np.pad(pairs.labels, (0, len(row.bounds) - 1 - len(pairs)), constant_values=IGNORED),
    }
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def flat_row(corpus: TokenizedCorpus, pairs: Pairs, vocabulary: Vocabulary, *, size: int) -> PackedRow:
    """Lay out pairs in a row of `size` tokens."""
    first = pairs.first_ends - pairs.first_starts
    lengths = pairs.lengths + SPECIAL_TOKENS_PER_PAIR
    total, longest = int(lengths.sum()), int(lengths.max())
    # Padding is cut into documents too, no longer than the others: a position table need not be longer for it.
    bounds = np.concatenate(([0], np.cumsum(lengths), np.arange(total + longest, size, longest)))
    bounds = bounds if bounds[-1] == size else np.append(bounds, size)
    owner = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    positions = np.arange(size) - bounds[owner]
    owner, within = owner[:total], positions[:total]
    segments = within >= first[owner] + 2
    sources = np.where(
        segments, pairs.second_starts[owner] + within - first[owner] - 2, pairs.first_starts[owner] + within - 1
    )
    starts, middles, ends = bounds[: len(pairs)], bounds[: len(pairs)] + first + 1, bounds[1 : len(pairs) + 1] - 1
    ids = np.full(size, vocabulary.pad, dtype=np.int64)
    sources = np.clip(sources, 0, len(corpus.tokens) - 1)  # beyond the ends stand the places of special tokens only
    ids[:total] = corpus.tokens[sources]
    continues = np.zeros(size, dtype=bool)
    continues[:total] = corpus.continues[sources]
    ids[starts] = vocabulary.cls
    ids[middles] = ids[ends] = vocabulary.sep
    maskable = np.arange(size) < total
    for special in (starts, middles, ends):
        maskable[special] = continues[special] = False
    samples = np.full(size, NO_SAMPLE, dtype=np.int64)
    samples[:total] = pairs.samples[owner]
    segments = np.pad(segments.astype(np.int64), (0, size - total))
    return PackedRow(ids, segments, positions, samples, maskable, continues, bounds)


def joined_batches(batches: Sequence[dict[str, torch.Tensor]], *, tokens: int) -> list[dict[str, torch.Tensor]]:
    """Lay batches in a row, as many to a row as have no more than `tokens` tokens together, and at least one.

    Documents, their labels and what is predicted in them stay as they are; padding stands between them.
    """
    rows: list[list[dict[str, torch.Tensor]]] = []
    for batch in batches:
        length = batch["input_ids"].numel()
        if not rows or sum(own["input_ids"].numel() for own in rows[-1]) + length > tokens:
            rows.append([])
        rows[-1].append(batch)
    return [row[0] if len(row) == 1 else _joined(row) for row in rows]


def _joined(batches: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    starts = np.cumsum([0, *(batch["input_ids"].numel() for batch in batches)]).tolist()
    bounds = [batch["cu_seq_lens"][1:] + start for batch, start in zip(batches, starts, strict=False)]
    places = [batch["masked_lm_positions"] + start for batch, start in zip(batches, starts, strict=False)]
    joined = {
        name: torch.cat([batch[name] for batch in batches], dim=-1)
        for name in ("input_ids", "token_type_ids", "position_ids", "labels", "next_sentence_label")
    }
    return joined | {
        "cu_seq_lens": torch.cat([batches[0]["cu_seq_lens"][:1], *bounds]),
        "masked_lm_positions": torch.cat(places),
    }


def inputs_of(batch: dict[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor | int]:
    """Return what the model reads of a batch: labels stay outside, where counts over all devices are known."""
    config = cast(PreTrainedConfig, getattr(model, "module", model).config)
    names = ["input_ids", "position_ids", "masked_lm_positions"] + ["token_type_ids"] * (config.type_vocab_size > 1)
    bounds = batch["cu_seq_lens"]
    longest = int(batch["position_ids"].max()) + 1
    documents: dict[str, torch.Tensor | int] = {
        "cu_seq_lens_q": bounds,
        "cu_seq_lens_k": bounds,
        "max_length_q": longest,
        "max_length_k": longest,
    }
    return {name: batch[name] for name in names} | documents


def real_tokens(batch: dict[str, torch.Tensor]) -> int:
    """Number of tokens that are not padding: of the documents that have a second segment, which padding lacks."""
    bounds = batch["cu_seq_lens"].long()
    return int(bounds[batch["token_type_ids"][0, bounds[1:] - 1].sum()])


def _fitted(pairs: Pairs, size: int) -> Pairs:
    """Cut the longest seconds where pairs are longer than a batch, which a schedule's margin makes a rare thing."""
    excess = int(pairs.lengths.sum()) + SPECIAL_TOKENS_PER_PAIR * len(pairs) - size
    if excess <= 0:
        return pairs
    seconds = pairs.second_ends - pairs.second_starts
    while excess > 0:
        longest = int(seconds.argmax())
        seconds[longest] -= 1
        excess -= 1
    return replace(pairs, second_ends=pairs.second_starts + seconds)
