"""Objectives alone and together, their weights, what is predicted, and how much of the scores exists at a time."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import BertTokenizer

from hf_embeddings import TriEmbedConfig, TriEmbedForPreTraining
from hf_embeddings.corpora.options import CorpusOptions
from hf_embeddings.model import linear_cross_entropy
from hf_embeddings.pretraining.examples.batches import Vocabulary, make_batch
from hf_embeddings.pretraining.examples.chunks import cut_chunks
from hf_embeddings.pretraining.examples.pairs import relation
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.options import ExampleOptions, ModelOptions, PretrainingOptions, TrainingOptions
from hf_embeddings.pretraining.training.gradients import compute_gradients
from hf_embeddings.pretraining.training.initial_model import compile_layers
from tests.pretraining.numbered_corpus import VOCABULARY, numbered_corpus

TOKENS, ENTRIES = 640, 1000
ORDINARY = np.arange(5, ENTRIES)


@pytest.fixture(autouse=True)
def no_accelerator() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)  # of earlier tests in this process


def batch_of(examples: ExampleOptions) -> dict[str, torch.Tensor]:
    chunks = cut_chunks(numbered_corpus(), max_tokens=61)
    schedule = Schedule.plan(chunks, tokens_per_batch=TOKENS, seed=0, relation=relation(examples.objectives))
    return make_batch(schedule, *schedule.batch(0), replace(VOCABULARY, ordinary=ORDINARY), examples)


def model_of(**fields: object) -> TriEmbedForPreTraining:
    torch.manual_seed(0)
    config = TriEmbedConfig(
        vocab_size=ENTRIES, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **fields,
    )  # fmt: skip
    return TriEmbedForPreTraining(config)


def gradients(
    objectives: list[str], weights: dict[str, float] | None = None, change: Callable | None = None
) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """Return the losses and the gradient of each parameter, in fp64 and hardly clipped, of one batch."""
    examples = ExampleOptions(max_length=64, objectives=objectives, objective_weights=weights or {})
    options = PretrainingOptions(
        output_dir="out", model=ModelOptions(base="tiny"), corpus=CorpusOptions(source="texts"), examples=examples,
        training=TrainingOptions(max_grad_norm=1e9),
    )  # fmt: skip
    model = model_of().double().train()
    if change:
        change(model)
    # The pairs are those of `nsp` throughout, so that losses can be compared.
    batch = batch_of(replace(examples, objectives=["nsp"], objective_weights={}))
    figures = compute_gradients(
        model, [batch], options.examples, options.training, Accelerator(cpu=True), seed=options.seed, step=0
    )
    return figures.losses, {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def test_the_gradient_is_the_weighted_sum_of_those_of_each_objective() -> None:
    mlm_loss, mlm = gradients(["mlm"])
    nsp_loss, nsp = gradients(["nsp"])
    losses, both = gradients(["mlm", "nsp"], {"mlm": 0.5, "nsp": 3.0})
    assert losses == pytest.approx(mlm_loss | nsp_loss)  # unweighted, so that they can be compared
    for name, gradient in both.items():
        expected = 0.5 * mlm.get(name, torch.zeros(())) + 3.0 * nsp.get(name, torch.zeros(()))
        torch.testing.assert_close(gradient, expected.expand_as(gradient), msg=name)


@pytest.mark.parametrize("objectives", [["mlm"], ["nsp"], ["sop"], ["mlm", "nsp"], ["mlm", "sop"]])
def test_each_objective_works_alone_and_with_mlm(objectives: list[str]) -> None:
    losses, found = gradients(objectives)
    assert list(losses) == objectives and all(np.isfinite(list(losses.values())))
    assert ("predictions.decoder.bias" in found) == ("mlm" in objectives)
    assert ("seq_relationship.weight" in found) == (relation(objectives) is not None)


@pytest.mark.parametrize(
    ("change", "backend"),
    [
        (lambda model: model.gradient_checkpointing_enable(), None),
        (compile_layers, "aot_eager"),
        pytest.param(compile_layers, "inductor", marks=pytest.mark.slow),  # calls a C++ compiler
    ],
    ids=["checkpointing", "traced", "compiled"],
)
def test_memory_and_speed_switches_keep_the_gradient(change: Callable, backend: str | None, monkeypatch) -> None:
    def compile_with(module: torch.nn.Module) -> None:
        compiled.append(module)
        module._compiled_call_impl = torch.compile(module._call_impl, backend=backend)

    compiled: list[torch.nn.Module] = []
    monkeypatch.setattr(torch.nn.Module, "compile", compile_with)
    _, expected = gradients(["mlm", "nsp"])
    _, found = gradients(["mlm", "nsp"], change=change)
    assert len(compiled) == (2 if backend else 0)  # of two layers
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=name)


def test_all_chosen_tokens_can_be_masks() -> None:
    examples = ExampleOptions(max_length=64, mask_token_fraction=1.0, random_token_fraction=0.0)
    batch = batch_of(examples)
    real = batch["labels"] != -100
    shown = batch["input_ids"][0, batch["masked_lm_positions"][real]]
    assert (shown == VOCABULARY.mask).all() and real.sum() > 50
    assert not torch.isin(batch["labels"][real], torch.tensor([VOCABULARY.cls, VOCABULARY.sep, VOCABULARY.pad])).any()


def test_no_special_token_is_ordinary() -> None:
    """Added ones neither: a random token is never one of them."""
    words = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##c"])}
    tokenizer = BertTokenizer(vocab=words)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<query>"]})
    vocabulary = Vocabulary.of(tokenizer)
    assert tokenizer.convert_ids_to_tokens(vocabulary.ordinary) == ["a", "b", "##c"]


class LargestTensor(TorchDispatchMode):
    """Watch every operation of forward and backward for the tensor with the most elements."""

    elements = 0

    def __torch_dispatch__(self, function, types, arguments=(), given=None):
        """Run an operation and look at what it makes."""
        result = function(*arguments, **(given or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.elements = max(self.elements, *sizes, 0)
        return result


def test_scores_exist_for_a_chunk_of_the_masked_tokens_only(monkeypatch) -> None:
    masked = len(batch_of(ExampleOptions(max_length=64))["labels"])
    for rows in (masked, 32):
        monkeypatch.setattr(linear_cross_entropy, "SCORES_AT_A_TIME", rows * ENTRIES)
        with LargestTensor() as watched:
            gradients(["mlm", "nsp"])
        assert watched.elements == rows * ENTRIES
    assert 64 <= masked < TOKENS / 5
