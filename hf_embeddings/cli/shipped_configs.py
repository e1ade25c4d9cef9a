"""Config files by the names that README and docs use, wherever the package is installed, and what they name in turn."""

import importlib.util
from pathlib import Path

from hf_embeddings.corpora.sources import check_source
from hf_embeddings.files.reading import not_a_directory
from hf_embeddings.pretraining.architecture import read_architecture
from hf_embeddings.pretraining.options import PretrainingOptions


def find_config(name: str) -> Path:
    """Return `name` as a path, or, where it begins with `configs/`, that file among those that the package ships."""
    path = Path(name)
    if path.exists() or path.parts[:1] != ("configs",):
        return path
    spec = importlib.util.find_spec("hf_embeddings.configs")
    shipped_path = Path(spec.origin).parent.joinpath(*path.parts[1:]) if spec and spec.origin else path
    return shipped_path if shipped_path.exists() else path


def check_run(options: PretrainingOptions) -> None:
    """Look for what the options of a run name, before anything heavy is loaded for it.

    Raises:
        ValueError: the base of the model, or a source of documents, is not there.
    """
    read_architecture(find_config(options.model.base))
    if (folder := options.corpus.prepared) is None:
        for part in options.corpus.parts():
            check_source(part.source)
    elif not Path(folder).is_dir():
        problem = not_a_directory(folder)
        raise ValueError(f"corpus.source: {folder}: {problem}, expected what `prepare` made; check the path")
