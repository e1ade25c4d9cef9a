"""What a run of a lab has learned of order: four measures beyond its loss, on which chance and no order are known.

Shapes: T tokens of a batch, M masked ones, N examples, S tokens of an example.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from hf_embeddings.evaluation.grammar import LANGUAGES
from hf_embeddings.evaluation.position_bias import position_bias
from hf_embeddings.evaluation.sentence_likelihood import judge_grammar
from hf_embeddings.evaluation.vectors import Vectors
from hf_embeddings.loading.messages import no_bars
from hf_embeddings.model.modeling_triembed import (
    TriEmbedForMaskedLM,
    TriEmbedForPreTraining,
    TriEmbedForSequenceClassification,
)
from hf_embeddings.pretraining.examples.batches import Vocabulary
from hf_embeddings.pretraining.examples.chunks import Chunks
from hf_embeddings.pretraining.training.held_out import evaluate_held_out
from hf_embeddings.progress import Phases, silent_phase
from hf_embeddings.records.lab import Judgement

GROUPS = (1, 2, 4)  # tokens that stay together
SENTENCES = 400  # held-out, of which documents are made
LENGTH, STEPS, BATCH, TESTED = 16, 150, 32, 512  # of the small tasks: tokens, steps, examples of a step and of the test
LEARNING_RATE = 1e-3
TASKS = ("order", "content")


def judge(
    folder: Path,
    *,
    held_out: Sequence[dict[str, torch.Tensor]],
    documents: Chunks,
    vocabulary: Vocabulary,
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    phases: Phases = silent_phase,
) -> Judgement:
    """Measure a trained run; the time does not depend on the length of the training.

    Args:
        folder: of the run.
        held_out: batches of one whole example after the other.
        documents: whose sentences documents are made of.
        vocabulary: of the run.
        tokenizer: of the run.
        seed: of shuffles and of the small tasks.
        phases: makes what shows how far it is.
    """
    with no_bars():
        pretrained = TriEmbedForPreTraining.from_pretrained(folder, dtype=torch.float32).eval()
        masked = TriEmbedForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
    bias = position_bias(Vectors.load(folder, pooling="mean"), sentences_of(documents, tokenizer))
    return Judgement(
        shuffled=order_sensitivity(pretrained, held_out, vocabulary, seed=seed, phases=phases),
        start_less_end=None if bias is None else bias.start_less_end,
        grammar={language: judge_grammar(masked, tokenizer, language, phases=phases) for language in LANGUAGES},
        fine_tuned={task: fine_tune(folder, task, vocabulary, seed=seed, phases=phases) for task in TASKS},
    )


def order_sensitivity(
    model: TriEmbedForPreTraining,
    batches: Sequence[dict[str, torch.Tensor]],
    vocabulary: Vocabulary,
    *,
    seed: int,
    phases: Phases = silent_phase,
) -> dict[str, float]:
    """Return by how much the MLM loss rises where groups of tokens change places, by the size of the groups.

    What is hidden moves with its group, so that only the order differs. 0: the model does not use order.
    """
    cpu = torch.device("cpu")
    before = evaluate_held_out(model, [*batches], ["mlm"], cpu, phases=phases)["mlm"].loss
    rises = {}
    for size in GROUPS:
        random = np.random.default_rng(seed)
        shuffled = [shuffle_groups(batch, size, {vocabulary.cls, vocabulary.sep}, random) for batch in batches]
        rises[str(size)] = evaluate_held_out(model, shuffled, ["mlm"], cpu, phases=phases)["mlm"].loss - before
    return rises


def shuffle_groups(
    batch: dict[str, torch.Tensor], size: int, kept: set[int], random: np.random.Generator
) -> dict[str, torch.Tensor]:
    """Shuffle groups of `size` tokens in each segment of each document; the tokens of `kept` stay in their places."""
    ids, bounds = batch["input_ids"][0].numpy(), batch["cu_seq_lens"].tolist()
    source = np.arange(len(ids))  # the token that comes to each place
    for start, end in zip(bounds, bounds[1:], strict=False):
        stops = [start - 1, *(place for place in range(start, end) if int(ids[place]) in kept), end]
        for left, right in zip(stops, stops[1:], strict=False):
            places = np.arange(left + 1, right)
            groups = [places[first : first + size] for first in range(0, len(places), size)]
            if len(groups) > 1:
                source[places] = np.concatenate([groups[number] for number in random.permutation(len(groups))])
    place_of = np.empty_like(source)
    place_of[source] = np.arange(len(ids))
    moved = torch.from_numpy(place_of)[batch["masked_lm_positions"]]
    return batch | {"input_ids": batch["input_ids"][:, torch.from_numpy(source)], "masked_lm_positions": moved}


def sentences_of(chunks: Chunks, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return held-out sentences as text, as many as are wanted."""
    corpus, found = chunks.corpus, []
    for span in zip(*chunks[:][3:], strict=True):
        for mark in range(int(span[0]), int(span[1])):
            start, end = (int(corpus.sentence_starts[own]) for own in (mark, mark + 1))
            found.append(str(tokenizer.decode(corpus.tokens[start:end].tolist())))
            if len(found) == SENTENCES:
                return found
    return found


def fine_tune(folder: Path, task: str, vocabulary: Vocabulary, *, seed: int, phases: Phases = silent_phase) -> float:
    """Train a classifier on a task of two labels for a few steps, and return its accuracy on other examples.

    `order`: which of two words stands first, both always there. `content`: which of two words is there, wherever.
    """
    random = np.random.default_rng([seed, TASKS.index(task)])
    torch.manual_seed(seed)
    with no_bars():
        model = TriEmbedForSequenceClassification.from_pretrained(folder, num_labels=2, dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    model.train()
    with phases(f"fine-tuning ({task})", STEPS, unit="steps") as phase:
        for _ in range(STEPS):
            ids, labels = examples_of(task, vocabulary, BATCH, random)
            loss = model(input_ids=ids, labels=labels).loss
            assert loss is not None, "labels are given"
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            phase.advance()
    model.eval()
    ids, labels = examples_of(task, vocabulary, TESTED, random)
    with torch.no_grad():
        logits = model(input_ids=ids).logits
    assert logits is not None, "computed always"
    return float((logits.argmax(dim=-1) == labels).float().mean())


def examples_of(
    task: str, vocabulary: Vocabulary, count: int, random: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids (N, S) of random words between [CLS] and [SEP], with two that matter, and labels (N,)."""
    words = vocabulary.ordinary
    first, second, third = (int(words[len(words) * share // 4]) for share in (1, 2, 3))
    fill = words[(words != first) & (words != second) & (words != third)]
    ids = random.choice(fill, (count, LENGTH))
    ids[:, 0], ids[:, -1] = vocabulary.cls, vocabulary.sep
    labels = random.integers(2, size=count)
    places = np.sort([random.choice(np.arange(1, LENGTH - 1), 2, replace=False) for _ in range(count)], axis=1)
    rows = np.arange(count)
    if task == "order":
        ids[rows, places[:, 0]] = np.where(labels == 0, first, second)
        ids[rows, places[:, 1]] = np.where(labels == 0, second, first)
    else:
        ids[rows, places[:, 0]] = np.where(labels == 0, first, second)
        ids[rows, places[:, 1]] = third
    return torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(labels)
