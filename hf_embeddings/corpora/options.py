"""The options of a corpus and of its tokenizer: each key of those sections of an options file, with its unit."""

import os
from dataclasses import dataclass, field, replace
from typing import Literal

from hf_embeddings.corpora.document import NO_PATHS
from hf_embeddings.corpora.languages import is_code
from hf_embeddings.corpora.text_rules import RULES, SentenceEnds, TextRules, WordRule
from hf_embeddings.corpora.word_pairs import is_file
from hf_embeddings.typed_yaml.fields import bounded, path_field

Algorithm = Literal["wordpiece", "unigram", "bpe", "byte-level", "characters"]
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # ids 0..4 of what is trained
PREPARED = "prepared:"  # before the directory, in `corpus.source`


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """One of several sources; what is not given is that of the corpus."""

    source: str = path_field()  # as in `corpus.source`
    weight: float = bounded(1.0, min=0.001, max=1000)  # how often an epoch takes each example of it, fractions included
    text_field: str | None = None  # as in `corpus`; None takes what stands there
    hub_split: str | None = None  # as in `corpus`; None takes what stands there
    hub_config: str | None = None  # as in `corpus`; None takes what stands there


@dataclass(frozen=True, kw_only=True)
class CorpusOptions:
    """Where the documents come from, and which part of them is held out."""

    # `pydoc:PKG,PKG` (docstrings), `pycode:PKG,PKG` (source files), the path, glob or folder of files, `hub:USER/NAME`,
    # or `prepared:DIRECTORY`, which `hf-embeddings prepare` made.
    source: str | None = path_field(None)
    # Several with weights, instead of `source`; a document that is in two of them has the higher weight.
    sources: list[SourceOptions] = field(default_factory=list)
    # Makes the shares of the sources in an epoch more alike: in proportion to their tokens times their weights to the
    # power of 1 / temperature. 1: no change; 3 is what multilingual models take; from 100 on, all are nearly equal.
    temperature: float = bounded(1.0, min=1, max=1000)
    verify_shards: bool = True  # compare what is prepared with its SHA-256 sums first; false compares sizes only
    text_field: str = "text"  # the key or column that holds the text (.jsonl, .json, .csv, .tsv, .parquet, hub)
    hub_split: str = "train"  # split of a hub dataset
    hub_config: str | None = None  # configuration of a hub dataset; None is its default one
    evaluation_fraction: float = bounded(0.05, above=0, below=1)  # share of documents held out for evaluation
    # What ends a sentence beside a blank line: `stops` (of any script), `lines` (also each line end), `spaces` (also
    # spaces in Thai, Lao, Burmese and Khmer, which put them between clauses), `auto` (stops, spaces in Thai and Lao,
    # line ends in a document that has neither a stop nor a blank line); or `none`: a document is one sentence.
    sentences: SentenceEnds = "auto"
    # ISO 639-1 code of the text, for its abbreviations and ordinals; None: guessed for each document.
    language: str | None = None
    # What a word is, for whole words and spans that are masked: what the tokenizer takes for one; or `icu`, whose
    # dictionaries find words of Chinese, Japanese, Thai, Lao, Khmer and Burmese (extra `words`).
    words: WordRule = "tokenizer"
    # What to do with bytes that are not UTF-8; "skip" also leaves out rows without text (null) or with too many cells.
    on_invalid_text: Literal["error", "skip", "replace"] = "error"
    max_documents: int | None = bounded(None, min=2)  # documents of each source; None reads all
    # Drop a document whose runs of five words are to this share (Jaccard) those of an earlier one; None keeps it.
    near_duplicates: float | None = bounded(None, min=0.5, max=1)
    # Pairs of words that are exchanged in documents to train on (counterfactual augmentation), such as he and she:
    # `english-gender`, `chinese-gender`, or files with a pair a line. Held-out documents stay as they are.
    counterfactual: list[str] = field(default_factory=list)
    # Share of the documents with such words that are replaced by the exchanged ones; None: each stays, and the
    # exchanged one beside it.
    counterfactual_share: float | None = bounded(None, above=0, max=1)

    def __post_init__(self) -> None:
        if (self.source is None) == (not self.sources):
            description = f"{self.source!r} beside {len(self.sources)} sources" if self.sources else "nothing"
            raise ValueError(f"source: got {description}, expected source or sources; give one of them")
        if self.temperature != 1 and not self.sources and self.prepared is None:
            raise ValueError(
                f"temperature: got {self.temperature} beside one source, expected several, whose shares it changes; "
                "write them as sources, or remove it"
            )
        if self.language is not None and not is_code(self.language):
            raise ValueError(
                f"language: got {self.language!r}, expected an ISO 639-1 code; write two letters, such as de"
            )
        names = [part.source for part in self.sources]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"sources: got {twice!r} twice, expected each source once; give it a higher weight")
        if self.counterfactual_share is not None and not self.counterfactual:
            raise ValueError(
                f"counterfactual_share: got {self.counterfactual_share} without counterfactual, expected lists of "
                "words beside it; write counterfactual: [english-gender]"
            )

    def text_rules(self, number: int = RULES) -> TextRules:
        """Return how its texts become sentences and words, by our rules of a number."""
        return TextRules(self.sentences, self.language, self.words, number)

    @property
    def prepared(self) -> str | None:
        """The directory of a prepared corpus."""
        return self.source.removeprefix(PREPARED) if self.source and self.source.startswith(PREPARED) else None

    def paths(self) -> dict[str, str]:
        """Return the files, globs and directories that are read, by the option that names them."""
        names = [part.source.removeprefix(PREPARED) for part in self.parts()]
        sources = {f"corpus.source {name}": name for name in names if not name.startswith(NO_PATHS)}
        lists = {f"corpus.counterfactual {name}": os.path.expanduser(name) for name in self.counterfactual}
        return sources | {option: path for option, path in lists.items() if is_file(path)}

    def parts(self) -> list[SourceOptions]:
        """Return every source with its own settings filled in from those of the corpus, by falling weight.

        A document in several sources counts as one of the first of them, and so with the highest weight.
        """
        parts = sorted(self.sources or [SourceOptions(source=self.source or "")], key=lambda part: -part.weight)
        inherited_fields = ("text_field", "hub_split", "hub_config")
        return [replace(p, **{n: getattr(self, n) for n in inherited_fields if getattr(p, n) is None}) for p in parts]


