"""A teacher and its students: word similarity, retrieval on texts that no student learned from, and encoding speed.

    hf-embeddings example words data/words
    python -m benchmarks.distillation runs/minilm runs/three runs/narrow --words data/words

Retrieval: the public names of packages of the standard library and their docstrings; a name is to find its text.
Speed: CPU time on 64 of these texts, cut at 64 tokens. Models take turns; the figure is the median of the ratios to
the teacher.
Set OMP_NUM_THREADS=1.
"""

import argparse
import statistics
import time
from collections import Counter
from pathlib import Path

import torch

from hf_embeddings.analysis.similarity import agreement
from hf_embeddings.embedding.judging import Judge, figures_in_words
from hf_embeddings.embedding.options import DataOptions
from hf_embeddings.embedding.rows import read_rows
from hf_embeddings.evaluation.test_sets import read_scored_pairs
from hf_embeddings.hardware import describe
from hf_embeddings.search.encoder import Encoder

PACKAGES = "pydoc:json,logging,asyncio,email,unittest,argparse,pathlib,collections,threading,subprocess"
LENGTH = 64  # tokens
TEXTS = 64  # of a round


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+", help="directories of models, the teacher first")
    parser.add_argument("--words", type=Path, required=True, help="folder with word sets")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    options = DataOptions(source=PACKAGES, columns=["title", "text"])
    rows = read_rows(options, options.source, options.columns, Counter())
    judge, texts = Judge(rows), [row.texts[1] for row in rows][:TEXTS]
    encoders = {folder.name: Encoder.load(folder, precision="fp32", max_length=LENGTH) for folder in arguments.models}
    seconds: dict[str, list[float]] = {name: [] for name in encoders}
    for _ in range(arguments.rounds + 1):  # the first one also prepares
        for name, encoder in encoders.items():
            began = time.process_time()
            encoder.encode(texts)
            seconds[name].append(time.process_time() - began)
    teacher = next(iter(seconds.values()))[1:]
    print(f"{describe()}, {torch.get_num_threads()} threads")  # noqa: T201
    for name, encoder in encoders.items():
        ratio = statistics.median(t / own for t, own in zip(teacher, seconds[name][1:], strict=True))
        words = [_similarity(encoder, path) for path in sorted(arguments.words.glob("*sim*"))]
        print(f"{name}: {', '.join(words)}; {figures_in_words(judge.figures(encoder))}; speed {ratio:.2f}")  # noqa: T201


def _similarity(encoder: Encoder, path: Path) -> str:
    firsts, seconds, scores = zip(*read_scored_pairs(path).pairs, strict=True)
    return f"{path.stem} {agreement(encoder.encode(firsts), encoder.encode(seconds), scores).spearman:.3f}"


if __name__ == "__main__":
    main()
