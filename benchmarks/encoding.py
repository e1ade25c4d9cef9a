"""Encoding speed beside sentence-transformers, ONNX Runtime and OpenVINO: the same weights and texts, in turns.

Start: python -m benchmarks.encoding SOURCE CONVERTED [--sizes 512 2048] [--rounds 5] [--threads 1] [--output FILE]
Expect: a table of ratios, medians over interleaved rounds; about 10 minutes on 2 quiet cores.

SOURCE is a sentence-transformers directory, CONVERTED the same checkpoint as TriEmbed (`hf-embeddings convert`). The
texts are paragraphs of the docstrings of installed packages, so of natural lengths; tokenizing stands inside the timing
of everybody. The clock is the processor time of the process: on a machine that others use too it says what the work
costs, where the time on the wall says how busy the others are. With one thread both are the same on a quiet machine.
Before anything is timed, fp32 must give the vectors of sentence-transformers within 1e-5; the fidelity of the other
precisions is the rank correlation of all pairwise similarities to those of fp32.
"""

import argparse
import importlib.util
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import transformers

from hf_embeddings.corpora.sources import read_documents
from hf_embeddings.hardware import bf16_is_fast, describe
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.precision import PRECISIONS

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Encode = Callable[[list[str]], np.ndarray]
PEER = "sentence-transformers"


def read_texts(packages: str, count: int) -> list[str]:
    """Return paragraphs of docstrings, spread over the packages, none twice."""
    paragraphs = dict.fromkeys(
        text.strip() for document in read_documents(packages) for text in document.split("\n\n") if text.strip()
    )
    numbers = np.random.default_rng(0).permutation(len(paragraphs))[:count]
    texts = list(paragraphs)
    return [texts[number] for number in numbers]


def contestants(source: str, checkpoint: str, peers: list[str]) -> dict[str, Encode]:
    """Return an encoding function for each contestant that is installed."""
    from sentence_transformers import SentenceTransformer

    stock = SentenceTransformer(source, device="cpu")
    encoders: dict[str, Encode] = {PEER: lambda texts: stock.encode(texts, normalize_embeddings=True)}
    for precision in (name for name in PRECISIONS if name != "bf16" or bf16_is_fast()):
        encoder = Encoder.load(checkpoint, precision=precision)
        encoders[f"ours, {precision}"] = encoder.encode
    for name, build in (("onnxruntime", _onnxruntime), ("openvino", _openvino)):
        if name in peers and importlib.util.find_spec(name) and importlib.util.find_spec("onnx"):
            encoders |= build(stock)
    return encoders


