"""A bias direction of pooled vectors, and the module of sentence-transformers that takes it out.

SentDebias, Liang et al. 2020, https://arxiv.org/abs/2007.08100. Shapes: P pairs of sentences, D width, K directions.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file

from hf_embeddings.analysis.directions import bias_directions, projection
from hf_embeddings.corpora.chinese import CLASS
from hf_embeddings.corpora.counterfactual import Exchange
from hf_embeddings.corpora.sentences import split_sentences
from hf_embeddings.corpora.word_pairs import WordPair
from hf_embeddings.files.reading import read_json
from hf_embeddings.loading.pooling_files import OLD_TYPES, pooling_settings
from hf_embeddings.loading.sentence_models import MODULES
from hf_embeddings.search.dense import DENSE, IDENTITY
from hf_embeddings.search.encoder import Encoder

MOST_SENTENCES = 2000  # of a corpus
LONGEST_SENTENCE = 400  # characters
# None of them is a sentence that SEAT measures on.
FRAMES = ("{}", "They spoke about {}.", "The story begins with {}.", "We read of {} in the book.", "It was {} again.")
CHINESE_FRAMES = ("{}", "大家都在谈论{}。", "故事从{}开始。", "书里写到{}。", "今天又说起了{}。")


_CHINESE = re.compile(f"[{CLASS}]")


class PooledChange(NamedTuple):
    """What was found in pooled vectors."""

    directions: np.ndarray  # (K, D)
    explained: np.ndarray  # (K,)
    used: list[tuple[str, str]]
    left_out: list[str]
    sentences: int


def find_directions(
    encoder: Encoder, pairs: Sequence[WordPair], *, dimensions: int, texts: Iterable[str] | None
) -> PooledChange:
    """Find the directions in which sentences differ whose words are exchanged.

    Args:
        encoder: whose vectors they are.
        pairs: of words.
        dimensions: K.
        texts: documents whose sentences with such words are taken; None takes each word in frames of the package.

    Raises:
        ValueError: the vectors are cut, or the vocabulary lacks all pairs, or no sentence holds one.
    """
    recipe = encoder.recipe
    if recipe.dimension is not None:
        raise ValueError(
            f"vectors: cut to {recipe.dimension} features, in which nothing can be taken out of the whole ones; remove "
            "truncate_dim from config_sentence_transformers.json"
        )
    pairs = [pair for pair in pairs if pair[0] != pair[1]]
    unknown = set(encoder.unknown([word for pair in pairs for word in pair[:2]]))
    left_out = [" ".join(pair[:2]) for pair in pairs if unknown & set(pair[:2])]
    known = [pair for pair in pairs if not unknown & set(pair[:2])]
    sides = list(_in_frames(known) if texts is None else _exchanged(texts, known))
    if not sides:
        raise ValueError(
            "--pairs: the vocabulary spells no pair, expected some; give pairs of the model's languages"
            if texts is None
            else "--text: no sentence holds a word of the pairs, expected some; give another corpus"
        )
    whole = replace(recipe, normalize=False, rescale=False)
    encoder.recipe = whole
    try:
        first, second = (encoder.encode([side[number] for side in sides]) for number in (0, 1))
    finally:
        encoder.recipe = recipe
    directions, explained = bias_directions(first, second, dimensions)
    return PooledChange(directions, explained, [(pair[0], pair[1]) for pair in known], left_out, len(sides))


def _in_frames(pairs: Sequence[WordPair]) -> Iterator[tuple[str, str]]:
    for first, second, *_ in pairs:
        for frame in CHINESE_FRAMES if _CHINESE.match(first) else FRAMES:
            yield frame.format(first), frame.format(second)


def _exchanged(texts: Iterable[str], pairs: Sequence[WordPair]) -> Iterator[tuple[str, str]]:
    exchange, count = Exchange(pairs), 0
    for text in texts:
        for sentence in split_sentences(text):
            sentence = " ".join(sentence.split())
            if len(sentence) <= LONGEST_SENTENCE and (other := exchange(sentence)) != sentence:
                yield sentence, other
                count += 1
                if count == MOST_SENTENCES:
                    return


def write_projection(folder: Path, directions: np.ndarray) -> None:
    """Put a Dense module behind the pooling of a directory that takes directions (K, D) out of its vectors.

    A directory that states no modules gets those that it is read with: the mean of its tokens, at length 1.
    """
    path, width = folder / MODULES, directions.shape[1]
    if path.is_file():
        modules = list(read_json(path))
    else:
        (folder / "1_Pooling").mkdir()
        _write(folder / "1_Pooling" / "config.json", pooling_settings(("mean",), width))
        kinds = ("Transformer", "Pooling", "Normalize")
        modules = [{"path": f"{n}_{kind}" if n else "", "type": f"{OLD_TYPES}{kind}"} for n, kind in enumerate(kinds)]
    normalize = [number for number, module in enumerate(modules) if str(module["type"]).endswith(".Normalize")]
    place = normalize[0] if normalize else len(modules)
    taken = {str(module["path"]) for module in modules}
    name = next(name for number in range(place, 99) if (name := f"{number}_{DENSE}") not in taken)
    modules.insert(place, {"path": name, "type": f"{OLD_TYPES}{DENSE}"})
    _write(path, [module | {"idx": n, "name": str(n)} for n, module in enumerate(modules)])
    (folder / name).mkdir()
    settings = {"in_features": width, "out_features": width, "bias": False, "activation_function": IDENTITY}
    _write(folder / name / "config.json", settings)
    matrix = torch.from_numpy(projection(directions)).float().contiguous()
    save_file({"linear.weight": matrix}, folder / name / "model.safetensors", metadata={"format": "pt"})


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8", newline="\n")
