"""Evaluation on held-out documents, beside what a model would reach that knows only how often each token occurs."""

import math

import numpy as np
import torch

from hf_embeddings.pretraining.batches import Vocabulary, make_batch, plan_epoch
from hf_embeddings.pretraining.objectives import OBJECTIVES
from hf_embeddings.pretraining.options import PretrainingOptions
from hf_embeddings.pretraining.pairs import Chunks


def evaluation_batches(chunks: Chunks, vocabulary: Vocabulary, options: PretrainingOptions) -> list[dict]:
    """Return the same batches at every call: at most `evaluation_examples` held-out examples."""
    seed, batches, examples = options.seed + 1, [], 0
    for samples in plan_epoch(chunks, tokens_per_batch=4096, seed=seed, epoch=0):
        samples = samples[: options.training.evaluation_examples - examples]
        if not len(samples):
            break
        examples += len(samples)
        batches.append(make_batch(chunks, samples, vocabulary, options.examples, seed=seed, epoch=0))
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
            totals[name] += [value.item() for value in OBJECTIVES[name](outputs, batch)]
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


def inputs_of(batch: dict[str, torch.Tensor], model) -> dict[str, torch.Tensor]:
    """Return what the model reads of a batch: labels stay outside, where counts over all devices are known."""
    names = ["input_ids", "attention_mask", "masked_lm_positions"]
    config = getattr(model, "module", model).config
    return {name: batch[name] for name in (names + ["token_type_ids"] if config.type_vocab_size > 1 else names)}


def unigram_loss(training: np.ndarray, batches: list[dict], vocab_size: int) -> float:
    """Return the loss in nats, on the evaluation labels, of the token frequencies of the training set (add-one)."""
    counts = np.bincount(training, minlength=vocab_size).astype(np.float64) + 1
    surprise = -np.log(counts / counts.sum())
    return float(np.mean(np.concatenate([surprise[batch["labels"].numpy()] for batch in batches])))


def wilson_interval(correct: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a proportion (Wilson 1927)."""
    share = correct / count
    centre = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (centre - spread) / (1 + z * z / count), (centre + spread) / (1 + z * z / count)
