"""Which tokens of an old vocabulary those of a new one start from."""

from transformers import PreTrainedTokenizerBase

from hf_embeddings.corpora.word_starts import inner_pieces, split_mark, word_mark, word_pieces

ROLES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token", "bos_token", "eos_token")


def sources_of(old: PreTrainedTokenizerBase, new: PreTrainedTokenizerBase) -> tuple[list[list[int]], int]:
    """Return for each new id the old ids whose mean it starts from, and how many are the same token.

    Special tokens are the same by their role, others by their text and by where it stands: "school" is a word to
    WordPiece, and a piece within words to tokenizers that write the word as "▁school" or "Ġschool".
    """
    vocabulary, by_id = old.get_vocab(), {index: token for token, index in new.get_vocab().items()}
    roles = {getattr(new, role): getattr(old, role) for role in ROLES if getattr(new, role) and getattr(old, role)}
    if word_mark(old) == word_mark(new):
        same = {token: vocabulary[token] for token in by_id.values() if token in vocabulary}
    else:
        same = {token: vocabulary[token] for token in new.all_special_tokens if token in vocabulary}
    same |= {token: vocabulary[role] for token, role in roles.items()}
    pieces = _pieces(old, new, [token for token in by_id.values() if token not in same])
    sources, kept_rows = [], 0
    for index in range(max(by_id) + 1):
        token = by_id.get(index)
        if token in same:
            sources.append([same[token]])
        else:
            ids, equal = pieces.get(token or "", ([], False))  # an id may have no token
            sources.append(ids)
            kept_rows += equal
    return sources, kept_rows + sum(token in same for token in by_id.values())


def _pieces(
    old: PreTrainedTokenizerBase, new: PreTrainedTokenizerBase, tokens: list[str]
) -> dict[str, tuple[list[int], bool]]:
    """Cut new tokens into old pieces, as words or as what stands inside of them; say where one piece is the same."""
    marks = word_mark(old), word_mark(new)
    parts = {token: split_mark(new, token, marks[1]) for token in tokens}
    pieces: dict[str, tuple[list[int], bool]] = {}
    for inside, function in ((False, word_pieces), (True, inner_pieces)):
        members = [token for token, (text, within) in parts.items() if text and within == inside]
        for token, ids in zip(members, function(old, [parts[token][0] for token in members]), strict=True):
            ids = [index for index in ids if index != old.unk_token_id]
            single = str(old.convert_ids_to_tokens(ids[0])) if len(ids) == 1 else None
            pieces[token] = ids, single is not None and split_mark(old, single, marks[0]) == parts[token]
    return pieces
