"""Pretraining speed beside stock transformers: real tokens per second over the same documents, in one process, in turns.

Start: python benchmarks/pretraining.py [--sizes tiny small base] [--rounds 7] [--output benchmarks/results/pretraining.md]
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
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import transformers
from accelerate import Accelerator
from transformers import (
    BertConfig,
    BertForPreTraining,
    DataCollatorForLanguageModeling,
    ModernBertConfig,
    ModernBertForMaskedLM,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from hf_embeddings import TriEmbedConfig, TriEmbedForPreTraining
from hf_embeddings.conversion import convert
from hf_embeddings.pretraining.batches import Vocabulary, flat_row, iter_batches
from hf_embeddings.pretraining.corpus import load_corpus
from hf_embeddings.pretraining.loop import keep_freed_memory, run_step
from hf_embeddings.pretraining.optimization import build_optimizers
from hf_embeddings.pretraining.options import CorpusOptions, ExampleOptions, ModelOptions, PretrainingOptions
from hf_embeddings.pretraining.options import TrainingOptions
from hf_embeddings.pretraining.packing import Schedule
from hf_embeddings.pretraining.pairs import Chunks, cut_chunks, make_pairs
from hf_embeddings.pretraining.tokenizer import encode_sentences, train_tokenizer

VOCAB_SIZE = 30_522
MAX_LENGTH = 128


@dataclass(frozen=True)
class Size:
    """An architecture and its batch."""

    layers: int
    width: int
    pairs_per_step: int
    steps: int  # of a round

    @property
    def fields(self) -> dict[str, int]:
        """The fields that all configs name alike."""
        return dict(
            num_hidden_layers=self.layers, hidden_size=self.width, num_attention_heads=self.width // 64,
            intermediate_size=4 * self.width, vocab_size=VOCAB_SIZE, max_position_embeddings=MAX_LENGTH,
        )  # fmt: skip


SIZES = {"tiny": Size(2, 128, 32, 6), "small": Size(4, 512, 16, 4), "base": Size(12, 768, 8, 3)}


class Documents:
    """Sentence pairs of natural lengths, and the tokenizer that made them."""

    def __init__(self) -> None:
        corpus = load_corpus("pydoc:torch,transformers,numpy")
        self.tokenizer = train_tokenizer(
            corpus.training, vocab_size=VOCAB_SIZE, lowercase=True, min_frequency=1, max_length=MAX_LENGTH
        )
        self.vocabulary = Vocabulary.of(self.tokenizer)
        encoded = encode_sentences(self.tokenizer, corpus.training)
        self.chunks = cut_chunks(encoded, max_tokens=MAX_LENGTH - 3)
        self.order = np.random.default_rng(0).permutation(len(self.chunks))

    def round(self, number: int, count: int) -> Chunks:
        """Return the chunks of a round, no two rounds the same."""
        chosen = self.order[number * count : (number + 1) * count]
        return replace(
            self.chunks,
            starts=self.chunks.starts[chosen],
            ends=self.chunks.ends[chosen],
            documents=self.chunks.documents[chosen],
        )

    def rows(self, chunks: Chunks) -> list[dict[str, object]]:
        """Return the pairs of a round as a data set of padded training has them."""
        pairs = make_pairs(chunks, np.arange(len(chunks)), seed=0, epoch=0, relation="nsp")
        total = int(pairs.lengths.sum()) + 3 * len(pairs)
        row = flat_row(chunks.corpus.tokens, pairs, self.vocabulary, size=total)
        spans = list(zip(row.bounds, row.bounds[1:], strict=False))
        return [
            {
                "input_ids": row.ids[a:b].tolist(),
                "token_type_ids": row.segments[a:b].tolist(),
                "next_sentence_label": int(label),
            }
            for (a, b), label in zip(spans, pairs.labels, strict=True)
        ]


class Clock(TrainerCallback):
    """Time `Trainer` from its first step to its last, its start-up left out."""

    def on_step_begin(self, args, state, control, **kwargs):
        """Start with the first step."""
        if state.global_step == 0:
            self.started = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        """Remember the end of every step; the last one stays."""
        self.ended = time.perf_counter()


def trainer_peer(model, documents: Documents, size: Size, *, bf16: bool, pairs: bool) -> Callable[[Chunks], float]:
    """Return a function that trains on a round with `Trainer` and gives the seconds."""
    collator = DataCollatorForLanguageModeling(documents.tokenizer, mlm_probability=0.15)
    kept = ["input_ids", "token_type_ids", "next_sentence_label"] if pairs else ["input_ids"]

    def train(chunks: Chunks) -> float:
        rows = [{name: row[name] for name in kept} for row in documents.rows(chunks)]
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder, per_device_train_batch_size=size.pairs_per_step, num_train_epochs=1,
                logging_strategy="no", save_strategy="no", report_to=[], use_cpu=True, bf16=bf16, disable_tqdm=True,
                optim="adamw_torch_fused", train_sampling_strategy="group_by_length", remove_unused_columns=False,
            )  # fmt: skip
            Trainer(model, arguments, train_dataset=rows, data_collator=collator, callbacks=[clock]).train()
        return clock.ended - clock.started

    return train


def our_variant(model, documents: Documents, size: Size, *, bf16: bool, pairs: bool) -> Callable[[Chunks], float]:
    """Return a function that trains on a round with our loop and gives the seconds, planning and packing included."""
    objectives = ["mlm", "nsp"] if pairs else ["mlm"]
    options = PretrainingOptions(
        output_dir="unused",
        model=ModelOptions(base="unused"),
        corpus=CorpusOptions(source="unused"),
        examples=ExampleOptions(objectives=objectives),
        training=TrainingOptions(mixed_precision="bf16" if bf16 else "no"),
    )
    accelerator = Accelerator(cpu=True, mixed_precision="bf16" if bf16 else "no")
    accelerator.state._mixed_precision = "bf16" if bf16 else "no"  # one process holds several variants
    model, *optimizers = accelerator.prepare(model, *build_optimizers(model, options.training))
    mean = documents.chunks.ends - documents.chunks.starts + 3
    tokens = int(np.ceil(mean.mean() * size.pairs_per_step / 64) * 64)

    def train(chunks: Chunks) -> float:
        started = time.perf_counter()
        schedule = Schedule.plan(chunks, tokens_per_batch=tokens, seed=0, relation="nsp" if pairs else None)
        batches = iter_batches(schedule, documents.vocabulary, options.examples)
        for _ in range(schedule.batches_per_epoch):
            run_step(model, optimizers, batches, options, accelerator)
        return time.perf_counter() - started

    return train


def triembed(size: Size, **changes: object) -> TriEmbedForPreTraining:
    """Return our model without dropout, as modern recipes have it."""
    torch.manual_seed(0)
    fields = size.fields | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0} | changes
    model = TriEmbedForPreTraining(TriEmbedConfig(**fields))
    model.set_attn_implementation("sdpa")
    return model


def variants(documents: Documents, size: Size) -> dict[str, Callable[[Chunks], float]]:
    """Return what is compared, by name; the first of each block is the peer."""
    modern = dict(position_embedding_type="rope", norm_position="pre", feed_forward_type="gated", type_vocab_size=0)
    theirs = ModernBertConfig(
        **size.fields | {"intermediate_size": 2 * size.width}, pad_token_id=0, cls_token_id=2, sep_token_id=3,
        bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    plain = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    bert = {
        "BERT, Trainer": (BertForPreTraining(BertConfig(**size.fields)), False),
        "BERT, Trainer, bf16, no dropout": (BertForPreTraining(BertConfig(**size.fields, **plain)), True),
    }
    peers = {name: trainer_peer(m, documents, size, bf16=bf16, pairs=True) for name, (m, bf16) in bert.items()}
    for bf16 in (False, True):
        name = "ModernBERT, Trainer" + ", bf16" * bf16
        peers[name] = trainer_peer(ModernBertForMaskedLM(theirs), documents, size, bf16=bf16, pairs=False)
        name = "TriEmbed" + ", bf16" * bf16
        peers[name] = our_variant(triembed(size), documents, size, bf16=bf16, pairs=True)
        name = "TriEmbed modern" + ", bf16" * bf16
        model = triembed(size, **modern, intermediate_size=2 * size.width)
        peers[name] = our_variant(model, documents, size, bf16=bf16, pairs=False)
    return peers


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
    code = f"from benchmarks.pretraining import *; memory_of({variant!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def memory_of(variant: str) -> None:
    """Train one variant at size tiny and print the peak resident memory in MB."""
    keep_freed_memory()
    documents, size = Documents(), SIZES["tiny"]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for number in range(2):
        variants(documents, size)[variant](documents.round(number, size.pairs_per_step * size.steps))
    print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    keep_freed_memory()
    documents = Documents()
    lines = [
        "| size | ours | peer | our tokens/s | its tokens/s | ratio | useful FLOPs of the matrix-multiply limit |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in arguments.sizes:
        lines += measure(documents, name, arguments.rounds)
    versions = {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__}
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
