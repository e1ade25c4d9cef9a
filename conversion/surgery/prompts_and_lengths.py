"""What a directory states beside its weights, kept true when the model changes: prompts, and where texts are cut."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from hf_embeddings.conversion.checkpoints import read_json_object
from hf_embeddings.conversion.companion_files import SENTENCE_FILES
from hf_embeddings.conversion.rules import ConversionError

PROMPT_FILE = "config_sentence_transformers.json"
LENGTH_FILES = ("tokenizer_config.json", "tokenizer.json", *(name for name in SENTENCE_FILES if "sentence_" in name))
LENGTH_KEYS = ("max_seq_length", "model_max_length", "max_length", "Fixed")  # the last one is that of padding
UNLIMITED = 1_000_000_000  # tokens; what tokenizers without a limit state is larger


def stated_prompts(folder: Path) -> list[str]:
    """Return the prompts that sentence-transformers puts before texts."""
    prompts = read_json_object(folder / PROMPT_FILE).get("prompts") if (folder / PROMPT_FILE).is_file() else None
    return [prompt for prompt in prompts.values() if prompt] if isinstance(prompts, dict) else []


def with_prompts(texts: Sequence[str], prompts: Sequence[str]) -> list[str]:
    """Return texts as the model meets them: plain, and behind each prompt."""
    return [*texts, *(prompt + text for prompt in prompts for text in ("", *texts))]


def check_prompts(prompts: Sequence[str], old: PreTrainedTokenizerBase, new: PreTrainedTokenizerBase) -> None:
    """Raise where a new tokenizer cannot spell a prompt that the old one can.

    Raises:
        ConversionError: a prompt has an unknown token.
    """
    for prompt in prompts:
        ids = [each(prompt, add_special_tokens=False, verbose=False)["input_ids"] for each in (old, new)]
        if old.unk_token_id not in ids[0] and new.unk_token_id in ids[1]:
            raise ConversionError(
                f"tokenizer: it cannot spell {prompt!r}, a prompt in {PROMPT_FILE}; take one that can, or remove the "
                "prompt from the file"
            )


def follow_length(folder: Path, before: int, after: int) -> dict[str, tuple[int, int]]:
    """Let each file that states where texts are cut follow the model from `before` to `after` tokens.

    What is cut at the model's end is still cut at its end. A shorter limit, which is part of how the model was trained,
    stays where the model still reaches it.

    Returns:
        File and key -> the limit in tokens, before and now.
    """
    limits: dict[str, tuple[int, int]] = {}
    for name in LENGTH_FILES:
        path = folder / name
        if not path.is_file():
            continue
        content, has_changes = read_json_object(path), False
        for place, key in list(_lengths(content)):
            limit = place[key]
            place[key] = after if limit >= before else min(limit, after)
            limits[f"{name} {key}"] = limit, place[key]
            has_changes |= place[key] != limit
        if has_changes:
            path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    return limits


def _lengths(content: Any) -> Iterator[tuple[dict[str, Any], str]]:  # noqa: ANN401  what JSON holds
    """Yield the objects and keys that state a length."""
    for key, value in content.items() if isinstance(content, dict) else ():
        if key in LENGTH_KEYS and isinstance(value, int) and not isinstance(value, bool) and 0 < value < UNLIMITED:
            yield content, key
        elif key not in ("vocab", "added_tokens", "model"):
            yield from _lengths(value)
