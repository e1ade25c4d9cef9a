"""Cut documents into passages that a model can take whole: a text that is truncated cannot be found by its end."""

from collections.abc import Iterator, Sequence

from transformers import PreTrainedTokenizerBase

# Passages of a document with a title that stand beside those of its text, which are numbered from 0.
TITLE, OPENING = -2, -1
_BREAKS = ("\n\n", "\n", ". ", "。", "! ", "? ", "; ", " ")  # from the best place to cut to the worst

_SENTENCE_ENDS = (".", "。", "!", "！", "?", "？", ":", "：")


def opening(text: str) -> str:
    """Return the first paragraph that ends as a sentence does, so not a signature or headline; else the first one."""
    paragraphs = [paragraph.strip() for paragraph in text.split("\n\n") if paragraph.strip()]
    return next(
        (candidate for candidate in paragraphs if candidate.endswith(_SENTENCE_ENDS)),
        paragraphs[0] if paragraphs else "",
    )


def split_passages(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, rooms: Sequence[int]) -> list[list[str]]:
    """Return for each text its passages, as `split_spans` cuts them."""
    found = split_spans(texts, tokenizer, rooms)
    return [
        [text] if spans == [(0, len(text))] else [text[begin:end].strip() for begin, end in spans]
        for text, spans in zip(texts, found, strict=True)
    ]


def split_spans(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, rooms: Sequence[int]
) -> list[list[tuple[int, int]]]:
    """Return for each text where its passages begin and end, in characters.

    A passage has at most as many tokens as the text has room for, special ones not counted.

    Passages joined are the text, but for the white space at their ends. A cut is made in the second half of the room,
    at the best kind of place found there: between paragraphs, lines, sentences, words.
    """
    long = [
        number for number, text in enumerate(texts) if len(text.encode()) > rooms[number]
    ]  # a token is a byte or more
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    encodings = backend.encode_batch([texts[number] for number in long], add_special_tokens=False)
    spans = [[(0, len(text))] for text in texts]
    for number, encoding in zip(long, encodings, strict=True):
        spans[number] = list(_cut(texts[number], encoding.offsets, rooms[number]))
    return spans


def _cut(text: str, offsets: list[tuple[int, int]], max_tokens: int) -> Iterator[tuple[int, int]]:
    starts = [start for start, _ in offsets]  # (T,) characters at which tokens begin
    first, begin = 0, 0
    while len(starts) - first > max_tokens:
        half, end = starts[first + max_tokens // 2], starts[first + max_tokens]
        end = next((place + len(mark) for mark in _BREAKS if (place := text.rfind(mark, half, end)) >= 0), end)
        if text[begin:end].strip():
            yield begin, end
        # The next passage begins with the token at the cut or, where the cut is inside a token, after it.
        begin = end
        while first < len(starts) and starts[first] < begin:
            first += 1
    if text[begin:].strip():
        yield begin, len(text)
