"""What a run trains and what on: corpus, tokenizer, examples, architecture."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from hf_embeddings.corpora.corpus import by_source, read_corpus
from hf_embeddings.corpora.counterfactual import describe_twins
from hf_embeddings.corpora.selection import HELD_OUT, TRAINING
from hf_embeddings.corpora.sentence_tokens import set_sentence_ends
from hf_embeddings.corpora.text_rules import RULES
from hf_embeddings.corpora.text_sample import TextSample
from hf_embeddings.corpora.tokenized_corpus import SentenceTokenizer, encode_sentences, token_counts
from hf_embeddings.corpora.tokenizer import load_tokenizer, row_count
from hf_embeddings.corpora.tokenizer_training import train_for
from hf_embeddings.corpora.unspaced_words import require_icu
from hf_embeddings.file_names import GENERATOR
from hf_embeddings.loading.saved_model import make_config
from hf_embeddings.loading.sentence_models import OF_A_RERANKER
from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.pretraining.architecture import is_checkpoint
from hf_embeddings.pretraining.examples.batches import Vocabulary
from hf_embeddings.pretraining.examples.chunks import SPECIAL_TOKENS_PER_PAIR, Chunks, cut_chunks
from hf_embeddings.pretraining.examples.health import examine
from hf_embeddings.pretraining.examples.pairs import relation
from hf_embeddings.pretraining.options import ExampleOptions, PretrainingOptions
from hf_embeddings.pretraining.prepared.reader import PreparedCorpus
from hf_embeddings.pretraining.training.base_checkpoint import read_base_checkpoint
from hf_embeddings.pretraining.training.generator_config import (
    check_stored_generator,
    detects,
    discriminator_fields,
    generator_config,
    without_detection,
)
from hf_embeddings.pretraining.training.held_out import evaluation_batches, log_frequencies, unigram_loss
from hf_embeddings.pretraining.training.initial_model import architecture_of_base, check_vocabulary
from hf_embeddings.pretraining.training.phase_borders import check_rope
from hf_embeddings.progress import Phases, silent_phase
from hf_embeddings.records.health import MEASURES, Health
from hf_embeddings.records.run import BaseCheckpoint

Say = Callable[[str], None]
SAMPLE_CHARACTERS = 1 << 18  # of the text whose health is measured


@dataclass(frozen=True)
class TrainingData:
    """Everything that is read or derived before training starts."""

    tokenizer: PreTrainedTokenizerBase
    vocabulary: Vocabulary
    training: Chunks
    evaluation: Chunks
    held_out: list[dict[str, torch.Tensor]]  # batches of `evaluation`
    config: TriEmbedConfig
    statistics: dict[str, int]  # of the corpus
    baseline: float  # held-out loss of token frequencies alone, nats
    log_frequencies: np.ndarray  # (V,) of the tokens in the training documents
    base: Path  # the architecture file, or the checkpoint to begin with
    health: Health

    @property
    def beginning(self) -> BaseCheckpoint | None:
        """What the directory of the checkpoint has beside its weights; None for a new model."""
        return read_base_checkpoint(self.base, detects=detects(self.config)) if is_checkpoint(self.base) else None

    def for_model(self, options: PretrainingOptions, base_config: Path) -> "TrainingData":
        """Return the same data for another architecture."""
        return replace(self, config=_config(options, base_config, self.tokenizer), base=base_config)


class LoadedCorpus(NamedTuple):
    """A corpus, in memory or on the disk."""

    tokenizer: PreTrainedTokenizerBase
    training: Chunks
    held_out: Chunks
    frequencies: np.ndarray  # (V,) of the tokens in training documents
    statistics: dict[str, int]
    sources: list[str]  # names of all, also of those that nothing is left of
    sentences_per_document: float
    sample: TextSample | None  # of the text


def build_config(options: PretrainingOptions, base_config: Path, *, vocab_size: int) -> TriEmbedConfig:
    """Return the architecture: the base, the overrides of the run, and for a new model the size of the vocabulary."""
    overrides = options.model.overrides
    fields = without_detection(architecture_of_base(base_config)) | overrides
    if "rtd" in options.examples.objectives:
        fields = discriminator_fields(fields) | overrides
    if not is_checkpoint(base_config):
        fields["vocab_size"] = vocab_size
    elif options.tokenizer.path:
        raise ValueError(
            f"tokenizer.path: got {options.tokenizer.path} beside the checkpoint {base_config}, which has a tokenizer; "
            "remove it, or change the vocabulary first: hf-embeddings vocabulary replace"
        )
    # A checkpoint's config.json may hold keys of other tools; a mistake in a file of ours is refused.
    kept_fields = {
        key: value for key, value in fields.items() if key not in OF_A_RERANKER
    }  # its classifier is not kept
    foreign = is_checkpoint(base_config)
    config = make_config(kept_fields if foreign else fields, base_config, foreign=foreign)
    if options.examples.max_length > config.max_position_embeddings and config.positions_end:
        raise ValueError(
            f"examples.max_length: {options.examples.max_length} is above max_position_embeddings "
            f"{config.max_position_embeddings}; lower it or raise model.max_position_embeddings"
        )
    check_rope(options.training, config)
    if detects(config):
        if any(part.segmented for part in config.position_classes.values()):
            raise ValueError(
                f"examples.objectives: got rtd with position_embedding_type {config.position_embedding_type!r}, which "
                "finds sentences by token ids, and the discriminator of rtd is given vectors; choose mlm or other "
                "positions"
            )
        generator = generator_config(config, options.generator)  # its mistakes show now
        if is_checkpoint(base_config / GENERATOR):
            check_stored_generator(generator, base_config / GENERATOR)
    return config


def load_training_data(
    options: PretrainingOptions,
    base_config: Path,
    say: Say,
    *,
    tokenizer_from: Path | None = None,
    rules: int = RULES,
    phases: Phases = silent_phase,
) -> TrainingData:
    """Read the corpus, train or load the tokenizer, and cut the examples.

    Args:
        options: of the run.
        base_config: the architecture file, or the checkpoint to begin with.
        say: told of each stage.
        tokenizer_from: a checkpoint, whose tokenizer is taken instead of training one.
        rules: by which the checkpoint encoded text: see `SentenceTokenizer`; of no matter for a prepared corpus.
        phases: makes what shows how far each stage is.
    """
    checkpoint = tokenizer_from or (base_config if is_checkpoint(base_config) else None)
    if options.corpus.prepared:
        corpus = _open(options, checkpoint, say, phases)
    else:
        corpus = _read(options, checkpoint, say, phases, rules=rules)
    if options.corpus.temperature != 1:
        corpus = corpus._replace(training=corpus.training.tempered(options.corpus.temperature))
    _report(corpus, say)
    tokenizer = corpus.tokenizer
    vocabulary = Vocabulary.of(tokenizer)
    with phases("planning the evaluation"):
        count = options.training.evaluation_examples
        batches = evaluation_batches(corpus.held_out, vocabulary, options.examples, seed=options.seed, count=count)
        health = _examine(corpus, vocabulary, options.examples, seed=options.seed)
    for line in health.lines():
        say(line)
    config = _config(options, base_config, tokenizer)
    check_vocabulary(base_config, config, tokenizer, say)
    if config.type_vocab_size < 2 and (name := relation(options.examples.objectives)):
        say(f"note: {name} runs without segments (type_vocab_size {config.type_vocab_size}); only [SEP] divides a pair")
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    if config.type_vocab_size:
        tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    shares = log_frequencies(corpus.frequencies, config.vocab_size)
    return TrainingData(
        tokenizer=tokenizer,
        vocabulary=vocabulary,
        training=corpus.training,
        evaluation=corpus.held_out,
        held_out=batches,
        config=config,
        statistics=corpus.statistics,
        baseline=unigram_loss(shares, batches),
        log_frequencies=shares,
        base=base_config,
        health=health,
    )


def _examine(corpus: LoadedCorpus, vocabulary: Vocabulary, examples: ExampleOptions, *, seed: int) -> Health:
    return examine(
        corpus.sample,
        corpus.training,
        sources=corpus.sources,
        sentences_per_document=corpus.sentences_per_document,
        frequencies=corpus.frequencies,
        vocabulary=vocabulary,
        examples=examples,
        seed=seed,
    )


def _config(options: PretrainingOptions, base_config: Path, tokenizer: PreTrainedTokenizerBase) -> TriEmbedConfig:
    config = build_config(options, base_config, vocab_size=math.ceil(row_count(tokenizer) / 64) * 64)
    config.pad_token_id = tokenizer.pad_token_id
    set_sentence_ends(config, tokenizer)
    return config


def _read(
    options: PretrainingOptions, checkpoint: Path | None, say: Say, phases: Phases, *, rules: int
) -> LoadedCorpus:
    """Read, encode and cut the sources, all in memory."""
    text_rules = options.corpus.text_rules(rules)
    if text_rules.words == "icu":
        require_icu()  # before the corpus is read
    path = checkpoint or options.tokenizer.path
    tokenizer = load_tokenizer(str(path)) if path else None  # a mistake shows before the corpus is read
    corpus = read_corpus(options.corpus, phases)
    say(f"{len(corpus.read):,} different documents read")
    if tokenizer is None:
        length, texts = options.examples.max_length, by_source(corpus)
        tokenizer = train_for(options.tokenizer, options.corpus, texts, max_length=length, say=say, phases=phases)
    with phases("encoding", len(corpus.documents), unit="documents") as phase:
        tokenized_corpus = encode_sentences(tokenizer, corpus.documents, text_rules, progress=phase.reach)
    max_tokens = options.examples.max_length - SPECIAL_TOKENS_PER_PAIR
    is_training = corpus.roles == TRAINING
    with phases("cutting examples"):
        training = cut_chunks(tokenized_corpus, max_tokens=max_tokens, selection=is_training, sources=corpus.sources)
        held_out = cut_chunks(tokenized_corpus, max_tokens=max_tokens, selection=corpus.roles == HELD_OUT)
    with phases("examining the text"):
        encoder = SentenceTokenizer.of(tokenizer, text_rules)
        sample = TextSample.of(encoder, corpus.read, characters=SAMPLE_CHARACTERS)
    return LoadedCorpus(
        tokenizer,
        training,
        held_out,
        token_counts(tokenized_corpus, is_training, row_count(tokenizer)),
        corpus.statistics,
        [name for name, *_ in corpus.sources],
        (len(tokenized_corpus.sentence_starts) - 1) / max(1, len(corpus.documents) - tokenized_corpus.empty_documents),
        sample,
    )


def _open(options: PretrainingOptions, checkpoint: Path | None, say: Say, phases: Phases) -> LoadedCorpus:
    """Open a prepared corpus, whose files `pretrain` has verified."""
    corpus = PreparedCorpus.open(Path(options.corpus.prepared or ""), sums=False)
    for path, place in ((checkpoint, "the checkpoint"), (options.tokenizer.path, "tokenizer.path")):
        if path:
            corpus.demand(load_tokenizer(str(path)), place)
    corpus.demand_exchange(options.corpus.counterfactual, options.corpus.counterfactual_share)
    max_tokens = options.examples.max_length - SPECIAL_TOKENS_PER_PAIR
    if not corpus.is_cut(max_tokens):
        prepared_length = corpus.facts.max_length
        say(f"cut again for examples.max_length {options.examples.max_length}, prepared was {prepared_length}")
    with phases("opening the corpus"):
        training, held_out = (corpus.chunks(role, max_tokens=max_tokens) for role in ("training", "held_out"))
    facts = corpus.facts
    return LoadedCorpus(
        corpus.tokenizer,
        training,
        held_out,
        corpus.frequencies,
        facts.statistics,
        [source.source for source in facts.sources],
        facts.sentences_per_document,
        facts.text_sample,
    )


def _report(corpus: LoadedCorpus, say: Say) -> None:
    counts = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in corpus.statistics.items() if value)
    say(f"corpus: {counts}")
    for line in describe_twins(corpus.statistics):
        say(line)
    say(f"tokenizer: {len(corpus.tokenizer):,} pieces")
    training, unknown = corpus.training, corpus.sample and corpus.sample.unknown_share
    for name, chunks in (("training", training), ("held-out", corpus.held_out)):
        if not len(chunks):
            cause = MEASURES["unknown_characters"].warning(unknown or 0.0) or "give longer documents"
            raise ValueError(f"corpus.source: no {name} document has 4 tokens or more; {cause}")
        tokens = sum(source.tokens for source in chunks.sources)
        say(f"{name}: {tokens:,} tokens in {len(chunks):,} examples, {chunks.skipped:,} too short for one")
    epoch = sum(source.weight * source.tokens for source in training.sources)
    for source in training.sources if len(training.sources) > 1 else ():
        share = f"weight {source.weight:g}, {source.weight * source.tokens / epoch:.1%} of an epoch"
        say(f"{source.name}: {source.tokens:,} tokens in {source.count:,} examples, {share}")
