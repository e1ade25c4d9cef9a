"""The tokens of a vocabulary as people write them, by their ids."""

from functools import cached_property

from transformers import PreTrainedTokenizerBase

from hf_embeddings.corpora.word_starts import token_text


class Vocabulary:
    """Labels of token ids; one that only starts a word, or is white space, has no mark of it."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer

    def __len__(self) -> int:
        """Return the number of ids that stand for a token, gaps included."""
        return max(self._tokens) + 1

    def label(self, row: int) -> str:
        """Return a token as people write it; an id that has none is `#7`."""
        token = self._tokens.get(row, f"#{row}")
        return token_text(self.tokenizer, token).strip() or token

    @cached_property
    def _tokens(self) -> dict[int, str]:
        return {row: token for token, row in self.tokenizer.get_vocab().items()}
