"""The health of a corpus: what shows before training that it will learn little, each figure with a limit and a cure.

Shapes: N chunks.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

import numpy as np

from hf_embeddings.corpora.text_sample import TextSample
from hf_embeddings.pretraining.examples.batches import IGNORED, Vocabulary, make_batch, real_tokens
from hf_embeddings.pretraining.examples.chunks import SPECIAL_TOKENS_PER_PAIR, Chunks
from hf_embeddings.pretraining.examples.pairs import relation
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.options import ExampleOptions

CHUNKS_LOOKED_AT = 1 << 12
TOKENS_LOOKED_AT = 1 << 14


class Measure(NamedTuple):
    """A figure in words, what it may be, and what to do where it is not."""

    words: str
    limit: float
    highest: bool  # whether the limit is the highest value that is well, or the lowest
    cure: str

    def warning(self, value: float) -> str | None:
        """Return a line where the value is not well."""
        if value <= self.limit if self.highest else value >= self.limit:
            return None
        number = self.words[self.words.index("{") : self.words.index("}") + 1].format(self.limit)
        return f"{self.words.format(value)}, expected {'at most' if self.highest else 'at least'} {number}; {self.cure}"


MEASURES = {  # field or property of Health -> its measure, in the order in which they are told
    "unknown_characters": Measure(
        "{:.1%} of characters in [UNK]",
        0.01,
        True,
        "raise tokenizer.vocab_size; for text without spaces take tokenizer.algorithm=unigram or bpe, which cut words "
        "of any length; or give a tokenizer of the language as tokenizer.path",
    ),
    "sentences_per_document": Measure(
        "{:.1f} sentences a document",
        2.0,
        False,
        "sentences end at . ! ? and their Chinese forms, and in JSON lines at a blank line: mark their ends so, give "
        "whole texts as documents, or train with examples.objectives=[mlm]",
    ),
    "cut_pairs": Measure(
        "{:.0%} of pairs cut inside a sentence",
        0.5,
        True,
        "mark the ends of sentences (. ! ? and their Chinese forms), give longer documents, raise examples.max_length, "
        "or train with examples.objectives=[mlm]",
    ),
    "masking_error": Measure(
        "masked share off by {:.0%}",
        0.1,
        True,
        "set examples.masking_unit=token, or give longer documents: at least one whole unit of each example is masked",
    ),
    "changed_letters": Measure(
        "{:.1%} of letters changed by the tokenizer's normalizer beyond case",
        0.01,
        True,
        "set tokenizer.lowercase=false, which keeps accents and marks; for characters that are deleted all the same, "
        "give a tokenizer that keeps them as tokenizer.path",
    ),
}
OF_PAIRS = ("sentences_per_document", "cut_pairs")  # harm only where the order of sentences is learned


@dataclass(frozen=True, kw_only=True)
class Health:
    """Shares of 1, unless they say otherwise; None where it was not measured or has no meaning."""

    sampled_characters: int  # that the first two are measured on
    unknown_characters: float | None  # share that becomes [UNK]
    changed_letters: float | None
    changed_most: list[str] = field(default_factory=list)  # the characters
    sentences_per_document: float
    relation: str | None  # nsp or sop
    unknown_tokens: float | None = None  # share of the training tokens that is [UNK]
    cut_pairs: float | None = None
    masked: float | None = None  # share of the tokens of training batches that is predicted
    masked_asked: float = 0.15
    empty_sources: list[str] = field(default_factory=list)  # without an example to train on

    @property
    def masking_error(self) -> float | None:
        """How far the masked share is from the one that was asked for, as a share of that."""
        return None if self.masked is None else abs(self.masked / self.masked_asked - 1)

    def lines(self) -> list[str]:
        """Return all figures in one line, and the warnings."""
        return [self.line(), *self.warnings()]

    def line(self) -> str:
        """Return all figures."""
        known = {name: value for name in MEASURES if (value := getattr(self, name)) is not None}
        told = {name: MEASURES[name].words.format(value) for name, value in known.items()}
        if "unknown_characters" in told and self.unknown_tokens is not None:
            told["unknown_characters"] += f" ({self.unknown_tokens:.1%} of tokens)"
        if self.masked is not None:
            told["masking_error"] = f"{self.masked:.1%} of tokens masked ({self.masked_asked:.1%} asked)"
        if self.empty_sources:
            told["empty_sources"] = f"sources without an example: {len(self.empty_sources)}"
        sample = f"; [UNK] and letters measured on {self.sampled_characters:,} characters"
        return "health: " + ", ".join(told.values()) + (sample if self.sampled_characters else "")

    def warnings(self) -> list[str]:
        """Return a line for each figure that is not well, with the cure."""
        lines = []
        for name, measure in MEASURES.items():
            value = getattr(self, name)
            if value is None or (name in OF_PAIRS and not self.relation):
                continue
            if line := measure.warning(value):
                most = f" (most often {', '.join(map(_shown, self.changed_most))})" if name == "changed_letters" else ""
                lines.append(f"warning: {line}{most}")
        for name in self.empty_sources:
            lines.append(
                f"warning: source {name!r} gives no example to train on: its documents are duplicates of others, or "
                "have fewer than 4 tokens; give it other texts, or remove it"
            )
        return lines

    def to_dict(self) -> dict[str, object]:
        """Return what `from_dict` reads."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Health":
        """Read figures as JSON has them."""
        return cls(**values)


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
        masked=masked_share(chunks, vocabulary, examples, seed=seed) if "mlm" in examples.objectives else None,
        masked_asked=examples.masking_probability,
    )


def examine_text(
    sample: TextSample, *, empty_sources: list[str], sentences_per_document: float, objectives: list[str]
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


def masked_share(chunks: Chunks, vocabulary: Vocabulary, examples: ExampleOptions, *, seed: int) -> float:
    """Return the share of tokens that are predicted in the first training batches, special tokens aside."""
    longest = chunks.max_tokens + SPECIAL_TOKENS_PER_PAIR
    schedule = Schedule.plan(
        chunks, tokens_per_batch=max(4096, longest), seed=seed, relation=relation(examples.objectives)
    )
    masked = tokens = 0
    for epoch, pairs in schedule.batches():
        batch = make_batch(schedule, epoch, pairs, vocabulary, examples)
        masked += int((batch["labels"] != IGNORED).sum())
        tokens += real_tokens(batch) - SPECIAL_TOKENS_PER_PAIR * len(pairs)
        if tokens >= TOKENS_LOOKED_AT:
            return masked / tokens
    raise AssertionError("a schedule has no end")


def _shown(character: str) -> str:
    return character if character.isalpha() else f"U+{ord(character):04X}"
