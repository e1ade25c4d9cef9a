"""Documents as token ids: sentences found, encoded, and the word that each token belongs to kept.

Shapes: N tokens, S sentences, D documents.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

import numpy as np
from tokenizers import Encoding, Tokenizer
from tokenizers.models import WordPiece
from transformers import PreTrainedTokenizerBase

from hf_embeddings.corpora.chinese import RANGES
from hf_embeddings.corpora.literal_text import literal_backend
from hf_embeddings.corpora.sentences import Span, sentence_spans
from hf_embeddings.corpora.surface import piece_surface
from hf_embeddings.corpora.text_rules import DEFAULT, TextRules
from hf_embeddings.corpora.tokenizer import TokenizerError
from hf_embeddings.corpora.unspaced_words import cut_words, require_icu

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
    words: str = "tokenizer"  # what `continues` goes by, as in `TextRules`
    surface: np.ndarray | None = None  # (V, F) uint8, what `piece_surface` returns, where it is known

    @property
    def empty_documents(self) -> int:
        """Documents without sentences."""
        return int((np.diff(self.document_starts) == 0).sum())


class SentenceTokenizer:
    """A tokenizer as the corpus needs it: no truncation, no padding, sentences by their places in the document."""

    def __init__(self, tokenizer: Tokenizer, rules: TextRules = DEFAULT) -> None:
        """Copy a tokenizer, to change its settings.

        Args:
            tokenizer: what `literal_backend` returns, where control tokens in a text are to be text.
            rules: how a text becomes sentences and words. By those with the number 1, sentences are encoded one by one,
                and all special tokens in a text are text.

        Raises:
            ValueError: the library that finds words is not installed.
        """
        self.rules = rules
        if rules.words == "icu":
            require_icu()
        self._backend = Tokenizer.from_str(tokenizer.to_str())
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = True
        pieces = {number: piece for piece, number in self._backend.get_vocab(with_added_tokens=True).items()}
        self.dtype = np.uint16 if max(pieces) < 2**16 else np.int32
        content = json.loads(tokenizer.to_str())
        model = content["model"]
        self.unknown: int | None = model.get("unk_id")  # of Unigram; the others name the token
        if model.get("unk_token"):
            self.unknown = self._backend.token_to_id(model["unk_token"])
        self._one_by_one = rules.number == 1 or _sentences_stand_alone(content)
        prefix = getattr(self._backend.model, "continuing_subword_prefix", None)
        # A piece of WordPiece says itself whether it continues a word; for the others, offsets have to be computed.
        self._continuing = None
        if isinstance(self._backend.model, WordPiece) and prefix:
            ordered_pieces = (pieces.get(number, "") for number in range(max(pieces) + 1))
            self._continuing = np.array(
                [
                    p.startswith(prefix) and not _is_chinese(np.array([ord(p[len(prefix) :][:1] or "a")]))[0]
                    for p in ordered_pieces
                ]
            )

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, rules: TextRules = DEFAULT) -> "SentenceTokenizer":
        """Return the one of a tokenizer of transformers; `rules` as in the constructor."""
        return cls(encoder_backend(tokenizer, rules=rules.number), rules)

    def encode(self, documents: list[str], sentences: list[list[Span]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the ids of documents, one after the other, which of them continue a word, and those of each sentence.

        Args:
            documents: D texts.
            sentences: of each document; the tokens of one without any are left out.

        Returns:
            ids (N,), continues (N,) bool, and the number of tokens of each sentence (S,).
        """
        if self._one_by_one:
            documents = [text[a:b] for text, spans in zip(documents, sentences, strict=True) for a, b in spans]
            sentences = [[(0, len(text))] for text in documents]
            if self._continuing is not None and self.rules.words == "tokenizer":
                lists = [encoding.ids for encoding in self._run(documents, offsets=False)]
                lengths = np.fromiter(map(len, lists), np.int64, len(lists))
                ids = np.fromiter(chain.from_iterable(lists), self.dtype, lengths.sum())
                return ids, self._continuing[ids], lengths
        encodings = self._run(documents, offsets=True)
        lengths = np.fromiter(map(len, encodings), np.int64, len(encodings))
        ids = np.fromiter(chain.from_iterable(encoding.ids for encoding in encodings), self.dtype, lengths.sum())
        begins = np.fromiter((start for e in encodings for start, _ in e.offsets), np.int64, len(ids))
        owner, is_kept = _sentence_of(begins, lengths, sentences)
        if self._continuing is not None:
            continues = self._continuing[ids]
        else:
            words = np.fromiter((word or 0 for e in encodings for word in e.word_ids), np.int64, len(ids))
            continues = _continues(words, begins, documents, lengths)
        if self.rules.words == "icu":
            continues = cut_words(continues, begins, documents, lengths)
        continues[1:] &= owner[1:] == owner[:-1]  # a sentence begins with a word
        return ids[is_kept], continues[is_kept], np.bincount(owner[is_kept], minlength=sum(map(len, sentences)))

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


