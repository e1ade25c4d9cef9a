"""A tokenizer for which control tokens in a text are text: `<mask>` on a web page is six letters and no mask."""

import json
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

# Their ids are put into examples by us. All other tokens that a user added are tokens wherever they stand.
CONTROL_TOKENS = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token", "bos_token", "eos_token")
HIDDEN = "\0"  # before a name that no text can have, for sources hold no NUL
# A name such as <0x41> in a text is cut in two, so that no model finds the token of a byte in it: byte fallback looks
# these tokens up by their names, which therefore stay. The cut comes last, after what puts signs before words.
_NO_BYTES = {
    "type": "Split",
    "pattern": {"Regex": "<(?=0x[0-9A-F]{2}>)"},
    "behavior": "MergedWithPrevious",
    "invert": False,
}


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Return the names of the control tokens of a tokenizer."""
    return {str(token) for name in CONTROL_TOKENS if (token := getattr(tokenizer, name, None))}


def added_tokens(tokenizer: PreTrainedTokenizerBase) -> list[dict[str, Any]]:
    """Return the tokens beside the vocabulary that are no control tokens, as tokenizer.json describes them."""
    control, content = control_tokens(tokenizer), json.loads(tokenizer.backend_tokenizer.to_str())
    return [token for token in content["added_tokens"] if token["content"] not in control]


def literal_backend(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """Return a tokenizer with the same ids that makes no control token or byte of text, and a token of each added one.

    The names of control tokens are changed everywhere: a flag would not keep a vocabulary from holding them, where
    Unigram finds them as pieces like any other.
    """
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    names = {name for name in control_tokens(tokenizer) if len(name) > 1}  # one letter has to stay a letter

    def hidden(piece: str) -> str:
        return HIDDEN + piece if piece in names else piece

    for token in content["added_tokens"]:
        token["special"] = token["content"] in names
        token["content"] = hidden(token["content"])
    model = content["model"]
    if isinstance(model["vocab"], list):
        model["vocab"] = [[hidden(piece), score] for piece, score in model["vocab"]]
    else:
        model["vocab"] = {hidden(piece): number for piece, number in model["vocab"].items()}
    if model.get("unk_token"):
        model["unk_token"] = hidden(model["unk_token"])
    if model.get("merges"):
        model["merges"] = [pair for pair in model["merges"] if not _makes(pair, names)]
    if model.get("byte_fallback"):
        splitters = [content["pre_tokenizer"]] if content["pre_tokenizer"] else []
        content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [*splitters, _NO_BYTES]}
    return Tokenizer.from_str(json.dumps(content | dict.fromkeys(("post_processor", "truncation", "padding"))))


def _makes(pair: list[str] | str, names: set[str]) -> bool:
    """Tell whether a merge of BPE reads or makes one of the names."""
    first, second = pair.split(" ") if isinstance(pair, str) else pair
    return not names.isdisjoint((first, second, first + second))
