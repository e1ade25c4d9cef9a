"""What `pretraining.py` compares: documents, our loop and `Trainer`; a variant is a function of a round to seconds."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from transformers import (
    BertConfig,
    BertForPreTraining,
    DataCollatorForLanguageModeling,
    ModernBertConfig,
    ModernBertForMaskedLM,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.utils import logging

from hf_embeddings import TriEmbedConfig, TriEmbedForPreTraining
from hf_embeddings.corpora.corpus import load_corpus
from hf_embeddings.corpora.options import CorpusOptions
from hf_embeddings.corpora.tokenized_corpus import encode_sentences
from hf_embeddings.corpora.tokenizer_training import train_tokenizer
from hf_embeddings.pretraining.examples.batches import Vocabulary, flat_row, iter_batches
from hf_embeddings.pretraining.examples.chunks import Chunks, cut_chunks
from hf_embeddings.pretraining.examples.pairs import make_pairs
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.options import ExampleOptions, ModelOptions, PretrainingOptions, TrainingOptions
from hf_embeddings.pretraining.training.gradients import compute_gradients
from hf_embeddings.pretraining.training.loop import keep_freed_memory
from hf_embeddings.pretraining.training.optimization import build_optimizers

VOCAB_SIZE = 30_522
MAX_LENGTH = 128


Variant = Callable[[Chunks], float]  # trains on the documents of a round and returns the seconds


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


class SentencePairs:
    """Sentence pairs of natural lengths, and the tokenizer that made them."""

    def __init__(self) -> None:
        corpus = load_corpus("pydoc:torch,transformers,numpy")
        self.tokenizer = train_tokenizer(
            corpus.training, vocab_size=VOCAB_SIZE, lowercase=True, min_frequency=1, max_length=MAX_LENGTH
        )
        self.vocabulary = Vocabulary.of(self.tokenizer)
        tokenized_corpus = encode_sentences(self.tokenizer, corpus.training)
        self.chunks = cut_chunks(tokenized_corpus, max_tokens=MAX_LENGTH - 3)
        self.order = np.random.default_rng(0).permutation(len(self.chunks))

    def round(self, number: int, count: int) -> Chunks:
        """Return the chunks of a round, no two rounds the same."""
        rows = self.order[number * count : (number + 1) * count]
        return self.chunks.select(rows)

    def rows(self, chunks: Chunks) -> list[dict[str, object]]:
        """Return the pairs of a round as a data set of padded training has them."""
        pairs = make_pairs(chunks, np.arange(len(chunks)), seed=0, epoch=0, relation="nsp")
        total = int(pairs.lengths.sum()) + 3 * len(pairs)
        row = flat_row(chunks.corpus, pairs, self.vocabulary, size=total)
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

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Start with the first step."""
        if state.global_step == 0:
            self.started = time.perf_counter()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Remember the end of every step; the last one stays."""
        self.ended = time.perf_counter()


def trainer_peer(model: nn.Module, documents: SentencePairs, size: Size, *, bf16: bool, pairs: bool) -> Variant:
    """Return a function that trains on a round with `Trainer` and gives the seconds."""
    collator = DataCollatorForLanguageModeling(documents.tokenizer, mlm_probability=0.15)
    columns = ["input_ids", "token_type_ids", "next_sentence_label"] if pairs else ["input_ids"]

    def train(chunks: Chunks) -> float:
        rows = [{name: row[name] for name in columns} for row in documents.rows(chunks)]
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


def our_variant(model: nn.Module, documents: SentencePairs, size: Size, *, bf16: bool, pairs: bool) -> Variant:
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
    model, *optimizers = accelerator.prepare(model, *build_optimizers(model, options.training))
    mean = documents.chunks.ends - documents.chunks.starts + 3
    tokens = int(np.ceil(mean.mean() * size.pairs_per_step / 64) * 64)

    def train(chunks: Chunks) -> float:
        start = time.perf_counter()
        schedule = Schedule.plan(chunks, tokens_per_batch=tokens, seed=0, relation="nsp" if pairs else None)
        batches = iter_batches(schedule, documents.vocabulary, options.examples)
        for step in range(schedule.batches_per_epoch):
            compute_gradients(
                model, [next(batches)], options.examples, options.training, accelerator, seed=options.seed, step=step
            )
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
        return time.perf_counter() - start

    return train


def triembed(size: Size, **changes: object) -> TriEmbedForPreTraining:
    """Return our model without dropout, as modern recipes have it."""
    torch.manual_seed(0)
    fields = size.fields | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0} | changes
    model = TriEmbedForPreTraining(TriEmbedConfig(**fields))
    model.set_attn_implementation("sdpa")
    return model


MODERN = {"position_embedding_type": "rope", "norm_position": "pre", "feed_forward_type": "gated", "type_vocab_size": 0}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def bert(documents: SentencePairs, size: Size, *, bf16: bool = False, dropout: bool = True) -> Variant:
    """BERT with `Trainer`."""
    model = BertForPreTraining(BertConfig(**size.fields | ({} if dropout else NO_DROPOUT)))
    return trainer_peer(model, documents, size, bf16=bf16, pairs=True)


def modernbert(documents: SentencePairs, size: Size, *, bf16: bool = False) -> Variant:
    """ModernBERT with `Trainer`; half the feed-forward width, for it is gated."""
    ids = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    config = ModernBertConfig(**size.fields | {"intermediate_size": 2 * size.width} | ids)
    return trainer_peer(ModernBertForMaskedLM(config), documents, size, bf16=bf16, pairs=False)


def ours(documents: SentencePairs, size: Size, *, bf16: bool = False, modern: bool = False) -> Variant:
    """TriEmbed with our loop, as BERT (MLM + NSP) or as ModernBERT (MLM)."""
    keep_freed_memory()
    changes = MODERN | {"intermediate_size": 2 * size.width} if modern else {}
    return our_variant(triembed(size, **changes), documents, size, bf16=bf16, pairs=not modern)


VARIANTS: dict[str, Callable[[SentencePairs, Size], Variant]] = {
    "BERT": bert,
    "BERT, bf16, no dropout": partial(bert, bf16=True, dropout=False),
    "ModernBERT": modernbert,
    "ModernBERT, bf16": partial(modernbert, bf16=True),
    "TriEmbed": ours,
    "TriEmbed, bf16": partial(ours, bf16=True),
    "TriEmbed modern": partial(ours, modern=True),
    "TriEmbed modern, bf16": partial(ours, modern=True, bf16=True),
}


def serve(connection: Connection, documents: SentencePairs, size: Size, name: str) -> None:
    """Train on each round that is asked for and answer with the seconds, and the peak memory in MB so far.

    What the process held before it made the model (libraries, documents) is the same for all and is not counted.
    """
    logging.set_verbosity_error()
    before = memory("VmRSS")
    train = VARIANTS[name](documents, size)
    while (number := connection.recv()) is not None:
        seconds = train(documents.round(number, size.pairs_per_step * size.steps))
        connection.send((seconds, memory("VmHWM") - before))


def memory(name: str) -> float:
    """Return a memory figure of this process in MB (Linux): VmRSS, resident now, or VmHWM, at the peak.

    Unlike getrusage's, the peak is not its parent's.
    """
    return int(Path("/proc/self/status").read_text(encoding="utf-8").split(f"{name}:")[1].split()[0]) / 1024
