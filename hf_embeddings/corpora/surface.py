"""What can be seen of a piece of text without understanding it: its length, case, digits and punctuation.

Shapes: V vocabulary, F measures.
"""

import numpy as np
from tokenizers import Tokenizer

MEASURES = (
    *("characters", "capitals", "digits", "punctuation"),  # counts
    *("starts in a capital", "starts in a digit", "starts in punctuation"),  # 0 or 1
    *("ends in a stop", "ends in a digit", "ends in punctuation"),
)
STOPS = ".!?…。！？；।۔።"
MOST = 255  # of a count


def piece_surface(tokenizer: Tokenizer) -> np.ndarray:
    """Return the measures of each piece of a vocabulary, (V, F) uint8; of special tokens, zeros."""
    pieces = tokenizer.get_vocab(with_added_tokens=True)
    prefix = getattr(tokenizer.model, "continuing_subword_prefix", None) or ""
    decoder, special = tokenizer.decoder, tokenizer.get_added_tokens_decoder()
    table = np.zeros((max(pieces.values(), default=-1) + 1, len(MEASURES)), dtype=np.uint8)
    for piece, number in pieces.items():
        if number in special:
            continue
        text = piece.removeprefix(prefix) if prefix else piece
        table[number] = _measures((decoder.decode([text]) if decoder else text).strip())
    return table


def _measures(text: str) -> list[int]:
    if not text:
        return [0] * len(MEASURES)
    counts = (len(text), sum(map(str.isupper, text)), sum(map(str.isdigit, text)), sum(map(_is_mark, text)))
    first, last = text[0], text[-1]
    flags = (first.isupper(), first.isdigit(), _is_mark(first), last in STOPS, last.isdigit(), _is_mark(last))
    return [min(count, MOST) for count in (*counts, *flags)]


def _is_mark(character: str) -> bool:
    return not character.isalnum() and not character.isspace()
