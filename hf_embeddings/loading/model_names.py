"""The places that verbs are given, looked at before anything heavy is loaded: a mistake is answered at once."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from hf_embeddings.files.reading import not_a_directory

Pooling = Literal["mean", "cls", "max"]
FILE_SUFFIXES = frozenset(
    ".bin .ckpt .csv .gz .h5 .json .jsonl .md .onnx .parquet .pt .pth .py .safetensors .tsv .txt .yaml .zip".split()
)


def check_model(folder: str | Path, description: str = "the directory of a model") -> None:
    """Raise where a path is no directory with a model.

    Raises:
        ValueError: there is no directory, or no config.json in it.
    """
    if not (Path(folder) / "config.json").is_file():
        if (Path(folder) / "adapter_config.json").is_file():
            raise ValueError(
                f"{folder}: an adapter of PEFT, expected {description}; merge it into its model (merge_and_unload) and "
                "save that with save_pretrained"
            )
        problem = "no config.json in it" if Path(folder).is_dir() else not_a_directory(folder)
        raise ValueError(f"{folder}: {problem}; expected {description}")
    refuse_onnx_only(folder)


def refuse_onnx_only(folder: str | Path) -> None:
    """Raise ValueError where a directory holds what was exported from a model, and no weights of it."""
    place = Path(folder)
    if (place / "onnx").is_dir() and not any(path.suffix in (".safetensors", ".bin") for path in place.iterdir()):
        raise ValueError(
            f"{folder}: holds ONNX files only, expected a model; give the one that they were exported from"
        )


def check_model_or_id(name: str, option: str) -> None:
    """Raise where a name is neither the directory of a model nor may be an id of the Hub.

    Raises:
        ValueError: there is no such directory, or no model in it.
    """
    if Path(name).is_dir():
        check_model(name)
    elif not is_hub_id(name):
        raise ValueError(f"{option} {name}: {not_a_directory(name)}, and no id of the Hub (USER/NAME); check the path")
    else:
        fetch(name, ["config.json"])


def fetch(name: str, patterns: Sequence[str], *, ignored: Sequence[str] = (), revision: str | None = None) -> Path:
    """Return the directory with some files of a repository of the Hub, or those that were fetched from it before.

    Raises:
        ValueError: they cannot be had; a mistyped name of a directory is the likely cause.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(name, revision=revision, allow_patterns=list(patterns), ignore_patterns=list(ignored))
        )
    except Exception as error:  # the hub client has many of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{name}: no such directory, and the Hub cannot give it ({reason}); check the name") from None


def is_hub_id(name: str) -> bool:
    """Tell whether a name may be one of a repository of the Hub, rather than a path, mistyped perhaps.

    A name that ends as a file does is a path, and so is one whose first part is a directory that is there: without a
    connection, the Hub is asked for half a minute before it is said that there is no `runs/dmeo`.
    """
    path = Path(name)
    if path.exists() or path.suffix.lower() in FILE_SUFFIXES or not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name):
        return False
    return path.parent == Path() or not path.parent.is_dir()
