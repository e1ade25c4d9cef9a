"""The tokenizer: trained on the corpus or loaded from a directory, and the corpus as its token ids.

Shapes: N tokens, S sentences, D documents.
"""

import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from tokenizers import Encoding, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, BertTokenizer, PreTrainedTokenizerBase

from hf_embeddings.pretraining.sentences import split_sentences

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # ids 0..4
REQUIRED_TOKENS = ("pad_token", "cls_token", "sep_token", "mask_token")
JSON_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
# Without any of these, transformers makes up a vocabulary of the special tokens alone.
VOCABULARY_FILES = (
    *("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model", "spm.model"),
    "sentencepiece.bpe.model",
)
MAX_FILE_BYTES = 64 << 20  # the largest in use, of 250,000 pieces, have 17 MB
MAX_JSON_DEPTH = 64  # parsers of nested JSON recurse
_JSON_NESTING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)  # strings match whole, so as to be skipped
_CHUNK_DOCUMENTS = 1000  # documents per call of the tokenizer and of `progress`


class TokenizerError(ValueError):
    """A tokenizer that cannot be used: which, what was found, what was expected, what to do."""


@dataclass(frozen=True, kw_only=True)
class TokenizedCorpus:
    """Documents as ids without special tokens; sentence s is tokens[sentence_starts[s] : sentence_starts[s + 1]]."""

    tokens: np.ndarray  # (N,) uint16, or int32 for a vocabulary of 65,536 and more
    sentence_starts: np.ndarray  # (S + 1,) int64, into tokens
    document_starts: np.ndarray  # (D + 1,) int64, into sentences
    empty_sentences: int  # left out, for they have no tokens
    empty_documents: int  # left out, for they have no sentences


def train_tokenizer(
    documents: Iterable[str], *, vocab_size: int, lowercase: bool, min_frequency: int, max_length: int
) -> PreTrainedTokenizerBase:
    """Train a WordPiece tokenizer; the same documents give the same vocabulary, in any order of them."""
    documents = documents if isinstance(documents, Sequence) else list(documents)
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    initial, continuing = _alphabet(documents, tokenizer, min_frequency=min_frequency, limit=vocab_size // 2)
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        # The trainer numbers "##a", "##b", ... as it meets them in a randomly seeded hash map, and breaks ties between
        # equally frequent pairs by number: pieces differ from run to run. Listed here, they have fixed numbers.
        special_tokens=[*SPECIAL_TOKENS, *initial, *continuing],
        initial_alphabet=initial,
        limit_alphabet=len(initial),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer, length=len(documents))
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return BertTokenizer(vocab=dict(pieces), do_lower_case=lowercase, model_max_length=max_length)


def load_tokenizer(path: str | os.PathLike[str]) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a local directory, refusing those that transformers would silently complete or repair."""
    path = os.fspath(path)
    if not os.path.isdir(path):
        raise TokenizerError(f"{path}: no such directory, expected one with a tokenizer; check tokenizer.path")
    present = set(os.listdir(path))
    if present.isdisjoint(VOCABULARY_FILES):
        raise TokenizerError(f"{path}: got no vocabulary, expected {' or '.join(VOCABULARY_FILES)}; {_RESAVE}")
    files = {name: _read_json(os.path.join(path, name)) for name in JSON_FILES if name in present}
    written = _written_tokens(path, files)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises bare Exceptions
        raise TokenizerError(f"{path}: cannot be loaded ({' '.join(str(error).split())}); {_RESAVE}") from error
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise TokenizerError(f"{path}: got the slow {type(tokenizer).__name__}, expected a tokenizer.json; {_RESAVE}")
    given = {name: getattr(tokenizer, name, None) for name in REQUIRED_TOKENS}
    missing = [name for name, token in given.items() if not token or (written and token not in written)]
    if missing:
        lacks = ", ".join(f"{name} {given[name] or ''}".rstrip() for name in missing)
        raise TokenizerError(
            f"{path}: lacks {lacks}, expected all of {', '.join(REQUIRED_TOKENS)}; add them and save again, or take "
            "another tokenizer"
        )
    return tokenizer


def encode_sentences(
    tokenizer: PreTrainedTokenizerBase, documents: Iterable[str], *, progress: Callable[[int], None] | None = None
) -> TokenizedCorpus:
    """Split documents into sentences and encode them; `progress` is told how many documents are done."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())  # a copy, to change its settings
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True  # a "[MASK]" that a document writes about is text, not the mask
    size = max(backend.get_vocab(with_added_tokens=True).values()) + 1
    tokens: list[np.ndarray] = []
    sentence_lengths: list[np.ndarray] = []
    document_lengths: list[int] = []
    empty_sentences = empty_documents = done = 0
    for chunk in _chunks(documents, _CHUNK_DOCUMENTS):
        sentences = [split_sentences(document) for document in chunk]
        encodings = _encode(backend, list(chain.from_iterable(sentences)))
        ids = [encoding.ids for encoding in encodings]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        owner = np.repeat(np.arange(len(chunk)), [len(document) for document in sentences])  # the document of each
        counts = np.bincount(owner[lengths > 0], minlength=len(chunk))
        tokens.append(np.fromiter(chain.from_iterable(ids), np.uint16 if size <= 2**16 else np.int32, lengths.sum()))
        sentence_lengths.append(lengths[lengths > 0])
        document_lengths.extend(counts[counts > 0])
        empty_sentences += int((lengths == 0).sum())
        empty_documents += int((counts == 0).sum())
        done += len(chunk)
        if progress is not None:
            progress(done)
    return TokenizedCorpus(
        tokens=np.concatenate([np.empty(0, np.uint16 if size <= 2**16 else np.int32), *tokens]),
        sentence_starts=np.cumsum(np.concatenate([np.zeros(1, np.int64), *sentence_lengths])),
        document_starts=np.cumsum(np.array([0, *document_lengths], np.int64)),
        empty_sentences=empty_sentences,
        empty_documents=empty_documents,
    )