def fidelity(vectors: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Return Spearman's correlation of all pairwise similarities, and the least cosine of a vector to its reference."""
    from scipy.stats import spearmanr

    pairs = np.triu_indices(len(vectors), k=1)
    correlation = spearmanr((vectors @ vectors.T)[pairs], (reference @ reference.T)[pairs]).statistic
    return float(correlation), float((vectors * reference).sum(1).min())


def measure(encoders: dict[str, Encode], texts: list[str], rounds: int) -> dict[str, list[float]]:
    """Return the processor seconds of each encoder in each round; they take turns, starting with another each time."""
    seconds: dict[str, list[float]] = {name: [] for name in encoders}
    names = list(encoders)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            start = time.process_time()
            encoders[name](texts)
            seconds[name].append(time.process_time() - start)
    return seconds


class _Traceable(torch.nn.Module):
    """A BERT with nothing but tensors at its border."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state


def _export(stock: "SentenceTransformer") -> bytes:
    """Return the transformer of a SentenceTransformer as ONNX with free batch and length."""
    import io

    model = transformers.AutoModel.from_pretrained(
        stock[0].auto_model.config._name_or_path, attn_implementation="eager"
    )
    names = ["input_ids", "attention_mask", "token_type_ids"]
    example = tuple(torch.ones(2, 7, dtype=torch.long) for _ in names)
    buffer = io.BytesIO()
    axes = {name: {0: "batch", 1: "length"} for name in [*names, "last_hidden_state"]}
    torch.onnx.export(
        _Traceable(model.eval()),
        example,
        buffer,
        input_names=names,
        output_names=["last_hidden_state"],
        dynamic_axes=axes,
        dynamo=False,
    )
    return buffer.getvalue()


def _padded(stock: "SentenceTransformer", run: Callable[[dict[str, np.ndarray]], np.ndarray]) -> Encode:
    """Return an encoder that sorts, pads batches of 32 and averages, as sentence-transformers does, around `run`."""

    def encode(texts: list[str]) -> np.ndarray:
        order = np.argsort([-len(text) for text in texts])
        vectors = np.empty((len(texts), stock.get_sentence_embedding_dimension()), np.float32)
        for start in range(0, len(order), 32):
            rows = order[start : start + 32]
            inputs = stock.tokenizer(
                [texts[row] for row in rows],
                padding=True,
                truncation=True,
                max_length=stock.max_seq_length,
                return_tensors="np",
            )
            inputs = {name: inputs[name].astype(np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")}
            mask = inputs["attention_mask"][..., None]
            means = (run(inputs) * mask).sum(1) / mask.sum(1)
            vectors[rows] = means / np.linalg.norm(means, axis=1, keepdims=True)
        return vectors

    return encode


def _onnxruntime(stock: "SentenceTransformer") -> dict[str, Encode]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(_export(stock), options, providers=["CPUExecutionProvider"])
    return {"onnxruntime, fp32": _padded(stock, lambda inputs: session.run(None, inputs)[0])}


def _openvino(stock: "SentenceTransformer") -> dict[str, Encode]:
    import openvino

    core, encoders = openvino.Core(), {}
    model = core.read_model(_export(stock))
    for precision, word in (("fp32", "f32"), ("bf16", "bf16")):
        settings = {"INFERENCE_PRECISION_HINT": word, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        compiled_model = core.compile_model(model, "CPU", settings)
        encoders[f"openvino, {precision}"] = _padded(
            stock, lambda inputs, compiled_model=compiled_model: compiled_model(inputs)[0]
        )
    return encoders


def table(size: int, seconds: dict[str, list[float]], qualities: dict[str, tuple[float, float]]) -> list[str]:
    """Write the figures of one number of texts as Markdown."""
    lines = [
        f"### {size:,} texts",
        "",
        "| | texts/s | beside sentence-transformers | rounds | rank correlation | least cosine |",
        "|---|---|---|---|---|---|",
    ]
    for name, own in seconds.items():
        ratios = [theirs / mine for theirs, mine in zip(seconds[PEER], own, strict=True)]
        correlation, cosine = qualities[name]
        lines.append(
            f"| {name} | {size / statistics.median(own):,.0f} | {statistics.median(ratios):.2f} | {min(ratios):.2f} to "
            f"{max(ratios):.2f} | {correlation:.5f} | {cosine:.5f} |"
        )
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("converted")
    parser.add_argument("--packages", default="pydoc:torch,transformers,numpy")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--peers", nargs="*", default=["onnxruntime", "openvino"], help="beside sentence-transformers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--remark", default="")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    encoders = contestants(options.source, options.converted, options.peers)
    lines = ["# Encoding", "", _machine(options.threads), ""] + ([options.remark, ""] if options.remark else [])
    every = read_texts(options.packages, max(options.sizes))
    sample = every[:512]
    vectors = {name: encode(sample) for name, encode in encoders.items()}  # warms up everybody, too
    largest = np.abs(vectors["ours, fp32"] - vectors[PEER]).max()
    if not largest <= 1e-5:  # nor NaN
        raise SystemExit(f"fp32 differs from sentence-transformers by {largest}: not measured")
    lines += [f"Largest difference of ours in fp32 from sentence-transformers: {largest:.1e}.", ""]
    qualities = {name: fidelity(encodings, vectors[PEER]) for name, encodings in vectors.items()}
    for size in options.sizes:
        texts = every[:size]
        counts = Encoder.load(options.converted).count_tokens(texts)
        seconds = measure(encoders, texts, options.rounds)
        lines += table(size, seconds, qualities)
        lines += [f"{np.mean(counts):.0f} tokens on average, {max(counts)} at most before truncation.", ""]
        lines += [f"    {json.dumps({name: [round(x, 2) for x in own] for name, own in seconds.items()})}", ""]
        print("\n".join(lines), flush=True)
        if options.output:
            options.output.write_text("\n".join(lines), encoding="utf-8", newline="\n")


def _machine(threads: int) -> str:
    from importlib.metadata import version

    names = ("torch", "transformers", "sentence-transformers", "onnxruntime", "openvino")
    versions = ", ".join(
        f"{name} {version(name)}" for name in names if importlib.util.find_spec(name.replace("-", "_"))
    )
    return f"{describe()}, {threads} thread(s), Python {platform.python_version()}, {versions}."


if __name__ == "__main__":
    main()
