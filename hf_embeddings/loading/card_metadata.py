"""What a model card says to machines: its front matter."""

from pathlib import Path
from typing import Any

from huggingface_hub.repocard import REGEX_YAML_BLOCK

from hf_embeddings.files.reading import parse_yaml, read_text

LICENSE = ("license", "license_name", "license_link")


def read_metadata(card: Path) -> dict[str, Any]:
    """Return the names, and the lists of names, in the front matter of a model card; none where it cannot be read."""
    try:
        block = front_matter(read_text(card))
        values = parse_yaml(block, card) if block else {}
    except (OSError, ValueError):
        return {}
    names = {name: _names(value) for name, value in values.items()} if isinstance(values, dict) else {}
    return {name: value for name, value in names.items() if value}


def front_matter(card: str) -> str | None:
    """Return the YAML between the first two lines of `---` in a model card."""
    match = REGEX_YAML_BLOCK.search(card)
    return match[2] if match else None


def _names(value: object) -> str | list[str] | None:
    """Return text, or a list of it; Norwegian is `no`, which YAML reads as false."""
    if isinstance(value, list):
        return [name for one in value if isinstance(name := _names(one), str)]
    return "no" if value is False else value if isinstance(value, str) else None
