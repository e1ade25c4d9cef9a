"""The checkpoints that a run left, and the word vectors in each, read from the weights alone."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from hf_embeddings.analysis.geometry import unit_rows
from hf_embeddings.corpora.word_starts import is_unspaced, split_mark, word_mark, word_pieces
from hf_embeddings.loading.saved_model import read_tokenizer
from hf_embeddings.loading.stored_weights import check_finite, open_weights
from hf_embeddings.printable import counted

NEIGHBOURS = 5
TABLES = ("embeddings.token.weight", "embeddings.word_embeddings.weight")


@dataclass(frozen=True)
class WordStage:
    """Words at one checkpoint of a run."""

    name: str
    vectors: np.ndarray  # (N, D) mean rows of the words' tokens
    neighbours: list[list[tuple[str, float]]]  # of each word, the nearest others that are one token, with their cosines


def word_stages(run: Path, words: list[str]) -> list[WordStage]:
    """Return the words at each checkpoint, in order.

    Raises:
        ValueError: fewer than two checkpoints, no tokenizer, or a word that the vocabulary cannot spell.
    """
    tables = checkpoints(run)
    if len(tables) < 2:
        raise ValueError(
            f"{run}: got {counted(len(tables), 'checkpoint')} with weights, expected at least 2; train with "
            "checkpoints.save_total_limit=null"
        )
    folder = next((path for path in (run, *run.rglob("*")) if (path / "tokenizer.json").is_file()), None)
    if folder is None:
        raise ValueError(f"{run}: no tokenizer.json in it; expected the output directory of a run")
    tokenizer = read_tokenizer(folder)
    ids = word_pieces(tokenizer, words)
    unknown = [word for word, own in zip(words, ids, strict=True) if not own or tokenizer.unk_token_id in own]
    if unknown:
        raise ValueError(f"{', '.join(unknown[:5])}: the vocabulary of {run} cannot spell {len(unknown)} of the words")
    names = _names(tokenizer)
    stages = [_stage(name, token_table(path), ids, names) for name, path in tables.items()]
    if len(stages) > 2 and np.array_equal(stages[-1].vectors, stages[-2].vectors):
        del stages[-1]  # the final model is the last checkpoint
    return stages


def _stage(name: str, table: np.ndarray, ids: list[list[int]], names: dict[int, str]) -> WordStage:
    vectors = np.stack([table[own].mean(axis=0) for own in ids])
    rows = np.array([row for row in names if row < len(table)])
    cosines = unit_rows(vectors) @ unit_rows(table[rows]).T
    neighbours = []
    for own, values in zip(ids, cosines, strict=True):
        order = [place for place in values.argsort()[::-1][: NEIGHBOURS + len(own)] if rows[place] not in own]
        neighbours.append([(names[rows[place]], float(values[place])) for place in order[:NEIGHBOURS]])
    return WordStage(name, vectors, neighbours)


def _names(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """Return the words among the tokens, by their row: nothing that stands inside of words, or has no letter."""
    mark, names = word_mark(tokenizer), {}
    for token, row in tokenizer.get_vocab().items():
        text, is_inside = split_mark(tokenizer, token, mark)
        if token not in tokenizer.all_special_tokens and text.isalpha() and (not is_inside or is_unspaced(text)):
            names[row] = text
    return names


def checkpoints(run: Path) -> dict[str, Path]:
    """Return the weights below a directory by the name of their folder, in the order of its number; its own last."""
    files = {path.parent: path for path in sorted(run.rglob("model*.safetensors")) if has_table(path)}
    inner = sorted(
        (folder for folder in files if folder != run), key=lambda folder: (_number(folder.name), folder.name)
    )
    names = {folder: re.sub(r"-0+(?=\d)", "-", folder.name) for folder in inner}  # step-00000050 is step-50
    return {names[folder]: files[folder] for folder in inner} | ({"final": files[run]} if run in files else {})


def has_table(path: Path) -> bool:
    """Return whether a weights file holds a token table."""
    with open_weights(path, "np") as weights:
        return any(name.endswith(TABLES) for name in weights.keys())  # noqa: SIM118


def token_table(path: Path) -> np.ndarray:
    """Return the token table (V, D) of a weights file in fp32.

    Raises:
        ValueError: it holds NaN or infinity.
    """
    with open_weights(path) as weights:
        name = next(name for name in weights.keys() if name.endswith(TABLES))  # noqa: SIM118
        table = weights.get_tensor(name).float()
    check_finite([(name, table)], path)
    return table.numpy()


def _number(name: str) -> int:
    digits = re.findall(r"\d+", name)
    return int(digits[-1]) if digits else -1
