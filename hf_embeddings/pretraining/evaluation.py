"""Evaluation on held-out documents, beside what a model would reach that knows only how often each token occurs."""

import math

import numpy as np
import torch

from hf_embeddings.pretraining.batches import IGNORED, Vocabulary, make_batch
from hf_embeddings.pretraining.chunks import Chunks
from hf_embeddings.pretraining.objectives import correct_count, label_count, relation, summed_loss
from hf_embeddings.pretraining.options import PretrainingOptions
from hf_embeddings.pretraining.packing import SPECIAL_TOKENS_PER_PAIR, Schedule


def evaluation_batches(chunks: Chunks, vocabulary: Vocabulary, options: PretrainingOptions) -> list[dict]:
    """Return the same batches at every call, with `evaluation_examples` held-out examples where there are so many."""
    longest = chunks.max_tokens + SPECIAL_TOKENS_PER_PAIR
    schedule = Schedule.plan(
        chunks,
        tokens_per_batch=max(4096, longest),
        seed=options.seed + 1,
        relation=relation(options.examples.objectives),
    )
    batches, examples = [], 0
    for number in range(schedule.batches_per_epoch):
        epoch, pairs = schedule.batch(number)
        probability = options.examples.evaluation_masking_probability
        batches.append(make_batch(schedule, epoch, pairs, vocabulary, options.examples, probability=probability))
        examples += len(pairs)
        if examples >= options.training.evaluation_examples:
            break
    return batches


@torch.no_grad()
def evaluate(model, batches: list[dict], objectives: list[str], device: torch.device) -> dict[str, float]:
    """Return loss, accuracy, number of labels and the 95 % interval of the accuracy for each objective."""
    model.eval()
    totals = {name: np.zeros(3) for name in objectives}
    for batch in batches:
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        outputs = model(**inputs_of(batch, model))
        for name in objectives:
            loss = summed_loss(name, outputs, batch).item()
            totals[name] += [loss, label_count(name, batch), correct_count(name, outputs, batch)]
    model.train()
    figures = {}
    for name, (loss, count, correct) in totals.items():
        low, high = wilson_interval(int(correct), int(count))
        figures |= {
            f"{name}_loss": loss / count,
            f"{name}_accuracy": correct / count,
            f"{name}_accuracy_low": low,
            f"{name}_accuracy_high": high,
            f"{name}_labels": int(count),
        }
    return figures


def inputs_of(batch: dict[str, torch.Tensor], model) -> dict[str, torch.Tensor | int]:
    """Return what the model reads of a batch: labels stay outside, where counts over all devices are known."""
    config = getattr(model, "module", model).config
    names = ["input_ids", "position_ids", "masked_lm_positions"] + ["token_type_ids"] * (config.type_vocab_size > 1)
    bounds = batch["cu_seq_lens"]
    longest = int(batch["position_ids"].max()) + 1
    return {name: batch[name] for name in names} | {
        "cu_seq_lens_q": bounds,
        "cu_seq_lens_k": bounds,
        "max_length_q": longest,
        "max_length_k": longest,
    }


def real_tokens(batch: dict[str, torch.Tensor]) -> int:
    """Number of tokens that are not padding."""
    return int(batch["cu_seq_lens"][(batch["next_sentence_label"] != IGNORED).sum()])


def log_frequencies(counts: np.ndarray, vocab_size: int) -> np.ndarray:
    """Return the logarithm of each token's share of the training set (vocab_size,), from counts and one more each."""
    counts = np.pad(counts, (0, vocab_size - len(counts))).astype(np.float64) + 1
    return np.asarray(np.log(counts / counts.sum()))


def unigram_loss(log_frequencies: np.ndarray, batches: list[dict]) -> float:
    """Return the loss in nats, on the evaluation labels, of a model that knows only how often each token occurs."""
    labels = np.concatenate([batch["labels"].numpy() for batch in batches])
    return -float(np.mean(log_frequencies[labels[labels != IGNORED]]))


def wilson_interval(correct: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a proportion (Wilson 1927)."""
    share = correct / count
    centre = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (centre - spread) / (1 + z * z / count), (centre + spread) / (1 + z * z / count)
