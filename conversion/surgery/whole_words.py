"""Enter whole words into a tokenizer: where they are found, and what else they change."""

from collections.abc import Sequence

from tokenizers import AddedToken
from transformers import PreTrainedTokenizerBase

from hf_embeddings.conversion.rules import ConversionError
from hf_embeddings.corpora.word_starts import is_unspaced, known_words, word_mark, word_pieces

Piece = tuple[int, int, int]  # token id, first character, end


def new_words(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return which words a tokenizer cuts into pieces, and which are tokens already; each once, by its spelling.

    Raises:
        ConversionError: there is no word, one is empty or nothing to the tokenizer, or one is spelled like a token that
            is no word, or as a piece.
    """
    unique_words = list(dict.fromkeys(word.strip() for word in words))
    if not unique_words or "" in unique_words:
        raise ConversionError(
            f"tokens: {'one of them is empty' if unique_words else 'none is given'}; give words to add"
        )
    if nothing := next((word for word in unique_words if not spelled(tokenizer, word).strip()), None):
        raise ConversionError(  # a tokenizer that looks for nothing never ends
            f"tokens: {nothing!r} is nothing to this tokenizer, whose normalizer removes it; leave it out"
        )
    known_tokens = known_words(tokenizer, unique_words)
    new = list(
        {spelled(tokenizer, word): word for word in reversed(unique_words) if word not in known_tokens}.values()
    )[::-1]
    vocabulary = tokenizer.get_vocab()
    if homonyms := [word for word in new if word in vocabulary]:
        raise ConversionError(
            f"tokens: {homonyms[0]!r} is in the vocabulary, but not as a word (it would take the row of that piece); "
            "leave it out, or train a tokenizer that has it as a word (vocabulary replace)"
        )
    refuse_marks(tokenizer, new)
    return new, list(known_tokens)


def refuse_marks(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> None:
    """Refuse words that are written as the vocabulary writes pieces (`##ing`, `▁the`): no text is written so.

    Raises:
        ConversionError: the first of them.
    """
    inside = getattr(tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None)
    for mark in filter(None, (inside, word_mark(tokenizer))):
        if wrong := next((word for word in words if word.startswith(mark) and word != mark), None):
            raise ConversionError(
                f"tokens: {wrong!r} is written as a piece of the vocabulary, expected a word as texts have it; give "
                f"{wrong.removeprefix(mark)!r}, or train a tokenizer that has the piece (vocabulary replace)"
            )


def enter_words(tokenizer: PreTrainedTokenizerBase, words: Sequence[str], *, inside_words: bool) -> dict[str, int]:
    """Add words to a tokenizer, in place, and return their ids.

    A word is found where no letter or digit touches it, so that "ast" leaves "breakfast" alone. Scripts without spaces
    have no such places: there it is found everywhere.

    Raises:
        ConversionError: the tokenizer does not find a word that was added.
    """
    mark = word_mark(tokenizer)
    tokenizer.add_tokens([
        AddedToken(
            word,
            single_word=not (inside_words or is_unspaced(word)),
            lstrip=mark != "",  # the space before it belongs to the word, as to other words of such tokenizers
            normalized=not (mark and spelled(tokenizer, word).startswith(mark)),
        )
        for word in words
    ])  # fmt: skip
    vocabulary = tokenizer.get_vocab()
    ids = {word: vocabulary[word] for word in words}
    for word, pieces in zip(words, word_pieces(tokenizer, words), strict=True):
        if ids[word] not in pieces:
            raise ConversionError(f"tokens: {word!r} is not found in texts by this tokenizer; leave it out")
    return ids


def spelled(tokenizer: PreTrainedTokenizerBase, word: str) -> str:
    """Return a word as the tokenizer sees it, such as in lower case."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return word if backend is None or backend.normalizer is None else backend.normalizer.normalize_str(word)


def pieces_with_spans(tokenizer: PreTrainedTokenizerBase, text: str) -> list[Piece]:
    """Return the pieces of a text, and which characters each covers."""
    (encoding,) = tokenizer([text], add_special_tokens=False, verbose=False).encodings
    return [(index, *span) for index, span in zip(encoding.ids, encoding.offsets, strict=True)]


def share_changed(
    before: Sequence[Sequence[Piece]], after: Sequence[Sequence[Piece]], added_ids: set[int]
) -> dict[str, float]:
    """Return what share of the pieces of texts became others, and what share outside of the added words."""
    total = changes = outside = 0
    for old, new in zip(before, after, strict=True):
        places = {place for index, start, end in new if index in added_ids for place in range(start, end)}
        old_only, new_only = set(old) - set(new), set(new) - set(old)
        counts = [sum(not places.issuperset(range(*span)) for _, *span in pieces) for pieces in (old_only, new_only)]
        total += len(old)
        outside += max(counts)  # some tokenizers begin a new word behind an added one: a piece comes, none goes
        changes += len(old_only) - counts[0] + max(counts)
    return {
        "share_of_pieces_changed": changes / max(1, total),
        "share_of_pieces_changed_outside_of_the_words": outside / max(1, total),
    }