def encoder_backend(tokenizer: PreTrainedTokenizerBase, *, rules: int = DEFAULT.number) -> Tokenizer:
    """Return what `SentenceTokenizer` is made of, which processes can pass on as text."""
    return tokenizer.backend_tokenizer if rules == 1 else literal_backend(tokenizer)


def encode_sentences(
    tokenizer: PreTrainedTokenizerBase,
    documents: Iterable[str],
    rules: TextRules = DEFAULT,
    *,
    progress: Callable[[int], None] | None = None,
) -> TokenizedCorpus:
    """Find the sentences of documents and encode them.

    Args:
        tokenizer: any.
        documents: texts.
        rules: as `SentenceTokenizer` has them.
        progress: told how many documents are done.
    """
    encoder, parts, count = SentenceTokenizer.of(tokenizer, rules), [], 0
    for chunk in batched(documents, CHUNK_DOCUMENTS):
        parts.append(encode_documents(encoder, chunk))
        count += len(chunk)
        if progress is not None:
            progress(count)
    surface = piece_surface(tokenizer.backend_tokenizer)
    return replace(joined(parts or [encode_documents(encoder, [])]), surface=surface, words=rules.words)


def encode_documents(encoder: SentenceTokenizer, documents: list[str]) -> TokenizedCorpus:
    """Encode documents, each of which keeps its number though it be empty."""
    sentences = [sentence_spans(document, encoder.rules) for document in documents]
    tokens, continues, lengths = encoder.encode(documents, sentences)
    owner = np.repeat(np.arange(len(documents)), [len(spans) for spans in sentences])  # the document of each
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


def token_counts(corpus: TokenizedCorpus, selection: np.ndarray, size: int) -> np.ndarray:
    """Return how often each of `size` tokens stands in the chosen documents (D,), (size,)."""
    lengths = np.diff(corpus.sentence_starts[corpus.document_starts])
    return np.bincount(corpus.tokens[np.repeat(selection, lengths)], minlength=size)


def batched(documents: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield lists of `size` documents, and the rest."""
    iterator = iter(documents)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _starts(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def _sentence_of(begins: np.ndarray, lengths: np.ndarray, sentences: list[list[Span]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the sentence that each token begins in, (N,), and whether its document has any, (N,).

    White space belongs to the sentence after it, as in byte-level BPE; at the end of a document, to the one before it.

    Args:
        begins: (N,) first character of each token in its document.
        lengths: (D,) tokens of each document.
        sentences: of each document.
    """
    counts = np.fromiter(map(len, sentences), np.int64, len(sentences))
    firsts = _starts(counts)
    # Documents are laid out one after the other, each as long as anything in it reaches.
    reach = 1 + max(int(begins.max(initial=0)), max((spans[-1][1] for spans in sentences if spans), default=0))
    document = np.repeat(np.arange(len(sentences)), lengths)
    ends = np.fromiter((end for spans in sentences for _, end in spans), np.int64, int(counts.sum()))
    ends += np.repeat(np.arange(len(sentences)) * reach, counts)
    places = np.maximum.accumulate(begins + document * reach)
    owner = np.minimum(np.searchsorted(ends, places, side="right"), firsts[1:][document] - 1)
    return owner, counts[document] > 0


def _sentences_stand_alone(content: dict[str, Any]) -> bool:
    """Tell whether a sentence has the same tokens alone as in its document, which is faster: so with BERT's, and ours.

    Args:
        content: of a tokenizer.json, with control tokens marked as special.
    """
    normalizer, splitter = (_parts(content[name]) for name in ("normalizer", "pre_tokenizer"))
    return (
        splitter[-1:] == ["BertPreTokenizer"]
        and set(splitter) <= {"BertPreTokenizer", "Split"}
        and set(normalizer) <= {"BertNormalizer", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Replace"}
        and all(token["special"] for token in content["added_tokens"])
    )


def _parts(component: dict[str, Any] | None) -> list[str]:
    """Return the types that a component of a tokenizer.json is a sequence of."""
    if component is None:
        return []
    parts = component.get("normalizers") or component.get("pretokenizers") or []
    return [name for part in parts for name in _parts(part)] or [component["type"]]


def _continues(words: np.ndarray, begins: np.ndarray, texts: list[str], lengths: np.ndarray) -> np.ndarray:
    """Tell which tokens continue a word, (N,): as the pre-tokenizer has it, and as white space and Chinese have it."""
    text = np.append(np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32), np.uint32(32))
    places = np.repeat(_starts(np.fromiter(map(len, texts), np.int64, len(texts)))[:-1], lengths) + begins
    continues = np.zeros(len(words), dtype=bool)
    continues[1:] = words[1:] == words[:-1]
    continues[_starts(lengths)[:-1][lengths > 0]] = False
    characters, before = text[places], text[places - 1]
    starts_anew = np.append(True, places[1:] != places[:-1])  # a character in several pieces is one word all the same
    return continues & ~(
        starts_anew & (_is_chinese(characters) | np.isin(characters, _SPACES) | np.isin(before, _SPACES))
    )


def _is_chinese(characters: np.ndarray) -> np.ndarray:
    return np.logical_or.reduce([(first <= characters) & (characters <= last) for first, last in RANGES])
