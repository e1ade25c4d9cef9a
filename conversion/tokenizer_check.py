"""Compare the tokenizers of two directories: the same weights are worth nothing where a text becomes other ids."""

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from hf_embeddings.conversion.rules import ConversionError
from hf_embeddings.loading.auto_classes import OwnCode, open_tokenizer
from hf_embeddings.loading.messages import quiet_loading

SEGMENTS = "token_type_ids"
TEXTS = (
    "The token, the position and the segment are added up.",
    "Which of the three knows the ORDER of 1,024 words?  (Naïve café;\tÅngström)\n\nNew line: e-mail@example.org",
    "猫追狗，狗追猫：词相同，顺序不同。",
    "今日はいい天気ですね。東京タワーへ行きました。",
    "오늘은 날씨가 좋네요. ภาษาไทย हिन्दी العربية עברית",
    "Die Katze jagt den Hund. Η γάτα και ο σκύλος. Кошка и собака. İstanbul 👩‍👧 🙂",
    "",
)


def compare_tokenizers(source: Path, target: Path, *, segments: bool) -> str:
    """Tokenize the same texts with both directories, and say in a few words what was found.

    Args:
        source: a directory that was converted.
        target: what was made of it.
        segments: whether the target's model has segments; where it has none, its tokenizer must not return any.

    Raises:
        ConversionError: the target's tokenizer does not load, or gives other ids, names or special tokens.
        OwnCode: that of the source is code of its own.
    """
    ours, reason = _load(target)
    theirs, source_reason = _load(source)
    if ours is None:
        return _unloaded(source, reason)
    if theirs is None:
        return f"not compared: that of the source does not load here ({source_reason})"
    with quiet_loading():
        their_facts, our_facts = (_facts(tokenizer, segments=segments) for tokenizer in (theirs, ours))
    for what in their_facts:
        if their_facts[what] != our_facts[what]:
            raise ConversionError(
                f"tokenizer: {what} is {_short(our_facts[what])} after conversion ({type(ours).__name__}), expected "
                f"{_short(their_facts[what])} as in the source ({type(theirs).__name__}); save the source's tokenizer "
                "again with save_pretrained, and convert once more"
            )
    if not segments and SEGMENTS in ours.model_input_names:
        raise ConversionError(
            f"tokenizer: returns {SEGMENTS} ({type(ours).__name__}), and the model has no segments; name its "
            "model_input_names in tokenizer_config.json"
        )
    return f"same ids on {len(TEXTS)} texts ({type(ours).__name__})"


def check_tokenizer(source: Path, target: Path) -> str:
    """Load the tokenizer that was made once, and say in a few words what was found.

    Raises:
        ConversionError: it does not load.
        OwnCode: that of the source is code of its own.
    """
    _load(source)
    ours, reason = _load(target)
    return "not compared" if ours is not None else _unloaded(source, reason)


def _load(folder: Path) -> tuple[PreTrainedTokenizerBase | None, str | ImportError]:
    """Return the tokenizer, or None and the reason why it does not load."""
    try:
        with quiet_loading():
            return open_tokenizer(folder, local_files_only=True), ""
    except (OwnCode, MemoryError):
        raise
    except ImportError as error:
        return None, error
    except BaseException as error:  # the tokenizers library ends in Rust's panics, too, which are no Exceptions
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return None, (" ".join(str(error).split()) or type(error).__name__)[:200]


def _unloaded(source: Path, reason: str | ImportError) -> str:
    """Say that a package is missing here, or refuse a tokenizer that nobody could load."""
    if isinstance(reason, ImportError):
        return f"not loaded: it needs a package that is not installed here ({' '.join(str(reason).split())[:200]})"
    raise ConversionError(
        f"{source}: its tokenizer does not load once it is copied ({reason}); save it again with save_pretrained, or "
        "remove its files to convert the weights alone"
    )


def _facts(tokenizer: PreTrainedTokenizerBase, *, segments: bool) -> dict[str, object]:
    """Return everything that decides what a model is given, by a name for the error."""
    facts: dict[str, object] = {name: getattr(tokenizer, name) for name in ("model_max_length", "truncation_side")}
    facts |= {"padding_side": tokenizer.padding_side, "number of tokens": len(tokenizer)}
    facts["special tokens"] = {
        name: (str(token), tokenizer.convert_tokens_to_ids(str(token)))
        for name, token in tokenizer.special_tokens_map.items()
        if not isinstance(token, list)
    }
    for text in TEXTS:
        facts |= _encoded(f"of {text[:20]!r}", tokenizer(text), segments=segments)
    facts |= _encoded("of a pair", tokenizer(TEXTS[0], TEXTS[1]), segments=segments)
    facts |= _encoded("of a pair that is cut", tokenizer(*TEXTS[:2], truncation=True, max_length=9), segments=segments)
    if tokenizer.pad_token is not None:
        facts |= _encoded("of a padded batch", tokenizer(list(TEXTS), padding=True), segments=segments)
    return facts


def _encoded(what: str, encoding: Any, *, segments: bool) -> dict[str, object]:  # noqa: ANN401  a mapping of lists
    # A family without segments ignores those that a tokenizer returns, so its converted tokenizer returns none.
    fields = {name: value for name, value in encoding.items() if segments or name != SEGMENTS}
    return {f"input names {what}": sorted(fields)} | {f"{name} {what}": value for name, value in fields.items()}


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 90 else f"{text[:90]}..."
