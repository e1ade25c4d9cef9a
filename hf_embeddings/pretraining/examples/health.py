"""The health of a corpus, measured on its text and on the examples that are made of it.

Shapes: N chunks.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hf_embeddings.corpora.text_sample import TextSample
from hf_embeddings.pretraining.examples.batches import IGNORED, Vocabulary, make_batch, real_tokens
from hf_embeddings.pretraining.examples.chunks import SPECIAL_TOKENS_PER_PAIR, Chunks
from hf_embeddings.pretraining.examples.pairs import UNLABELED, make_pairs, relation
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.options import ExampleOptions
from hf_embeddings.records.health import Health

CHUNKS_LOOKED_AT = 1 << 12
TOKENS_LOOKED_AT = 1 << 14


def examine(
    sample: TextSample | None,
    chunks: Chunks,
    *,
    sources: Sequence[str],
    sentences_per_document: float,
    frequencies: np.ndarray,
    vocabulary: Vocabulary,
    examples: ExampleOptions,
    seed: int,
) -> Health:
    """Measure the health of a corpus.

    Args:
        sample: counts of its text; None where a prepared corpus has none.
        chunks: to train on.
        sources: the names of all sources, those without chunks included.
        sentences_per_document: in the mean.
        frequencies: (V,) of the tokens in training documents.
        vocabulary: the ids that an input is made of.
        examples: options of the run.
        seed: of the run.
    """
    unknown, present = vocabulary.unknown, {source.name for source in chunks.sources}
    text = examine_text(
        sample or TextSample(),
        empty_sources=[name for name in sources if name not in present],
        sentences_per_document=sentences_per_document,
        objectives=examples.objectives,
    )
    return replace(
        text,
        unknown_tokens=0.0 if unknown is None else float(frequencies[unknown] / max(frequencies.sum(), 1)),
        cut_pairs=cut_share(chunks) if text.relation else None,
        labeled_pairs=labeled_share(chunks, text.relation, seed=seed) if text.relation else None,
        masked=masked_share(chunks, vocabulary, examples, seed=seed)
        if {"mlm", "rtd"} & set(examples.objectives)
        else None,
        masked_asked=examples.masking_probability,
    )


def examine_text(
    sample: TextSample, *, empty_sources: list[str], sentences_per_document: float, objectives: Sequence[str]
) -> Health:
    """Return what can be said before examples are made."""
    return Health(
        sampled_characters=sample.characters,
        unknown_characters=sample.unknown_share,
        changed_letters=sample.changed_share,
        changed_most=list(sample.examples)[:3],
        sentences_per_document=sentences_per_document,
        relation=relation(objectives),
        empty_sources=empty_sources,
    )


def cut_share(chunks: Chunks) -> float:
    """Return the share of chunks that can be split into a pair inside a sentence only, of some evenly spaced ones."""
    spans = chunks[np.unique(np.linspace(0, len(chunks) - 1, CHUNKS_LOOKED_AT).astype(np.int64))]
    return float((spans.first_marks >= spans.end_marks).mean())


def labeled_share(chunks: Chunks, relation: str, *, seed: int) -> float:
    """Return the share of pairs that have a label, of the first that are planned together."""
    schedule = Schedule.plan(
        chunks, tokens_per_batch=chunks.max_tokens + SPECIAL_TOKENS_PER_PAIR, seed=seed, relation=relation
    )
    pairs = make_pairs(chunks, schedule.sampling.block(0, 0), seed=seed, epoch=0, relation=relation)
    return float((pairs.labels != UNLABELED).mean())


def masked_share(chunks: Chunks, vocabulary: Vocabulary, examples: ExampleOptions, *, seed: int) -> float:
    """Return the share of tokens that are predicted in the first training batches, special tokens aside."""
    longest = chunks.max_tokens + SPECIAL_TOKENS_PER_PAIR
    schedule = Schedule.plan(
        chunks, tokens_per_batch=max(4096, longest), seed=seed, relation=relation(examples.objectives)
    )
    masked_count = tokens = 0
    for epoch, pairs in schedule.batches():
        batch = make_batch(schedule, epoch, pairs, vocabulary, examples)
        masked_count += int((batch["labels"] != IGNORED).sum())
        tokens += real_tokens(batch) - SPECIAL_TOKENS_PER_PAIR * len(pairs)
        if tokens >= TOKENS_LOOKED_AT:
            return masked_count / tokens
    raise AssertionError("a schedule has no end")
