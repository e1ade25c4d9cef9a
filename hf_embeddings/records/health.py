"""The health of a corpus: what shows before training that it will learn little, each figure with a limit and a cure."""

from dataclasses import dataclass, field
from typing import NamedTuple

from hf_embeddings.json_record import JsonRecord, absent


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


_OTHER_ENDS = "set corpus.sentences=lines where each line is one (spaces for Thai, Lao, Burmese and Khmer)"
MEASURES = {  # field or property of Health -> its measure, in the order in which they are told
    "unknown_characters": Measure(
        "{:.1%} of characters in [UNK]",
        0.01,
        True,
        "raise tokenizer.vocab_size; for text without spaces take tokenizer.algorithm=unigram or bpe, where an unknown "
        "letter leaves its word known; or give a tokenizer of the language as tokenizer.path",
    ),
    "sentences_per_document": Measure(
        "{:.1f} sentences a document",
        2.0,
        False,
        f"sentences end at the stops of any script and at blank lines: {_OTHER_ENDS}, mark their ends, give whole "
        "texts as documents, or train with examples.objectives=[mlm]",
    ),
    "cut_pairs": Measure(
        "{:.0%} of pairs cut inside a sentence",
        0.5,
        True,
        f"mark the ends of sentences by stops, {_OTHER_ENDS}, give longer documents, "
        "raise examples.max_length, or train with examples.objectives=[mlm]",
    ),
    "labeled_pairs": Measure(
        "{:.0%} of pairs with a label",
        0.1,
        False,
        "sop asks for the order of whole sentences that lengths, digits, case and punctuation do not tell, nsp pairs "
        "need a partner in another document: give more and longer documents of several sentences, raise "
        "examples.max_length, or train with examples.objectives=[mlm]",
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
        "set tokenizer.strip_accents=false for a tokenizer that is trained; else give one that keeps accents and marks "
        "as tokenizer.path",
    ),
}
OF_PAIRS = ("sentences_per_document", "cut_pairs", "labeled_pairs")  # harm only where the order of sentences is learned


@dataclass(frozen=True, kw_only=True)
class Health(JsonRecord):
    """Shares of 1, unless they say otherwise; None where it was not measured or has no meaning."""

    sampled_characters: int  # that the first two are measured on
    unknown_characters: float | None  # share that becomes [UNK]
    changed_letters: float | None
    changed_most: list[str] = field(default_factory=list)  # the characters
    sentences_per_document: float
    relation: str | None  # nsp or sop
    unknown_tokens: float | None = None  # share of the training tokens that is [UNK]
    cut_pairs: float | None = None
    labeled_pairs: float | None = absent()  # share of the pairs whose relation is asked for
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
        values = {name: value for name in MEASURES if (value := getattr(self, name)) is not None}
        phrases = {name: MEASURES[name].words.format(value) for name, value in values.items()}
        if "unknown_characters" in phrases and self.unknown_tokens is not None:
            phrases["unknown_characters"] += f" ({self.unknown_tokens:.1%} of tokens)"
        if self.masked is not None:
            phrases["masking_error"] = f"{self.masked:.1%} of tokens masked ({self.masked_asked:.1%} asked)"
        if self.empty_sources:
            phrases["empty_sources"] = f"sources without an example: {len(self.empty_sources)}"
        sample = f"; [UNK] and letters measured on {self.sampled_characters:,} characters"
        return "health: " + ", ".join(phrases.values()) + (sample if self.sampled_characters else "")

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


def _shown(character: str) -> str:
    return character if character.isalpha() else f"U+{ord(character):04X}"
