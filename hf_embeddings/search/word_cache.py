"""Sums of rows for words that were seen before: a static model spends nearly all of its time on tokenizing else.

Where a tokenizer cuts at every space, whatever stands around it, the tokens of a text are those of its words one after
the other, so that a word needs to be tokenized once.

Shapes: N texts, P words of all of them, D width.
"""

import json
from collections.abc import Sequence

import numpy as np
import torch
from tokenizers import Tokenizer

MOST_WORDS = 200_000  # that are remembered
LONGEST_WORD = 24  # characters of a mean word: more is a language without spaces, whose "words" do not come again
CUTS = ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")
LOCAL = ("BertNormalizer", "Lowercase", "NFD", "NFC", "NFKD", "NFKC", "StripAccents")  # to what a space has on one side


class WordCache:
    """A table of tokens with what is known of the words made of them."""

    def __init__(self, backend: Tokenizer, table: torch.Tensor) -> None:
        """Take the rows (V, D) of tokens."""
        self._backend, self._table = backend, table
        self._forget()

    def _forget(self) -> None:
        self._numbers: dict[str, int] = {}
        self._sums = torch.empty(0, self._table.shape[1])  # (words, D) in fp32
        self._counts = np.empty(0, np.int64)  # (words,) tokens

    def means(self, texts: Sequence[str]) -> tuple[torch.Tensor, np.ndarray] | None:
        """Return the means (N, D) of the rows of each text's tokens and their number (N,); None where words are long.

        A text without tokens is zero.
        """
        words = [text.replace("\n", " ").split(" ") for text in texts]
        lengths = np.array([len(row) for row in words])
        if sum(map(len, texts)) > LONGEST_WORD * int(lengths.sum()):
            return None
        if len(self._numbers) > MOST_WORDS:
            self._forget()
        self._learn({word for row in words for word in row if word not in self._numbers})
        numbers = self._numbers
        places = np.fromiter((numbers[word] for row in words for word in row), np.int64, int(lengths.sum()))
        starts = lengths.cumsum() - lengths
        counts = np.add.reduceat(self._counts[places], starts) if len(places) else np.zeros(0, np.int64)
        sums = torch.nn.functional.embedding_bag(
            torch.from_numpy(places), self._sums, torch.from_numpy(starts), mode="sum"
        )
        return sums / torch.from_numpy(counts).clamp(min=1)[:, None], counts

    def _learn(self, words: set[str]) -> None:
        if not words:
            return
        new = sorted(words)
        self._backend.no_truncation()
        ids = [encoding.ids for encoding in self._backend.encode_batch_fast(new, add_special_tokens=False)]
        counts = np.array([len(row) for row in ids])
        flat = torch.tensor([i for row in ids for i in row], dtype=torch.long)
        starts = torch.from_numpy(counts.cumsum() - counts)
        sums = torch.nn.functional.embedding_bag(flat, self._table.float(), starts, mode="sum")
        self._numbers.update(zip(new, range(len(self._numbers), len(self._numbers) + len(new)), strict=True))
        self._sums = torch.cat((self._sums, sums))
        self._counts = np.concatenate((self._counts, counts))


def cuts_at_spaces(backend: Tokenizer) -> bool:
    """Tell whether the tokens of a text are those of its parts between spaces, one after the other."""
    values = json.loads(backend.to_str())
    normalizer, cut = values["normalizer"], values["pre_tokenizer"]
    steps = (normalizer.get("normalizers") or [normalizer]) if normalizer else []
    return (
        bool(cut)
        and cut["type"] in CUTS
        and all(step["type"] in LOCAL for step in steps)
        and not any(token["lstrip"] or token["rstrip"] or " " in token["content"] for token in values["added_tokens"])
    )
