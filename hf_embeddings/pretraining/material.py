"""What a run trains and what on: corpus, tokenizer, examples, architecture."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.pretraining.batches import Vocabulary
from hf_embeddings.pretraining.beginning import architecture, check_vocabulary, is_checkpoint
from hf_embeddings.pretraining.corpus import Corpus, load_corpus
from hf_embeddings.pretraining.evaluation import evaluation_batches, unigram_loss
from hf_embeddings.pretraining.objectives import relation
from hf_embeddings.pretraining.options import PretrainingOptions
from hf_embeddings.pretraining.packing import SPECIAL_TOKENS_PER_PAIR
from hf_embeddings.pretraining.pairs import Chunks, cut_chunks
from hf_embeddings.pretraining.tokenizer import encode_sentences, load_tokenizer, train_tokenizer

Say = Callable[[str], None]


@dataclass(frozen=True)
class Material:
    """Everything that is read or derived before training starts."""

    tokenizer: PreTrainedTokenizerBase
    vocabulary: Vocabulary
    training: Chunks
    evaluation: Chunks
    held_out: list[dict[str, torch.Tensor]]  # batches of `evaluation`
    config: TriEmbedConfig
    statistics: dict[str, int]  # of the corpus
    baseline: float  # held-out loss of token frequencies alone, nats
    base: Path  # the architecture file, or the checkpoint to begin with

    def for_model(self, options: PretrainingOptions, base_config: Path) -> "Material":
        """Return the same material for another architecture."""
        return replace(self, config=_config(options, base_config, self.tokenizer), base=base_config)


def build_config(options: PretrainingOptions, base_config: Path, *, vocab_size: int) -> TriEmbedConfig:
    """Return the architecture: the base, the overrides of the run, and for a new model the size of the vocabulary."""
    fields = architecture(base_config) | options.model.overrides
    if not is_checkpoint(base_config):
        fields["vocab_size"] = vocab_size
    elif options.tokenizer.path:
        raise ValueError(
            f"tokenizer.path: got {options.tokenizer.path} beside the checkpoint {base_config}, which has a tokenizer; "
            "remove it, or change the vocabulary first: hf-embeddings vocabulary replace"
        )
    config = TriEmbedConfig(**fields)
    if options.examples.max_length > config.max_position_embeddings and config.positions_end:
        raise ValueError(
            f"examples.max_length: {options.examples.max_length} is above max_position_embeddings "
            f"{config.max_position_embeddings}; lower it or raise model.max_position_embeddings"
        )
    return config


def prepare(
    options: PretrainingOptions, base_config: Path, say: Say, *, tokenizer_from: Path | None = None
) -> Material:
    """Read the corpus, train or load the tokenizer, and cut the examples.

    Args:
        options: of the run.
        base_config: the architecture file, or the checkpoint to begin with.
        say: told of each stage.
        tokenizer_from: a checkpoint, whose tokenizer is taken instead of training one anew.
    """
    corpus = load_corpus(**asdict(options.corpus))
    counts = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in corpus.statistics.items() if value)
    say(f"corpus: {counts}")
    known = base_config if is_checkpoint(base_config) else None
    tokenizer = _tokenizer(options, corpus, tokenizer_from or known)
    say(f"tokenizer: {len(tokenizer):,} pieces")
    training = _chunks("training", corpus.training, tokenizer, options, say)
    held_out = _chunks("held-out", corpus.evaluation, tokenizer, options, say)
    vocabulary = Vocabulary.of(tokenizer)
    batches = evaluation_batches(held_out, vocabulary, options)
    config = _config(options, base_config, tokenizer)
    if config.type_vocab_size < 2 and (name := relation(options.examples.objectives)):
        say(f"note: {name} runs without segments (type_vocab_size {config.type_vocab_size}); only [SEP] divides a pair")
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    if config.type_vocab_size:
        tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    baseline = unigram_loss(training.corpus.tokens, batches, config.vocab_size)
    return Material(
        tokenizer, vocabulary, training, held_out, batches, config, corpus.statistics, baseline, base_config
    )


def _config(options: PretrainingOptions, base_config: Path, tokenizer: PreTrainedTokenizerBase) -> TriEmbedConfig:
    config = build_config(options, base_config, vocab_size=math.ceil(len(tokenizer) / 64) * 64)
    config.pad_token_id = tokenizer.pad_token_id
    check_vocabulary(base_config, config, tokenizer)
    return config


def _tokenizer(options: PretrainingOptions, corpus: Corpus, checkpoint: Path | None) -> PreTrainedTokenizerBase:
    settings = options.tokenizer
    if path := checkpoint or settings.path:
        return load_tokenizer(str(path))
    return train_tokenizer(
        corpus.training,
        vocab_size=settings.vocab_size,
        lowercase=settings.lowercase,
        min_frequency=settings.min_frequency,
        max_length=options.examples.max_length,
    )


def _chunks(name: str, documents: list[str], tokenizer, options: PretrainingOptions, say: Say) -> Chunks:
    encoded = encode_sentences(tokenizer, documents)
    cut = cut_chunks(encoded, max_tokens=options.examples.max_length - SPECIAL_TOKENS_PER_PAIR)
    if not len(cut):
        raise ValueError(f"corpus.source: no {name} document has 4 tokens or more; give longer documents")
    say(f"{name}: {len(encoded.tokens):,} tokens in {len(cut):,} examples, {cut.skipped:,} too short for one")
    return cut
