"""Cut a tokenizer down to some of its tokens, so that texts made of those are still cut in the same way."""

import json

from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerBase

from hf_embeddings.conversion.rules import Config, ConversionError


def trimmed(tokenizer: PreTrainedTokenizerBase, used_ids: set[int]) -> tuple[str, list[int]]:
    """Return the tokenizer.json of a smaller tokenizer, and the old id of each of its ids.

    Special and added tokens stay, and those of bytes, which spell what no other token does. The order stays.

    Raises:
        ConversionError: the tokenizer is not of a kind that is understood here (WordPiece, BPE, Unigram).
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ConversionError(f"{type(tokenizer).__name__}: no fast tokenizer; its tokens cannot be taken out")
    content = json.loads(backend.to_str())
    model = content["model"]
    if model["type"] not in CUTS:
        raise ConversionError(f"a {model['type']} tokenizer; expected one of {', '.join(CUTS)}")
    names = {index: token for token, index in tokenizer.get_vocab().items()}
    kept_tokens = {names[index] for index in used_ids} | {token["content"] for token in content["added_tokens"]}
    kept_tokens |= {token for token in tokenizer.all_special_tokens if token in tokenizer.get_vocab()}
    kept_tokens |= _bytes(content) & set(names.values())
    kept_tokens = CUTS[model["type"]](model, kept_tokens)
    for step in _processors(content.get("post_processor")):
        kept_tokens |= {token for special in (step.get("special_tokens") or {}).values() for token in special["tokens"]}
    order = [index for index in sorted(names) if names[index] in kept_tokens]
    new = {names[index]: place for place, index in enumerate(order)}
    _renumber(content, new)
    return json.dumps(content, ensure_ascii=False), order


def _bytes(content: Config) -> set[str]:
    """Return the tokens of bytes, where the tokenizer falls back to them or consists of them."""
    if content["model"].get("byte_fallback"):
        return {f"<0x{number:02X}>" for number in range(256)}
    return set(ByteLevel.alphabet()) if '"ByteLevel"' in json.dumps(content["pre_tokenizer"]) else set()


def _cut_word_pieces(model: Config, kept_tokens: set[str]) -> set[str]:
    """Longest match first: what was the longest match still is when others are gone."""
    model["vocab"] = {token: 0 for token in model["vocab"] if token in kept_tokens}
    return kept_tokens


def _cut_unigram(model: Config, kept_tokens: set[str]) -> set[str]:
    """Most likely path: the best of all paths is still the best of fewer."""
    unknown = model["vocab"][model["unk_id"]][0] if model.get("unk_id") is not None else None
    kept_tokens = kept_tokens | ({unknown} if unknown else set())
    model["vocab"] = [entry for entry in model["vocab"] if entry[0] in kept_tokens]
    if unknown:
        model["unk_id"] = [entry[0] for entry in model["vocab"]].index(unknown)
    return kept_tokens


def _cut_bpe(model: Config, kept_tokens: set[str]) -> set[str]:
    """Merges: what a token is merged from must stay too, down to single symbols."""
    merges = [tuple(merge.split(" ") if isinstance(merge, str) else merge) for merge in model["merges"]]
    parents: dict[str, list[tuple[str, str]]] = {}
    for left, right in merges:
        parents.setdefault(left + right, []).append((left, right))
    waiting, kept_tokens = list(kept_tokens), set(kept_tokens)
    while waiting:
        for pair in parents.get(waiting.pop(), []):
            for part in pair:
                if part not in kept_tokens:
                    kept_tokens.add(part)
                    waiting.append(part)
    model["vocab"] = {token: 0 for token in model["vocab"] if token in kept_tokens}
    model["merges"] = [list(pair) for pair in merges if {*pair, "".join(pair)} <= kept_tokens]
    return kept_tokens


def _renumber(content: Config, new: dict[str, int]) -> None:
    """Give all parts of a tokenizer.json the new ids."""
    model = content["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {token: new[token] for token in sorted(model["vocab"], key=new.__getitem__)}
    for token in content["added_tokens"]:
        token["id"] = new[token["content"]]
    content["added_tokens"].sort(key=lambda token: token["id"])
    for step in _processors(content.get("post_processor")):
        for special in (step.get("special_tokens") or {}).values():
            special["ids"] = [new[token] for token in special["tokens"]]
        for side in ("sep", "cls"):
            if isinstance(step.get(side), list):
                step[side] = [step[side][0], new[step[side][0]]]


def _processors(step: Config | None) -> list[Config]:
    if step is None:
        return []
    return [step, *(inner for part in step.get("processors", []) for inner in _processors(part))]


CUTS = {"WordPiece": _cut_word_pieces, "Unigram": _cut_unigram, "BPE": _cut_bpe}
