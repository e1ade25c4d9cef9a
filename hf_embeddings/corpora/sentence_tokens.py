"""Tokens that end a sentence, for position types that ask which sentence a token is in."""

import re

from transformers import PreTrainedTokenizerBase

from hf_embeddings.corpora import stops
from hf_embeddings.model.configuration_triembed import TriEmbedConfig

_END = re.compile(rf"[{stops.DOTS}{stops.STOPS}…]+")
# Enough to find the pieces of every script's stops; a class of characters cannot be listed.
_CANDIDATES = [chr(code) for code in range(0x21, 0x10000) if _END.fullmatch(chr(code))]


def sentence_end_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the ids of tokens that are one stop, at the start of a word or within it, and nothing else."""
    found = set()
    for stop in (*_CANDIDATES, "\n"):
        for text in (stop, f"a{stop}"):
            ids = tokenizer.encode(text, add_special_tokens=False)
            if ids and ids[-1] not in tokenizer.all_special_ids and _is_end(tokenizer, ids[-1], stop):
                found.add(ids[-1])
    return sorted(found)


def set_sentence_ends(config: TriEmbedConfig, tokenizer: PreTrainedTokenizerBase, *, anew: bool = False) -> None:
    """Give the position types of a config the separators of a tokenizer, where it names none; `anew`: in any case."""
    for name, part in config.position_classes.items():
        options = (config.position_parameters or {}).get(name, {})
        if part.segmented and (anew or options.get("separators") is None):
            own = {name: options | {"separators": sentence_end_ids(tokenizer)}}
            config.position_parameters = (config.position_parameters or {}) | own


def _is_end(tokenizer: PreTrainedTokenizerBase, token: int, stop: str) -> bool:
    text = str(tokenizer.decode([token])).strip(" ").removeprefix("##")
    return text == stop
