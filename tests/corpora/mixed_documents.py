"""Documents in English and Chinese, some without any token, and tokenizers trained on them."""

from transformers import PreTrainedTokenizerBase

from hf_embeddings.corpora.tokenizer_training import train_tokenizer

DOCUMENTS = [
    "The Café of the embeddings. Tokens, positions and segments are added!",
    "猫追狗。狗追猫。The cat chases the dog, and the dog chases the cat.",
    "Position embeddings tell tokens apart; segment embeddings tell sentences apart.",
    "\n\n",
    "\u200b \ufeff\u0007",  # control characters only: no tokens
    "A sentence about [MASK] and [SEP] is text. [CLS] too.",
] * 3


def train(**changes: object) -> PreTrainedTokenizerBase:
    options = {"vocab_size": 300, "lowercase": True, "min_frequency": 1, "max_length": 64}
    return train_tokenizer(DOCUMENTS, **(options | changes))
