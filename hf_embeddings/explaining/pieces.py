"""From text to pieces: what the normaliser changed, which pieces the tokenizer made, which of them it does not know."""

import unicodedata

from tokenizers import Encoding
from transformers import BatchEncoding, PreTrainedTokenizerBase

from hf_embeddings.corpora.word_starts import token_labels
from hf_embeddings.explaining.explanation import Piece, Pieces

MOST_PIECES = 64  # of an input: attention has a value for each pair of them


def read_texts(tokenizer: PreTrainedTokenizerBase, texts: list[str], longest: int) -> tuple[BatchEncoding, Pieces]:
    """Tokenize a text, or two as a pair.

    Args:
        tokenizer: a fast one.
        texts: one or two.
        longest: pieces that the model can read.

    Raises:
        ValueError: the input has more pieces than the page shows, or than the model reads.
    """
    batch = tokenizer(*texts, return_tensors="pt", verbose=False)
    count = batch["input_ids"].shape[1]
    if count > min(longest, MOST_PIECES):
        own = "the text has" if len(texts) == 1 else "the two texts together have"
        limits = {longest: "what the model reads", MOST_PIECES: "what the page has room for"}
        most = min(limits)
        raise ValueError(f"{own} {count} pieces, expected at most {most}, {limits[most]}; give less text")
    assert batch.encodings, "by a fast tokenizer"
    encoding = batch.encodings[0]
    labels = [label.strip() or label for label in token_labels(tokenizer, encoding, texts)]
    segments = batch["token_type_ids"][0].tolist() if "token_type_ids" in batch else [0] * count
    pieces = [_piece(tokenizer, encoding, row, labels[row], segments[row], texts) for row in range(count)]
    return batch, Pieces(texts, [_normalized(tokenizer, text) for text in texts], pieces, _is_right_to_left(texts[0]))


def _piece(
    tokenizer: PreTrainedTokenizerBase, encoding: Encoding, row: int, label: str, segment: int, texts: list[str]
) -> Piece:
    text, (start, end) = encoding.sequence_ids[row], encoding.offsets[row]
    is_added = text is None
    is_unknown = not is_added and encoding.ids[row] == tokenizer.unk_token_id
    return Piece(
        token=encoding.tokens[row],
        label=label,
        id=encoding.ids[row],
        segment=segment,
        text=text,
        characters="" if text is None else texts[text][start:end],
        kind="added" if is_added else "unknown" if is_unknown else "word",
    )


def _normalized(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    normalizer = getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)
    return text if normalizer is None else normalizer.normalize_str(text)


def _is_right_to_left(text: str) -> bool:
    directions = (unicodedata.bidirectional(character) for character in text)
    return next((direction for direction in directions if direction in ("L", "R", "AL")), "L") != "L"