@dataclass(frozen=True, kw_only=True)
class TokenizerOptions:
    """An existing tokenizer, or the one to train on the corpus."""

    path: str | None = path_field(None)  # directory of an existing tokenizer; None trains one with the fields below
    # The kind to train: subwords of WordPiece, Unigram or BPE; "byte-level" BPE, which keeps white space and knows
    # every character, as code wants it; or "characters", for sequences, or text letter by letter.
    algorithm: Algorithm = "wordpiece"
    kmer_length: int = bounded(1, min=1, max=16)  # letters of a token of "characters"; 6 makes 6-mers side by side
    vocab_size: int = bounded(8192, min=64)  # tokens, special ones included
    lowercase: bool = True  # fold case before tokenizing
    # Strip accents and other marks too, as uncased BERT does; it changes the words of many languages.
    strip_accents: bool = False
    turkish_case: bool = False  # fold I to ı and İ to i, as Turkish and Azerbaijani do, if case is folded
    # Characters of the corpus to train on: the first documents of each source, which all get the same share.
    training_characters: int = bounded(100_000_000, min=1000)
    min_frequency: int = bounded(2, min=1)  # occurrences that a character, or a pair of pieces to be merged, needs

    def __post_init__(self) -> None:
        least = 256 + len(SPECIAL_TOKENS)
        if self.algorithm == "byte-level" and self.vocab_size < least:
            raise ValueError(
                f"vocab_size: got {self.vocab_size} beside algorithm 'byte-level', expected at least {least}, the "
                "bytes and special tokens; raise it"
            )
        if self.kmer_length > 1 and self.algorithm != "characters":
            raise ValueError(
                f"kmer_length: got {self.kmer_length} beside algorithm {self.algorithm!r}, expected 1; write "
                "algorithm: characters"
            )
