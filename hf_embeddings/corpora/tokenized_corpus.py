"""Documents as token ids: sentences found, encoded, and the word that each token belongs to kept.

Shapes: N tokens, S sentences, D documents.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np
from tokenizers import Encoding, Tokenizer
from tokenizers.models import WordPiece
from transformers import PreTrainedTokenizerBase

from hf_embeddings.corpora.chinese import RANGES
from hf_embeddings.corpora.sentences import split_sentences
from hf_embeddings.corpora.surface import piece_surface
from hf_embeddings.corpora.tokenizer import TokenizerError

CHUNK_DOCUMENTS = 1000  # documents per call of the tokenizer and of `progress`
_SPACES = np.array([9, 10, 13, 32, 0xA0, 0x3000], dtype=np.uint32)


@dataclass(frozen=True, kw_only=True)
class TokenizedCorpus:
    """Documents as ids without special tokens; sentence s is tokens[sentence_starts[s] : sentence_starts[s + 1]]."""

    tokens: np.ndarray  # (N,) uint16, or int32 for a vocabulary of 65,536 and more
    continues: np.ndarray  # (N,) bool: whether a token continues the word before it, a Chinese character being a word
    sentence_starts: np.ndarray  # (S + 1,) int64, into tokens
    document_starts: np.ndarray  # (D + 1,) int64, into sentences; a document without tokens has no sentence
    empty_sentences: int  # left out, for they have no tokens
    surface: np.ndarray | None = None  # (V, F) uint8, what `piece_surface` returns, where it is known

    @property
    def empty_documents(self) -> int:
        """Documents without sentences."""
        return int((np.diff(self.document_starts) == 0).sum())


class SentenceTokenizer:
    """A tokenizer as the corpus needs it: no truncation, no padding, and special tokens in a text are text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Copy a tokenizer, to change its settings."""
        self._backend = Tokenizer.from_str(tokenizer.to_str())
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = True  # a "[MASK]" that a document writes about is text, not the mask
        pieces = {number: piece for piece, number in self._backend.get_vocab(with_added_tokens=True).items()}
        self.dtype = np.uint16 if max(pieces) < 2**16 else np.int32
        model = json.loads(tokenizer.to_str())["model"]
        self.unknown: int | None = model.get("unk_id")  # of Unigram; the others name the token
        if model.get("unk_token"):
            self.unknown = self._backend.token_to_id(model["unk_token"])
        prefix = getattr(self._backend.model, "continuing_subword_prefix", None)
        # A piece of WordPiece says itself whether it continues a word; for the others, offsets have to be computed.
        self._continuing = None
        if isinstance(self._backend.model, WordPiece) and prefix:
            ordered = (pieces.get(number, "") for number in range(max(pieces) + 1))
            self._continuing = np.array(
                [
                    p.startswith(prefix) and not _is_chinese(np.array([ord(p[len(prefix) :][:1] or "a")]))[0]
                    for p in ordered
                ]
            )

    def encode(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the ids of texts, one after the other (N,), which of them continue a word (N,), and the lengths."""
        encodings = self._run(texts, offsets=self._continuing is None)
        lists = [encoding.ids for encoding in encodings]
        lengths = np.fromiter(map(len, lists), np.int64, len(lists))
        ids = np.fromiter(chain.from_iterable(lists), self.dtype, lengths.sum())
        if self._continuing is not None:
            return ids, self._continuing[ids], lengths
        return ids, _continues(encodings, texts, lengths), lengths

    def unknown_characters(self, texts: list[str]) -> int:
        """Return how many characters of texts, white space aside, end up in the token for what is unknown."""
        if self.unknown is None:
            return 0
        return sum(
            len("".join(text[start:end].split()))
            for text, encoding in zip(texts, self._run(texts, offsets=True), strict=True)
            for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
            if token == self.unknown
        )

    def normalize(self, text: str) -> str:
        """Return a text as the tokenizer's normalizer leaves it."""
        return self._backend.normalizer.normalize_str(text) if self._backend.normalizer else text

    def _run(self, texts: list[str], *, offsets: bool) -> list[Encoding]:
        encode = self._backend.encode_batch if offsets else self._backend.encode_batch_fast
        try:
            return encode(texts, add_special_tokens=False)
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # what Rust raises has no class that could be imported
                raise
            raise TokenizerError(
                f"tokenizer.path: cannot encode the corpus ({error}), expected patterns that need few steps; take "
                "another tokenizer, or simplify the Split patterns of its tokenizer.json"
            ) from None


