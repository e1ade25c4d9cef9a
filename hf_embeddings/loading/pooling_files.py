"""The settings of a 1_Pooling directory, in the form that sentence-transformers wrote before 5.4 and in the newer one.

Engines read the older form alone: text-embeddings-inference, vLLM, and sentence-transformers of those days.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

OLD_KEYS = {  # by the names of today, in the order in which vectors of several are joined
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
OLD_TYPES = "sentence_transformers.models."  # the names of modules that every release and vLLM know


def pooling_names(place: Path, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the poolings that a file states, in either form.

    Raises:
        ValueError: one is not known.
    """
    names = settings.get("pooling_mode")
    if names is None:
        names = [name for name, key in OLD_KEYS.items() if settings.get(key)] or ["mean"]
    names = [names] if isinstance(names, str) else list(names)
    if not names or not set(names) <= set(OLD_KEYS):
        raise ValueError(
            f"{place}: got pooling {' + '.join(map(str, names)) or 'none'}, expected {', '.join(OLD_KEYS)}"
        )
    return tuple(names)


def pooling_settings(names: tuple[str, ...], width: int, *, include_prompt: bool = True) -> dict[str, Any]:
    """Return settings that every reader takes as the same: the old keys, and the new one where old releases know it.

    Args:
        names: of the poolings.
        width: of the hidden states.
        include_prompt: pool the tokens of the prompt, too. It stands last: vLLM takes the first key that is true.
    """
    settings: dict[str, Any] = {"word_embedding_dimension": width}
    old_order = [name for name in OLD_KEYS if name in names]
    if list(names) == old_order:
        settings |= {key: name in names for name, key in OLD_KEYS.items()}
    if len(names) == 1 or list(names) != old_order:
        settings["pooling_mode"] = names[0] if len(names) == 1 else list(names)
    return settings | {"include_prompt": include_prompt}
