"""A tokenizer from a directory, refused where transformers would silently complete or repair it."""

import hashlib
import io
import json
import os
import re
from collections.abc import Iterable
from typing import Any

from transformers import PreTrainedTokenizerBase

from hf_embeddings.corpora.literal_text import added_tokens
from hf_embeddings.corpora.text_rules import RULES
from hf_embeddings.files.reading import not_a_directory
from hf_embeddings.loading.auto_classes import OwnCode, open_tokenizer
from hf_embeddings.loading.saved_model import UNKNOWN

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


class TokenizerError(ValueError):
    """A tokenizer that cannot be used: which, what was found, what was expected, what to do."""


def load_tokenizer(path: str | os.PathLike[str]) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a local directory, refusing those that transformers would silently complete or repair."""
    path = os.fspath(path)
    if not os.path.isdir(path):
        raise TokenizerError(f"{path}: {not_a_directory(path)}, expected one with a tokenizer; check tokenizer.path")
    present = set(os.listdir(path))
    if present.isdisjoint(VOCABULARY_FILES):
        raise TokenizerError(f"{path}: got no vocabulary, expected {' or '.join(VOCABULARY_FILES)}; {_RESAVE}")
    files = {name: _read_json(os.path.join(path, name)) for name in JSON_FILES if name in present}
    vocabulary = _written_tokens(path, files)
    try:
        tokenizer = open_tokenizer(path, local_files_only=True)
        tokenizer(UNKNOWN)  # a vocabulary that was read otherwise than it is written fails at the first text
    except OwnCode as error:
        raise TokenizerError(str(error)) from None
    except Exception as error:  # the tokenizers library raises bare Exceptions
        raise TokenizerError(f"{path}: cannot be loaded ({' '.join(str(error).split())}); {_RESAVE}") from error
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise TokenizerError(f"{path}: got the slow {type(tokenizer).__name__}, expected a tokenizer.json; {_RESAVE}")
    special_tokens = {name: getattr(tokenizer, name, None) for name in REQUIRED_TOKENS}
    missing = [name for name, token in special_tokens.items() if not token or (vocabulary and token not in vocabulary)]
    if missing:
        lacks = ", ".join(f"{name} {special_tokens[name] or ''}".rstrip() for name in missing)
        raise TokenizerError(
            f"{path}: lacks {lacks}, expected all of {', '.join(REQUIRED_TOKENS)}; add them and save again, or take "
            "another tokenizer"
        )
    return tokenizer


def row_count(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return how many rows a table of its tokens has: one more than the highest id, for ids may have gaps."""
    return max(tokenizer.get_vocab().values(), default=-1) + 1


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase, *, rules: int = RULES) -> str:
    """Return a hash of everything that decides which ids a text becomes under some rules of `SentenceTokenizer`."""
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    facts = [content[name] for name in ("model", "normalizer", "pre_tokenizer")]
    special = [getattr(tokenizer, name) for name in REQUIRED_TOKENS]
    decisive = [facts, special]
    if rules > 1 and (further_tokens := added_tokens(tokenizer)):
        decisive.append(further_tokens)
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


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


def _written_in_json(path: str, content: Any) -> set[str]:  # noqa: ANN401  what has another shape is told
    try:
        vocabulary = content["model"]["vocab"]
        added_tokens = {token["content"]: token["id"] for token in content["added_tokens"]}
        is_mapping = isinstance(vocabulary, dict)  # WordPiece and BPE; Unigram lists (piece, score) by id
        pairs = (
            list(vocabulary.items()) if is_mapping else [(piece, index) for index, (piece, _) in enumerate(vocabulary)]
        )
        hash(tuple(pairs))  # a list or an object instead of a token or an id is found here
    except (KeyError, TypeError, ValueError) as error:
        raise TokenizerError(f"{path}: got no `model.vocab` or `added_tokens`, expected both; {_RESAVE}") from error
    _refuse_duplicates(path, (piece for piece, _ in pairs))
    ids = dict(pairs)
    for token, number in added_tokens.items():
        present_id = ids.setdefault(token, number)
        if present_id != number:
            raise TokenizerError(f"{path}: got ids {present_id} and {number} for {token!r}, expected one; {_RESAVE}")
    _refuse_duplicates(path, ids.values())
    return set(ids)


def _refuse_duplicates(path: str, entries: Iterable[object]) -> None:
    seen_entries: set[object] = set()
    for entry in entries:
        if entry in seen_entries:
            raise TokenizerError(f"{path}: got {entry!r} twice, expected each token and id once; {_RESAVE}")
        seen_entries.add(entry)
