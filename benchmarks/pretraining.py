"""Pretraining speed beside stock transformers: real tokens per second on the same documents, in turns.

Start: python -m benchmarks.pretraining [--sizes tiny small base] [--rounds 7] [--output FILE]
Expect: a table of ratios, medians over interleaved rounds; about 25 minutes on 2 cores for the three sizes.

Every variant trains on the same sentence pairs, cut from docstrings and so of natural lengths, as many to a step, with
fused AdamW and clipping, in a process of its own; they work in turns. The peers get `Trainer` with batches grouped by
length and padded to the longest. Our packing, masking and planning stand inside the timing. Before anything is timed,
BERT and TriEmbed with the same weights must have the same loss on the same pairs. The last columns give the useful
floating-point operations of ours as a share of the machine's best matrix product in the same number format, and the
peak memory of both processes, beyond what they held before they made a model.
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
import transformers
from transformers import BertForPreTraining

from benchmarks.pretraining_peers import (
    MAX_LENGTH,
    SIZES,
    VARIANTS,
    VOCAB_SIZE,
    SentencePairs,
    Size,
    serve,
    triembed,
)
from benchmarks.processes import workers
from hf_embeddings.conversion import convert
from hf_embeddings.hardware import bf16_is_fast, describe
from hf_embeddings.pretraining.examples.batches import iter_batches
from hf_embeddings.pretraining.examples.chunks import Chunks
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.options import ExampleOptions

PAIRS = [  # ours beside a peer
    ("TriEmbed", "BERT"),
    ("TriEmbed, bf16", "BERT"),
    ("TriEmbed, bf16", "BERT, bf16, no dropout"),
    ("TriEmbed modern", "ModernBERT"),
    ("TriEmbed modern, bf16", "ModernBERT"),
    ("TriEmbed modern, bf16", "ModernBERT, bf16"),
]


def check_parity(documents: SentencePairs, size: Size) -> float:
    """Return the difference of the MLM loss of BERT, padded, and TriEmbed, packed, with the same weights and masks."""
    ours = triembed(size).eval()
    chunks = documents.round(0, 16)
    schedule = Schedule.plan(chunks, tokens_per_batch=2048, seed=0, relation="nsp")
    batch = next(iter_batches(schedule, documents.vocabulary, ExampleOptions()))
    with tempfile.TemporaryDirectory() as folder:
        ours.save_pretrained(Path(folder) / "ours")
        convert(Path(folder) / "ours", Path(folder) / "bert", to="bert")
        bert = BertForPreTraining.from_pretrained(Path(folder) / "bert").eval()
    bounds = batch["cu_seq_lens"].tolist()
    labels = torch.full((bounds[-1],), -100)
    real = batch["labels"] >= 0
    labels[batch["masked_lm_positions"][real]] = batch["labels"][real]
    losses = []
    with torch.no_grad():
        output = ours(
            input_ids=batch["input_ids"], token_type_ids=batch["token_type_ids"], position_ids=batch["position_ids"],
            cu_seq_lens_q=batch["cu_seq_lens"], cu_seq_lens_k=batch["cu_seq_lens"], max_length_q=MAX_LENGTH,
            max_length_k=MAX_LENGTH, labels=labels[None],
        )  # fmt: skip
        for begin, end in zip(bounds, bounds[1:], strict=False):
            alone = (batch[name][:, begin:end] for name in ("input_ids", "token_type_ids"))
            logits = bert(**dict(zip(("input_ids", "token_type_ids"), alone, strict=True))).prediction_logits[0]
            losses.append(torch.nn.functional.cross_entropy(logits, labels[begin:end], reduction="sum"))
    return abs(output.loss.item() - (sum(losses) / real.sum()).item())


def useful_flops(size: Size, chunks: Chunks) -> float:
    """Return the floating-point operations of forward and backward passes over real tokens, scores of 15 % of them."""
    lengths = (chunks.ends - chunks.starts + 3).astype(float)
    layer = 2 * lengths.sum() * (4 * size.width**2 + 2 * size.width * 4 * size.width)
    attention = 4 * (lengths**2).sum() * size.width
    head = 2 * 0.15 * lengths.sum() * (size.width**2 + size.width * VOCAB_SIZE)
    return 3 * (size.layers * (layer + attention) + head)


def matmul_limit(dtype: torch.dtype) -> float:
    """Return the best rate of a large matrix product in operations per second."""
    left, right = torch.randn(2048, 768, dtype=dtype), torch.randn(768, 3072, dtype=dtype)
    times = []
    for _ in range(30):
        start = time.perf_counter()
        left @ right
        times.append(time.perf_counter() - start)
    return 2 * 2048 * 768 * 3072 / min(times)


def measure(documents: SentencePairs, name: str, rounds: int) -> list[str]:
    """Measure one size and return the rows of its table."""
    size = SIZES[name]
    tell(f"{name}: the losses differ by {(gap := check_parity(documents, size)):.1e}")
    if not gap <= 1e-4:  # nor NaN
        raise SystemExit(f"{name}: the losses of BERT and TriEmbed differ by {gap}; nothing was measured")
    count = size.pairs_per_step * size.steps
    speeds: dict[str, list[float]] = {variant: [] for variant in variants()}
    shares: dict[str, list[float]] = {variant: [] for variant in variants()}
    memory: dict[str, float] = {}
    with workers(variants(), serve, documents, size) as connections:
        for number in range(rounds + 1):
            chunks = documents.round(number, count)
            tokens, flops = float((chunks.ends - chunks.starts + 3).sum()), useful_flops(size, chunks)
            limits = {False: matmul_limit(torch.float32)}
            if bf16_is_fast():
                limits[True] = matmul_limit(torch.bfloat16)
            for variant, connection in connections.items():
                connection.send(number)
                seconds, memory[variant] = connection.recv()
                tell(f"{name} round {number} of {rounds}: {variant} {tokens / seconds:,.0f} tokens/s")
                if number:  # the first warms up
                    speeds[variant].append(tokens / seconds)
                    shares[variant].append(flops / seconds / limits["bf16" in variant])
    rows = []
    for ours, peer in (pair for pair in PAIRS if speeds.keys() >= set(pair)):
        ratio = statistics.median(a / b for a, b in zip(speeds[ours], speeds[peer], strict=True))
        share = "" if "modern" in ours else f"{statistics.median(shares[ours]):.0%}"
        rows.append(
            f"| {name} | {ours} | {peer} | {statistics.median(speeds[ours]):,.0f} | "
            f"{statistics.median(speeds[peer]):,.0f} | **{ratio:.1f}x** | {share} | "
            f"{memory[ours]:,.0f} / {memory[peer]:,.0f} |"
        )
    return rows


def variants() -> list[str]:
    """Return what is measured: nothing in bf16 where the processor has no units for it."""
    return [variant for variant in VARIANTS if "bf16" not in variant or bf16_is_fast()]


def tell(line: str) -> None:
    """Say how far it is."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    documents = SentencePairs()
    lines = [
        "| size | ours | peer, with Trainer | our tokens/s | its tokens/s | ratio | share of the matmul limit | MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in arguments.sizes:
        lines += measure(documents, name, arguments.rounds)
    versions = {name: package.__version__ for name, package in (("torch", torch), ("transformers", transformers))}
    hardware = {"python": platform.python_version(), "processor": describe(), "threads": torch.get_num_threads()}
    text = "\n".join(lines) + f"\n\n{json.dumps(versions | hardware | {'rounds': arguments.rounds})}\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
