"""What `pretraining.py` compares: documents, our loop and `Trainer`; a variant is a function of a round to seconds."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
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
from hf_embeddings.pretraining.batches import Vocabulary, flat_row, iter_batches
from hf_embeddings.pretraining.corpus import load_corpus
from hf_embeddings.pretraining.loop import run_step
from hf_embeddings.pretraining.optimization import build_optimizers
from hf_embeddings.pretraining.options import (
    CorpusOptions,
    ExampleOptions,
    ModelOptions,
    PretrainingOptions,
    TrainingOptions,
)
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
