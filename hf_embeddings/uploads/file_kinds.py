"""The kinds of files that may go up: their names, the place they stand in, and the parser that opens each."""

import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import hf_embeddings.model
from hf_embeddings.file_names import (
    AVERAGE,
    DIFFERENCE,
    EMBEDDING_EVALUATION,
    EMBEDDING_FIGURES,
    EMBEDDING_OPTIONS,
    FIGURES,
    FINE_TUNING,
    GENERATOR,
    OPTIMIZER,
    OPTIONS,
    ORIGIN,
    REPORTS,
    STATE,
)
from hf_embeddings.files.manifest import MANIFEST
from hf_embeddings.uploads import binary_formats as binary
from hf_embeddings.uploads import text_formats as text

CODE = tuple(path.name for path in Path(hf_embeddings.model.__file__).parent.glob("*.py") if path.name != "__init__.py")
RECORDS = (
    OPTIONS,
    EMBEDDING_FIGURES,
    EMBEDDING_OPTIONS,
    FIGURES,
    ORIGIN,
    *REPORTS,
    EMBEDDING_EVALUATION,
    FINE_TUNING,
)  # written by this package or by Trainer
OF_ITS_RUN = (STATE, MANIFEST)  # what a checkpoint says of its run, with the paths that the next start compares


Parser = Callable[[Path], list[binary.Buffer]]  # from a file to what is to be searched


class Kind(NamedTuple):
    """Files that one parser opens, by their names."""

    parser: Parser
    names: tuple[str, ...]  # patterns of paths; a star does not cross a slash


# In the folder of the model, and in those of the modules that a sentence-transformers model lists.
_OF_A_MODEL = (
    Kind(binary.read_safetensors, ("model.safetensors", "model.*.safetensors", "model-*-of-*.safetensors")),
    Kind(binary.read_safetensors, ("adapter_model.safetensors",)),
    Kind(text.read_json, ("config.json", "generation_config.json", "*.safetensors.index.json", "adapter_config.json")),
    Kind(text.read_json, ("tokenizer_config.json", "special_tokens_map.json", "*processor_config.json")),
    Kind(text.read_json, ("sentence_*_config.json",)),
    Kind(text.read_tokenizer, ("tokenizer.json",)),
    Kind(text.read_token_table, ("vocab.json", "added_tokens.json")),
    Kind(text.read_tokens, ("vocab.txt",)),
    Kind(text.read_merges, ("merges.txt",)),
    Kind(binary.read_sentencepiece, ("*.model",)),
    Kind(binary.read_onnx, ("*.onnx",)),
    Kind(text.read_text, ("chat_template.jinja",)),
)
_BESIDE_IT = (
    Kind(text.read_record, (*RECORDS, "*_results.json", "trainer_state.json")),
    Kind(text.read_json, ("modules.json", "config_sentence_transformers.json", "data_config.json")),
    Kind(text.read_text, ("*.md", "LICENSE", "LICENSE.txt", "NOTICE", "NOTICE.txt", ".gitattributes")),
    Kind(text.read_yaml, ("CITATION.cff", ".eval_results/*.yaml")),
    Kind(text.read_python, CODE),
    Kind(binary.read_onnx, ("onnx/*.onnx",)),
    Kind(binary.read_events, ("tensorboard/events.out.tfevents.*", "tensorboard/*/events.out.tfevents.*")),
    Kind(binary.read_events, ("runs/*/events.out.tfevents.*", "runs/*/*/events.out.tfevents.*")),
    Kind(binary.read_png, ("*.png", "figures/*.png", "images/*.png", "assets/*.png", "pictures/*.png")),
    Kind(text.read_svg, ("*.svg", "figures/*.svg", "images/*.svg", "assets/*.svg", "pictures/*.svg")),
)
# What another start resumes from: a checkpoint with the state of its optimizer, as its manifest lists it.
_OF_A_CHECKPOINT = (
    Kind(binary.read_safetensors, (OPTIMIZER, AVERAGE, DIFFERENCE)),
    Kind(text.read_record, OF_ITS_RUN),
)

_UNKNOWN = {  # why a file is none of these, where its name tells
    "a pickle, which can run code when it is loaded": r".*\.(bin|pt|pth|pkl|pickle|ckpt|joblib|dill|npy|npz)",
    "of a checkpoint of a training run": r"(.*/)?(checkpoint|step|global_step)-?\d+/.*|(.*/)?last-checkpoint/.*",
    "the state of an optimizer, a scheduler or a random generator": r"(.*/)?(optimizer|scheduler|rng_state)[._].*",
    "a file for secrets": r"(.*/)?(\.(env|netrc|npmrc|pypirc).*|id_[a-z0-9]+|.*credentials.*|.*\.(pem|p12|pfx|key))",
    "an archive, which may hold anything": r".*\.(zip|gz|tgz|bz2|xz|zst|7z|tar|rar|whl)",
}


def parser_of(path: str, modules: Iterable[str] = (), *, checkpoint: bool = False) -> Parser | None:
    """Return what opens a file; None for one of no known kind.

    Args:
        path: of the file, below the folder of the model.
        modules: folders that may hold a model or a part of one, as `modules.json` lists them.
        checkpoint: whether the folder is a checkpoint that a run resumes from.
    """
    kinds = (*_OF_A_MODEL, *_BESIDE_IT, *(_OF_A_CHECKPOINT if checkpoint else ()))
    folder, _, name = path.rpartition("/")
    if folder == GENERATOR:  # a model directory of its own
        kinds, path = (*_OF_A_MODEL, *_BESIDE_IT), name
    elif folder and folder in modules:
        kinds, path = _OF_A_MODEL, name
    return next((kind.parser for kind in kinds if any(matches_path(path, pattern) for pattern in kind.names)), None)


def matches_path(path: str, pattern: str) -> bool:
    """Tell whether a path matches a pattern as in a shell: a star crosses no slash, and begins no hidden name."""
    parts, patterns = path.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(
        fnmatchcase(part, want) and (not part.startswith(".") or want.startswith("."))
        for part, want in zip(parts, patterns, strict=True)
    )


def describe_unknown(path: str) -> str:
    """Return why a file of no known kind should not go up."""
    reasons = (why for why, names in _UNKNOWN.items() if re.fullmatch(names, path, re.IGNORECASE))
    return next(reasons, "of no kind that is known to be harmless")