def _encode(backend: Tokenizer, texts: list[str]) -> list[Encoding]:
    try:
        return backend.encode_batch_fast(texts, add_special_tokens=False)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # what Rust raises has no class that could be imported
            raise
        raise TokenizerError(
            f"tokenizer.path: cannot encode the corpus ({error}), expected patterns that need few steps; take another "
            "tokenizer, or simplify the Split patterns of its tokenizer.json"
        ) from None


def _alphabet(
    documents: Iterable[str], tokenizer: Tokenizer, *, min_frequency: int, limit: int
) -> tuple[list[str], list[str]]:
    """Return the characters that the vocabulary holds, and those of them that continue a word, as "##x".

    The most frequent ones whose pieces fit in `limit`: thousands of Chinese characters must leave room for words.
    """
    written: Counter[str] = Counter()
    for document in documents:
        written.update(document)
    counts: Counter[str] = Counter()
    for character, count in written.items():
        for normalized in tokenizer.normalizer.normalize_str(character):
            if not normalized.isspace():
                counts[normalized] += count
    initial: list[str] = []
    continuing: list[str] = []
    for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if count < min_frequency or len(initial) + len(continuing) + 2 > limit:
            break
        initial.append(character)
        word = tokenizer.normalizer.normalize_str(f"a{character}")
        if len(tokenizer.pre_tokenizer.pre_tokenize_str(word)) == 1:  # neither punctuation nor Chinese
            continuing.append(f"##{character}")
    return sorted(initial), sorted(continuing)


_RESAVE = "save the tokenizer again with save_pretrained"


def _read(path: str) -> bytes:
    if not os.path.isfile(path):  # nor a pipe, which would wait for a writer
        raise TokenizerError(f"{path}: not a file, expected one; {_RESAVE}")
    size = os.path.getsize(path)
    if size > MAX_FILE_BYTES:
        raise TokenizerError(f"{path}: got {size} bytes, expected at most {MAX_FILE_BYTES}; {_RESAVE}")
    with open(path, "rb") as file:
        return file.read()


def _read_json(path: str) -> object:
    content = _read(path)
    depth = 0
    for match in _JSON_NESTING.finditer(content):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(match.group(), 0)
        if depth > MAX_JSON_DEPTH:
            raise TokenizerError(f"{path}: got more than {MAX_JSON_DEPTH} nested brackets, expected fewer; {_RESAVE}")

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        _refuse_duplicates(path, (key for key, _ in pairs))
        return dict(pairs)

    try:
        return json.loads(content, object_pairs_hook=unique)
    except TokenizerError:
        raise
    except ValueError as error:  # of the syntax, or of the encoding
        raise TokenizerError(f"{path}: got broken JSON ({error}), expected a whole file; {_RESAVE}") from error


def _written_tokens(path: str, files: dict[str, object]) -> set[str]:
    """Return the tokens in the vocabulary file, refusing duplicates; none for a format that is not read here."""
    if "tokenizer.json" in files:
        return _written_in_json(os.path.join(path, "tokenizer.json"), files["tokenizer.json"])
    if os.path.lexists(os.path.join(path, "vocab.txt")):
        path = os.path.join(path, "vocab.txt")
        tokens = [line.rstrip("\n") for line in io.StringIO(_read(path).decode("utf-8", "replace"), newline=None)]
        _refuse_duplicates(path, tokens)
        return set(tokens)
    return set()


def _written_in_json(path: str, content: object) -> set[str]:
    try:
        vocabulary = content["model"]["vocab"]  # type: ignore[index]  # what has another shape is told below
        added = {token["content"]: token["id"] for token in content["added_tokens"]}  # type: ignore[index]
        named = isinstance(vocabulary, dict)  # WordPiece and BPE; Unigram lists (piece, score) by id
        pairs = list(vocabulary.items()) if named else [(piece, index) for index, (piece, _) in enumerate(vocabulary)]
        hash(tuple(pairs))  # a list or an object instead of a token or an id is found here
    except (KeyError, TypeError, ValueError) as error:
        raise TokenizerError(f"{path}: got no `model.vocab` or `added_tokens`, expected both; {_RESAVE}") from error
    _refuse_duplicates(path, (piece for piece, _ in pairs))
    ids = dict(pairs)
    for token, number in added.items():
        known = ids.setdefault(token, number)
        if known != number:
            raise TokenizerError(f"{path}: got ids {known} and {number} for {token!r}, expected one; {_RESAVE}")
    _refuse_duplicates(path, ids.values())
    return set(ids)


def _refuse_duplicates(path: str, entries: Iterable[object]) -> None:
    seen: set[object] = set()
    for entry in entries:
        if entry in seen:
            raise TokenizerError(f"{path}: got {entry!r} twice, expected each token and id once; {_RESAVE}")
        seen.add(entry)


def _chunks(documents: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(documents)
    while chunk := list(islice(iterator, size)):
        yield chunk
