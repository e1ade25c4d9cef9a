"""What a model card says to machines: its front matter."""

from pathlib import Path
from typing import Any

import yaml
from huggingface_hub.repocard import metadata_load

LICENSE = ("license", "license_name", "license_link")


def read_metadata(card: Path) -> dict[str, Any]:
    """Return the front matter of a model card, empty where there is none that can be read."""
    try:
        return metadata_load(card) or {}
    except (OSError, ValueError, yaml.YAMLError):
        return {}
