"""How a text becomes sentences and words: what the options of a corpus say of it, and the number of our own rules."""

from dataclasses import dataclass
from typing import Literal

SentenceEnds = Literal["auto", "stops", "lines", "spaces", "none"]
WordRule = Literal["tokenizer", "icu"]
# Runs and corpora on the disk keep the rules that they were begun by. 1: stops of English and Chinese, sentences are
# encoded one by one; 2: stops of all scripts; 3: abbreviations and ordinals of languages, which are guessed.
RULES = 3


@dataclass(frozen=True)
class TextRules:
    """What decides where the sentences and words of a text are."""

    sentences: SentenceEnds = "auto"  # as in `corpus.sentences`
    language: str | None = None  # ISO 639-1 code; None: guessed for each document
    words: WordRule = "tokenizer"  # as in `corpus.words`
    number: int = RULES

    def __post_init__(self) -> None:
        """Refuse what earlier rules do not know.

        Raises:
            ValueError: names the option.
        """
        later = {"sentences": "auto", "language": None, "words": "tokenizer"} if self.number == 1 else {}
        if self.number == 2:
            later = {"language": None, "words": "tokenizer"} | (
                {"sentences": "auto"} if self.sentences == "none" else {}
            )
        for name, default in later.items():
            if getattr(self, name) != default:
                raise ValueError(
                    f"corpus.{name}: got {getattr(self, name)!r}, expected {'null' if default is None else default!r}: "
                    "the checkpoint, or the corpus, is of an earlier version, without it; remove it, or start over in "
                    "another directory"
                )


DEFAULT = TextRules()
