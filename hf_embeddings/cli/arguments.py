"""The arguments of verbs, made right before they run: places with `~` expanded, words that are text.

Every parameter that holds text is in one of the two tables; a new one has to be entered.
"""

from pathlib import Path

from hf_embeddings.files.home_folder import expand_home

PLACES = frozenset(
    "analogies api_key_file bias config corpus file folder model options_file out pairs plot rerank resume retrieval "
    "run similarity source specific target teacher text tokenizer tokens_file translations vectors".split()
)
PLACES_OF = {verb: {"text": False} for verb in ("explain", "plot sum", "plot attention")}  # there it is a text
WORDS = frozenset(
    "allow_origin base_model color_by device drop exclude export family fixed head host id_field ids ignore_key "
    "include minimal_pairs mteb name overrides pair position_parameters prompt queries repo_id revision "
    "rope_parameters task text text_field to token types where word_list".split()
)


def meant_value(verb: str, name: str, value: object) -> object:
    """Return an argument of a verb as it is meant.

    Raises:
        ValueError: a word holds bytes that are no text.
    """
    if isinstance(value, list):
        return [meant_value(verb, name, one) for one in value]
    if is_place(verb, name):
        if isinstance(value, str | Path):
            return type(value)(expand_home(str(value)))
    elif isinstance(value, str):
        return _text(name, value)
    return value


def is_place(verb: str, name: str) -> bool:
    """Tell whether a parameter of a verb names a place on the disk."""
    return name in PLACES and PLACES_OF.get(verb, {}).get(name, True)


def _text(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        byte = ord(value[error.start]) - 0xDC00
        raise ValueError(f"{name} {value!r}: got the byte {byte:#04x}, expected UTF-8 text; convert it") from None
    return value
