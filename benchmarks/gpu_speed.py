"""What `gpu.py` measures: our loop and bare loops of peers on one device, in turns.

Documents have log-normal lengths, as text has; their ids are drawn, as no kernel depends on them.
"""

import itertools
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from transformers import BertConfig, BertForPreTraining, ModernBertConfig, ModernBertForMaskedLM

from benchmarks.pretraining import useful_flops
from benchmarks.pretraining_peers import MODERN, SentencePairs, Size, triembed
from hf_embeddings.corpora.tokenized_corpus import TokenizedCorpus
from hf_embeddings.pretraining.examples.batches import Vocabulary, iter_batches
from hf_embeddings.pretraining.examples.chunks import Chunks, cut_chunks
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.options import (
    CorpusOptions,
    ExampleOptions,
    ModelOptions,
    PretrainingOptions,
    TrainingOptions,
)
from hf_embeddings.pretraining.training.gradients import compute_gradients
from hf_embeddings.pretraining.training.initial_model import compile_layers
from hf_embeddings.pretraining.training.optimization import build_optimizers

BASE = Size(12, 768, 256, 6)  # some 30,000 tokens to a step
SMALL = Size(1, 64, 4, 2)
LONGEST = 128  # tokens, as `pretraining_peers` has the models
Train = Callable[[Chunks], float]  # trains on the documents of a round and returns the seconds


class DrawnPairs(SentencePairs):
    """Sentence pairs of random ids, with lengths as those of text."""

    def __init__(self, documents: int, vocab_size: int) -> None:
        random = np.random.default_rng(0)
        lengths = np.clip(random.lognormal(np.log(40), 0.6, 2 * documents).astype(int), 4, LONGEST)  # of sentences
        self.vocabulary = Vocabulary(pad=0, cls=2, sep=3, mask=4, ordinary=np.arange(5, vocab_size))
        corpus = TokenizedCorpus(
            tokens=random.integers(5, vocab_size, lengths.sum()).astype(np.uint16),
            continues=np.zeros(lengths.sum(), dtype=bool),
            sentence_starts=np.concatenate(([0], lengths.cumsum())),
            document_starts=np.arange(documents + 1) * 2,
            empty_sentences=0,
        )
        self.chunks = cut_chunks(corpus, max_tokens=LONGEST - 3)
        self.order = random.permutation(len(self.chunks))


def ours(
    documents: SentencePairs, size: Size, accelerator: Accelerator, *, modern: bool = False, compiled: bool = False
) -> Train:
    """TriEmbed with our loop, as BERT (MLM + NSP) or as ModernBERT (MLM), packed."""
    changes = MODERN | {"intermediate_size": 2 * size.width} if modern else {}
    model: nn.Module = triembed(size, **changes)
    if compiled:
        compile_layers(model)
    options = PretrainingOptions(
        output_dir="unused",
        model=ModelOptions(base="unused"),
        corpus=CorpusOptions(source="unused"),
        examples=ExampleOptions(objectives=["mlm"] if modern else ["mlm", "nsp"]),
        training=TrainingOptions(mixed_precision="bf16" if accelerator.mixed_precision == "bf16" else "no"),
    )
    model, *optimizers = accelerator.prepare(model, *build_optimizers(model, options.training))
    mean = float((documents.chunks.ends - documents.chunks.starts).mean()) + 3
    tokens = int(np.ceil(mean * size.pairs_per_step / 64) * 64)

    def train(chunks: Chunks) -> float:
        began = clock(accelerator.device)
        schedule = Schedule.plan(chunks, tokens_per_batch=tokens, seed=0, relation=None if modern else "nsp")
        batches = iter_batches(schedule, documents.vocabulary, options.examples)
        for step, batch in enumerate(itertools.islice(batches, schedule.batches_per_epoch)):
            compute_gradients(model, [batch], options.examples, options.training, accelerator, seed=0, step=step)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
        return clock(accelerator.device) - began

    return train


def peer(model: nn.Module, documents: SentencePairs, size: Size, accelerator: Accelerator, *, pairs: bool) -> Train:
    """Train a model in a bare loop on batches that are masked, sorted by length and padded before the clock starts."""
    device, model = accelerator.device, model.to(accelerator.device).train()
    fused = {"fused": True} if device.type == "cuda" else {}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, **fused)

    def train(chunks: Chunks) -> float:
        rows = sorted(documents.rows(chunks), key=lambda row: len(row["input_ids"]))  # type: ignore[arg-type]
        count = size.pairs_per_step
        batches = [padded(rows[start : start + count], pairs=pairs) for start in range(0, len(rows), count)]
        began = clock(device)
        for batch in batches:
            with torch.autocast(device.type, torch.bfloat16, enabled=accelerator.mixed_precision == "bf16"):
                loss = model(**{name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}).loss
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        return clock(device) - began

    return train


def padded(rows: list[dict[str, object]], *, pairs: bool) -> dict[str, torch.Tensor]:
    """Return rows as a padded batch (B, S) in which 15 % of the tokens are masked."""
    ids = [torch.tensor(row["input_ids"]) for row in rows]
    lengths = torch.tensor([len(row) for row in ids])
    batch = {"input_ids": nn.utils.rnn.pad_sequence(ids, batch_first=True)}
    batch["attention_mask"] = (torch.arange(batch["input_ids"].shape[1]) < lengths[:, None]).long()
    drawn = torch.rand(batch["input_ids"].shape, generator=torch.Generator().manual_seed(0))
    chosen = (drawn < 0.15) & (batch["input_ids"] > 4)
    batch["labels"] = torch.where(chosen, batch["input_ids"], -100)
    batch["input_ids"] = torch.where(chosen, 4, batch["input_ids"])
    if pairs:
        segments = [torch.tensor(row["token_type_ids"]) for row in rows]
        batch["token_type_ids"] = nn.utils.rnn.pad_sequence(segments, batch_first=True)
        batch["next_sentence_label"] = torch.tensor([row["next_sentence_label"] for row in rows])
    return batch


