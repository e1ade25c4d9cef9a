"""What a lab has measured so far: a file in its output directory, so that it can go on where it stopped."""

import json
from pathlib import Path

from hf_embeddings.files.atomic import replace_text
from hf_embeddings.pretraining.options import PositionLabOptions
from hf_embeddings.records.lab import LabRecord
from hf_embeddings.typed_yaml.fields import to_dict

STATE = "position-lab.json"


class LabState:
    """What is measured so far, in the output directory."""

    def __init__(self, folder: Path, options: PositionLabOptions) -> None:
        """Read what is there.

        Raises:
            ValueError: it belongs to other options.
        """
        self.path = folder / STATE
        own = {name: value for name, value in to_dict(options).items() if name not in ("lab", "output_dir")}
        self.record = LabRecord(options=own)
        if self.path.exists():
            self.record = LabRecord.load(self.path)
            if self.record.options != own:
                raise ValueError(f"output_dir: {folder} holds a lab with other options; give those, or choose another")

    def save(self) -> None:
        """Replace the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(self.path, json.dumps(self.record.to_dict(), indent=1) + "\n")
