"""Load tokenizers, configs and models of any source; code that lies beside them is never run, and nothing is asked.

Every call of an Auto class of transformers on what a user names stands here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import transformers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.tokenization_auto import get_tokenizer_config

from hf_embeddings.loading.messages import no_bars

_PLAIN = ("TokenizersBackend", "PreTrainedTokenizerFast")  # what transformers takes where it does not know a class
_CODE = ("custom code", "trust_remote_code")  # words of transformers where only code of the source's own would do


class OwnCode(ValueError):
    """A source needs code of its own: which part of it, and what to do."""


def open_tokenizer(source: str | Path, **options: Any) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a directory or Hub id; `options` are more arguments of `from_pretrained`.

    Raises:
        OwnCode: its class is code of its own. transformers would take a plain class, with perhaps other ids.
    """
    with _own_code_named(source, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, **options)
    if tokenizer.init_kwargs.get("auto_map") and type(tokenizer).__name__ in _PLAIN:
        class_name = get_tokenizer_config(source, **options).get("tokenizer_class")
        if class_name is None or not hasattr(transformers, class_name):
            raise _own_code(source, f"tokenizer {class_name or ''}".rstrip())
    return tokenizer


def open_config(source: str | Path, **options: Any) -> PreTrainedConfig:
    """Return the config of a directory or Hub id; `options` are more arguments of `from_pretrained`.

    Raises:
        OwnCode: its class is code of its own.
    """
    with _own_code_named(source, "model"):
        return AutoConfig.from_pretrained(source, trust_remote_code=False, **options)


def open_model(source: str | Path, auto_class: str = "AutoModel", **options: Any) -> Any:  # noqa: ANN401  as asked for
    """Return what `from_pretrained` of an Auto class returns; `options` are more arguments of it.

    Raises:
        OwnCode: its class is code of its own.
    """
    with _own_code_named(source, "model"), no_bars():
        return getattr(transformers, auto_class).from_pretrained(source, trust_remote_code=False, **options)


def build_model(config: PreTrainedConfig) -> PreTrainedModel:
    """Return the encoder that a config stands for, with random weights, or none on the meta device."""
    return AutoModel.from_config(config, trust_remote_code=False)


@contextmanager
def _own_code_named(source: str | Path, part: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        if not all(word in str(error) for word in _CODE):
            raise
        raise _own_code(source, part) from None


def _own_code(source: str | Path, part: str) -> OwnCode:
    return OwnCode(
        f"{source}: its {part} is code of its own (auto_map), which is never run; expected classes of transformers; "
        "take another model, or one that hf-embeddings convert has made of it"
    )
