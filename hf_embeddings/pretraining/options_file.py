"""The options file of a pretraining run."""

from collections.abc import Sequence
from pathlib import Path

from hf_embeddings.pretraining.options import PretrainingOptions
from hf_embeddings.typed_yaml.options_file import read_options


def load_options(path: str | Path, overrides: Sequence[str] = ()) -> PretrainingOptions:
    """Read the options of a run; each of `overrides`, such as `training.max_steps=10`, beats the file.

    Raises:
        OptionsError: a mistake in the file or in an override; its place is named.
    """
    return read_options(PretrainingOptions, path, overrides)