def encode_sentences(
    tokenizer: PreTrainedTokenizerBase, documents: Iterable[str], *, progress: Callable[[int], None] | None = None
) -> TokenizedCorpus:
    """Split documents into sentences and encode them; `progress` is told how many documents are done."""
    encoder, parts, done = SentenceTokenizer(tokenizer.backend_tokenizer), [], 0
    for chunk in batched(documents, CHUNK_DOCUMENTS):
        parts.append(encode_documents(encoder, chunk))
        done += len(chunk)
        if progress is not None:
            progress(done)
    surface = piece_surface(tokenizer.backend_tokenizer)
    return replace(joined(parts or [encode_documents(encoder, [])]), surface=surface)


def encode_documents(encoder: SentenceTokenizer, documents: list[str]) -> TokenizedCorpus:
    """Encode documents, each of which keeps its number though it be empty."""
    sentences = [split_sentences(document) for document in documents]
    tokens, continues, lengths = encoder.encode(list(chain.from_iterable(sentences)))
    owner = np.repeat(np.arange(len(documents)), [len(document) for document in sentences])  # the document of each
    counts = np.bincount(owner[lengths > 0], minlength=len(documents))
    return TokenizedCorpus(
        tokens=tokens,
        continues=continues,
        sentence_starts=_starts(lengths[lengths > 0]),
        document_starts=_starts(counts),
        empty_sentences=int((lengths == 0).sum()),
    )


def joined(parts: list[TokenizedCorpus]) -> TokenizedCorpus:
    """Return corpora as one."""
    return TokenizedCorpus(
        tokens=np.concatenate([part.tokens for part in parts]),
        continues=np.concatenate([part.continues for part in parts]),
        sentence_starts=_starts(np.concatenate([np.diff(part.sentence_starts) for part in parts])),
        document_starts=_starts(np.concatenate([np.diff(part.document_starts) for part in parts])),
        empty_sentences=sum(part.empty_sentences for part in parts),
    )


def token_counts(corpus: TokenizedCorpus, chosen: np.ndarray, size: int) -> np.ndarray:
    """Return how often each of `size` tokens stands in the chosen documents (D,), (size,)."""
    lengths = np.diff(corpus.sentence_starts[corpus.document_starts])
    return np.bincount(corpus.tokens[np.repeat(chosen, lengths)], minlength=size)


def batched(documents: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield lists of `size` documents, and the rest."""
    iterator = iter(documents)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _starts(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def _continues(encodings: list[Encoding], texts: list[str], lengths: np.ndarray) -> np.ndarray:
    """Tell which tokens continue a word, (N,): as the pre-tokenizer has it, and as white space and Chinese have it."""
    total = int(lengths.sum())
    words = np.fromiter((word or 0 for encoding in encodings for word in encoding.word_ids), np.int64, total)
    begins = np.fromiter((start for encoding in encodings for start, _ in encoding.offsets), np.int64, total)
    text = np.append(np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32), np.uint32(32))
    places = np.repeat(_starts(np.fromiter(map(len, texts), np.int64, len(texts)))[:-1], lengths) + begins
    continues = np.zeros(total, dtype=bool)
    continues[1:] = words[1:] == words[:-1]
    continues[_starts(lengths)[:-1][lengths > 0]] = False
    characters, before = text[places], text[places - 1]
    starts_anew = np.append(True, places[1:] != places[:-1])  # a character in several pieces is one word all the same
    return continues & ~(
        starts_anew & (_is_chinese(characters) | np.isin(characters, _SPACES) | np.isin(before, _SPACES))
    )


def _is_chinese(characters: np.ndarray) -> np.ndarray:
    return np.logical_or.reduce([(first <= characters) & (characters <= last) for first, last in RANGES])