def bert(documents: SentencePairs, size: Size, accelerator: Accelerator) -> Train:
    """Stock BERT with its own SDPA."""
    config = BertConfig(**size.fields, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return peer(BertForPreTraining(config), documents, size, accelerator, pairs=True)


def modernbert(documents: SentencePairs, size: Size, accelerator: Accelerator) -> Train:
    """ModernBERT with flash attention where it is installed; half the feed-forward width, for it is gated."""
    ids = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    config = ModernBertConfig(**size.fields | {"intermediate_size": 2 * size.width} | ids)
    model = ModernBertForMaskedLM(config)
    if flash_is_here(accelerator.device):
        model.set_attn_implementation("flash_attention_2")
    return peer(model, documents, size, accelerator, pairs=False)


def flash_is_here(device: torch.device) -> bool:
    return device.type == "cuda" and find_spec("flash_attn") is not None


def variants(device: torch.device, *, compiled: bool) -> dict[str, Callable[..., Train]]:
    """Return what is measured."""
    found: dict[str, Callable[..., Train]] = {
        "BERT": bert,
        f"ModernBERT, {'flash_attention_2' if flash_is_here(device) else 'sdpa, as flash_attn is missing'}": modernbert,
        "TriEmbed": ours,
        "TriEmbed modern": partial(ours, modern=True),
    }
    if compiled:
        found["TriEmbed, compiled"] = partial(ours, compiled=True)
    return found


def clock(device: torch.device) -> float:
    """Return seconds, once the queue of the device is empty."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def matmul_limit(dtype: torch.dtype, device: torch.device, *, small: bool) -> float:
    """Return the best rate of a large matrix product in operations per second: torch's own limit."""
    rows, inner, columns = (256, 64, 256) if small else (16384, 768, 3072)
    left, right = (
        torch.randn(rows, inner, dtype=dtype, device=device),
        torch.randn(inner, columns, dtype=dtype, device=device),
    )
    times = []
    for _ in range(30):
        began = clock(device)
        for _ in range(10):
            left @ right
        times.append(clock(device) - began)
    return 10 * 2 * rows * inner * columns / min(times)


def measure(
    accelerator: Accelerator, size: Size, *, rounds: int, compiled: bool, small: bool, until: float
) -> list[str]:
    """Return the table of speeds."""
    device, count = accelerator.device, size.pairs_per_step * size.steps
    form = "bf16" if accelerator.mixed_precision == "bf16" else "fp32"
    documents = DrawnPairs(2 * count * (rounds + 1), size.fields["vocab_size"])
    limit = matmul_limit(torch.bfloat16 if form == "bf16" else torch.float32, device, small=small)
    trains = warmed_up(
        {name: build(documents, size, accelerator) for name, build in variants(device, compiled=compiled).items()},
        documents.round(rounds, count),
    )
    speeds: dict[str, list[float]] = {name: [] for name in trains}
    shares: dict[str, list[float]] = {name: [] for name in trains}
    memory: dict[str, str] = {}
    for number in range(rounds):
        if number and time.monotonic() > until:
            tell(f"the minutes are over after {number} of {rounds} rounds")
            break
        chunks = documents.round(number, count)
        tokens, flops = float((chunks.ends - chunks.starts + 3).sum()), useful_flops(size, chunks)
        names = list(trains)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            seconds = trains[name](chunks)
            if device.type == "cuda":
                memory[name] = f"{torch.cuda.max_memory_allocated(device) / 2**20:,.0f}"
            tell(f"round {number + 1} of {rounds}: {name} {tokens / seconds:,.0f} tokens/s")
            speeds[name].append(tokens / seconds)
            shares[name].append(flops / seconds / limit)
    lines = [
        f"Training in {form}; torch's best matrix product: {limit / 1e12:,.2f} TFLOP/s in {form}.", "",
        "| | tokens/s | beside BERT | rounds | share of the matmul limit | MB, all models in memory |",
        "|---|---:|---:|---|---:|---:|",
    ]  # fmt: skip
    for name, own in speeds.items():
        ratios = [mine / theirs for mine, theirs in zip(own, speeds["BERT"], strict=True)]
        share = "" if "odern" in name else f"{statistics.median(shares[name]):.1%}"
        lines.append(
            f"| {name} | {statistics.median(own):,.0f} | {statistics.median(ratios):.2f} | {min(ratios):.2f} to "
            f"{max(ratios):.2f} | {share} | {memory.get(name, '')} |"
        )
    return [*lines, ""]


def warmed_up(trains: dict[str, Train], chunks: Chunks) -> dict[str, Train]:
    """Return what can be run, after a round that is not measured; a peer that fails does not hide the others."""
    whole = {}
    for name, train in trains.items():
        try:
            train(chunks)
        except Exception as error:
            if name == "BERT" or name.startswith("TriEmbed"):
                raise
            tell(f"{name} is left out: {type(error).__name__}: {error}")
            continue
        whole[name] = train
    return whole


def tell(line: str) -> None:
    """Say how far it is."""
    print(line, file=sys.stderr, flush=True)
