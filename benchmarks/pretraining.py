"""Pretraining speed beside stock transformers: real tokens per second on the same documents, in one process, in turns.

Start: python -m benchmarks.pretraining [--sizes tiny small base] [--rounds 7] [--output FILE]
Expect: a table of ratios, medians over interleaved rounds; about 25 minutes on 2 cores for the three sizes.

Every variant trains on the same sentence pairs, cut from docstrings and so of natural lengths, as many to a step, with
fused AdamW and clipping. The peers get `Trainer` with batches grouped by length and padded to the longest. Our packing,
masking and planning stand inside the timing. All share one process, and so the allocator settings of our training loop,
which make the peers faster too. Before anything is timed, BERT and TriEmbed with the same weights must have the same
loss on the same pairs.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import transformers
from transformers import BertForPreTraining

from benchmarks.pretraining_peers import MAX_LENGTH, SIZES, VOCAB_SIZE, Documents, Size, triembed, variants
from hf_embeddings.conversion import convert
from hf_embeddings.pretraining.batches import iter_batches
from hf_embeddings.pretraining.loop import keep_freed_memory
from hf_embeddings.pretraining.options import ExampleOptions
from hf_embeddings.pretraining.packing import Schedule
from hf_embeddings.pretraining.pairs import Chunks

PAIRS = [  # what stands beside what
    ("TriEmbed", "BERT, Trainer"),
    ("TriEmbed, bf16", "BERT, Trainer"),
    ("TriEmbed, bf16", "BERT, Trainer, bf16, no dropout"),
    ("TriEmbed modern", "ModernBERT, Trainer"),
    ("TriEmbed modern, bf16", "ModernBERT, Trainer"),
    ("TriEmbed modern, bf16", "ModernBERT, Trainer, bf16"),
]


def check_parity(documents: Documents, size: Size) -> float:
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
        packed = ours(
            input_ids=batch["input_ids"], token_type_ids=batch["token_type_ids"], position_ids=batch["position_ids"],
            cu_seq_lens_q=batch["cu_seq_lens"], cu_seq_lens_k=batch["cu_seq_lens"], max_length_q=MAX_LENGTH,
            max_length_k=MAX_LENGTH, labels=labels[None],
        )  # fmt: skip
        for begin, end in zip(bounds, bounds[1:], strict=False):
            alone = (batch[name][:, begin:end] for name in ("input_ids", "token_type_ids"))
            logits = bert(**dict(zip(("input_ids", "token_type_ids"), alone, strict=True))).prediction_logits[0]
            losses.append(torch.nn.functional.cross_entropy(logits, labels[begin:end], reduction="sum"))
    return abs(packed.loss.item() - (sum(losses) / real.sum()).item())


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
        started = time.perf_counter()
        left @ right
        times.append(time.perf_counter() - started)
    return 2 * 2048 * 768 * 3072 / min(times)


def measure(documents: Documents, name: str, rounds: int) -> list[str]:
    """Measure one size and return the rows of its table."""
    size = SIZES[name]
    print(f"{name}: losses differ by {(gap := check_parity(documents, size)):.1e}", file=sys.stderr, flush=True)
    if gap > 1e-4:
        raise SystemExit(f"{name}: the losses of BERT and TriEmbed differ by {gap}; nothing was measured")
    compared = variants(documents, size)
    count = size.pairs_per_step * size.steps
    speeds: dict[str, list[float]] = {variant: [] for variant in compared}
    shares: dict[str, list[float]] = {variant: [] for variant in compared}
    for number in range(rounds + 1):
        chunks = documents.round(number, count)
        tokens, flops = float((chunks.ends - chunks.starts + 3).sum()), useful_flops(size, chunks)
        limits = {False: matmul_limit(torch.float32), True: matmul_limit(torch.bfloat16)}
        for variant, train in compared.items():
            seconds = train(chunks)
            print(f"{name} round {number}: {variant} {tokens / seconds:,.0f} tokens/s", file=sys.stderr, flush=True)
            if number:  # the first warms up
                speeds[variant].append(tokens / seconds)
                shares[variant].append(flops / seconds / limits["bf16" in variant])
    rows = []
    for ours, peer in PAIRS:
        ratio = statistics.median(a / b for a, b in zip(speeds[ours], speeds[peer], strict=True))
        share = f"{statistics.median(shares[ours]):.0%}" if "modern" not in ours else ""
        rows.append(
            f"| {name} | {ours} | {peer} | {statistics.median(speeds[ours]):,.0f} | "
            f"{statistics.median(speeds[peer]):,.0f} | **{ratio:.1f}x** | {share} |"
        )
    return rows


def peak_memory(variant: str) -> float:
    """Return the peak resident memory in MB of a process that trains one variant at size tiny for one round."""
    line = [sys.executable, "-m", "benchmarks.pretraining", "--memory-of", variant]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def memory_of(variant: str) -> None:
    """Train one variant at size tiny and print the peak resident memory in MB."""
    documents, size = Documents(), SIZES["tiny"]
    train = variants(documents, size)[variant]
    for number in range(2):
        train(documents.round(number, size.pairs_per_step * size.steps))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--memory-of", help="only print the peak memory of one variant at size tiny")
    arguments = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    keep_freed_memory()
    if arguments.memory_of:
        memory_of(arguments.memory_of)
        return
    documents = Documents()
    lines = [
        "| size | ours | peer | our tokens/s | its tokens/s | ratio | useful FLOPs of the matrix-multiply limit |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in arguments.sizes:
        lines += measure(documents, name, arguments.rounds)
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    hardware = {"processor": processor(), "threads": torch.get_num_threads()}
    text = "\n".join(lines) + f"\n\n{json.dumps(versions | hardware | {'rounds': arguments.rounds})}\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


def processor() -> str:
    """Return the name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
