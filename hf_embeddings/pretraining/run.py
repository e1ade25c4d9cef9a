"""One pretraining run, from an options file to a directory that is ready for the Hub."""

import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from hf_embeddings.model.configuration_triembed import TriEmbedConfig
from hf_embeddings.model.modeling_triembed import TriEmbedForPreTraining
from hf_embeddings.pretraining.architecture import read_architecture
from hf_embeddings.pretraining.batches import Vocabulary
from hf_embeddings.pretraining.corpus import load_corpus
from hf_embeddings.pretraining.evaluation import evaluate, evaluation_batches, unigram_loss
from hf_embeddings.pretraining.export import export
from hf_embeddings.pretraining.loop import train
from hf_embeddings.pretraining.objectives import relation
from hf_embeddings.pretraining.options import PretrainingOptions
from hf_embeddings.pretraining.options_file import dump
from hf_embeddings.pretraining.packing import SPECIAL_TOKENS_PER_PAIR
from hf_embeddings.pretraining.pairs import cut_chunks
from hf_embeddings.pretraining.tokenizer import encode_sentences, load_tokenizer, train_tokenizer


def pretrain(
    options: PretrainingOptions,
    *,
    base_config: Path,
    overwrite: bool = False,
    finish: Callable[[Path], object] | None = None,
) -> dict[str, object]:
    """Run everything and return the figures, which are also written to `pretraining.json` in the output directory.

    Args:
        options: everything the run depends on.
        base_config: the architecture file that `options.model` changes.
        overwrite: replace an output directory that is not empty.
        finish: called with the complete directory before it appears under its name; `hf-embeddings pretrain` writes the
            model card there.

    Raises:
        ValueError: the options contradict each other or the corpus; nothing has been written then.
    """
    output = Path(options.output_dir)
    if output.exists() and not overwrite and (not output.is_dir() or any(output.iterdir())):
        raise ValueError(f"output_dir: {output} exists and is not empty; choose another or pass --overwrite")
    build_config(options, base_config, vocab_size=options.tokenizer.vocab_size)  # a mistake shows before the work
    output.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        figures = _run(options, base_config, staging)
        if figures["main_process"]:
            if finish:
                finish(staging)
            if output.exists():
                shutil.rmtree(output)
            staging.chmod(0o755)
            os.replace(staging, output)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return figures


def build_config(options: PretrainingOptions, base_config: Path, *, vocab_size: int) -> TriEmbedConfig:
    """Return the architecture: the base file, the overrides of the run, and the size of the vocabulary."""
    config = TriEmbedConfig(**read_architecture(base_config) | options.model.overrides | {"vocab_size": vocab_size})
    if options.examples.max_length > config.max_position_embeddings and "learned" in config.position_parts:
        raise ValueError(
            f"examples.max_length: {options.examples.max_length} is above max_position_embeddings "
            f"{config.max_position_embeddings}; lower it or raise model.max_position_embeddings"
        )
    return config


def _run(options: PretrainingOptions, base_config: Path, staging: Path) -> dict[str, object]:
    started = time.monotonic()
    if not torch.cuda.is_available():
        os.environ.setdefault("ACCELERATE_USE_CPU", "true")
        if options.training.mixed_precision == "fp16":
            raise ValueError("training.mixed_precision: got 'fp16', which needs a GPU; use 'bf16' or 'no' on a CPU")
    accelerator = Accelerator(
        mixed_precision=options.training.mixed_precision,
        log_with="tensorboard" if options.training.tensorboard else None,
        project_dir=str(staging),
    )
    set_seed(options.seed)
    say = _speaker(accelerator, started)
    corpus = load_corpus(**asdict(options.corpus))
    say(
        "corpus: "
        + ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in corpus.statistics.items() if value)
    )
    tokenizer, training, held_out = _tokenize(options, corpus, say)
    vocabulary = Vocabulary.of(tokenizer)
    batches = evaluation_batches(held_out, vocabulary, options)
    config = build_config(options, base_config, vocab_size=math.ceil(len(tokenizer) / 64) * 64)
    config.pad_token_id = tokenizer.pad_token_id
    if config.type_vocab_size < 2 and (name := relation(options.examples.objectives)):
        say(f"note: {name} runs without segments (type_vocab_size {config.type_vocab_size}); only [SEP] divides a pair")
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    if config.type_vocab_size:
        tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    model = TriEmbedForPreTraining(config)
    model.set_attn_implementation(options.training.attention)
    if options.training.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    baseline = unigram_loss(training.corpus.tokens, batches, config.vocab_size)
    say(f"model: {model.num_parameters():,} parameters, {config.position_embedding_type} positions")
    if options.training.tensorboard:
        accelerator.init_trackers("tensorboard")
    run = train(model, training, vocabulary, options, accelerator, batches)
    model = accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    figures = evaluate(model, batches, options.examples.objectives, accelerator.device)
    if options.training.tensorboard:
        accelerator.log({f"evaluation/{name}": value for name, value in figures.items()}, step=run["steps"])
    accelerator.end_training()
    figures = {"unigram_loss": baseline} | figures | {f"training_{name}": value for name, value in run.items()}
    figures["parameters"] = model.num_parameters()
    if accelerator.is_main_process:
        export(model, tokenizer, options, figures, corpus.statistics, staging, dump(options))
    say(
        f"held-out mlm loss {figures['mlm_loss']:.3f} nats beside {baseline:.3f} for token frequencies alone; "
        f"accuracy {figures['mlm_accuracy']:.1%}"
    )
    if name := relation(options.examples.objectives):
        low, high = figures[f"{name}_accuracy_low"], figures[f"{name}_accuracy_high"]
        accuracy = figures[f"{name}_accuracy"]
        say(f"held-out {name} accuracy {accuracy:.1%} (95 % interval {low:.1%} to {high:.1%}; chance 50 %)")
    return figures | {"main_process": accelerator.is_main_process, "output_dir": options.output_dir}


def _tokenize(options: PretrainingOptions, corpus, say):
    settings, max_length = options.tokenizer, options.examples.max_length
    if settings.path is not None:
        tokenizer = load_tokenizer(settings.path)
    else:
        tokenizer = train_tokenizer(
            corpus.training,
            vocab_size=settings.vocab_size,
            lowercase=settings.lowercase,
            min_frequency=settings.min_frequency,
            max_length=max_length,
        )
    say(f"tokenizer: {len(tokenizer):,} pieces")
    chunks = []
    for name, documents in (("training", corpus.training), ("held-out", corpus.evaluation)):
        encoded = encode_sentences(tokenizer, documents)
        cut = cut_chunks(encoded, max_tokens=max_length - SPECIAL_TOKENS_PER_PAIR)
        if not len(cut):
            raise ValueError(f"corpus.source: no {name} document has 4 tokens or more; give longer documents")
        say(f"{name}: {len(encoded.tokens):,} tokens in {len(cut):,} examples, {cut.skipped:,} too short for one")
        chunks.append(cut)
    return tokenizer, *chunks


def _speaker(accelerator: Accelerator, started: float):
    def say(message: str) -> None:
        if accelerator.is_main_process:
            print(f"[{time.monotonic() - started:6.1f} s] {message}", file=sys.stderr, flush=True)

    return say
