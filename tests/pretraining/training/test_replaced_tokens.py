"""Replaced-token detection: its loss and gradients are those of the papers, and what is saved is what was trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from hf_embeddings import TriEmbedConfig, TriEmbedForMaskedLM, TriEmbedForTokenClassification
from hf_embeddings.pretraining.examples.batches import IGNORED, make_batch, real_tokens
from hf_embeddings.pretraining.examples.chunks import cut_chunks
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.options import ExampleOptions, GeneratorOptions, TrainingOptions
from hf_embeddings.pretraining.training import replaced_tokens
from hf_embeddings.pretraining.training.generator_config import discriminator_fields
from hf_embeddings.pretraining.training.gradients import compute_gradients
from hf_embeddings.pretraining.training.replaced_tokens import TABLE, ReplacedTokenDetection
from tests.pretraining.numbered_corpus import VOCABULARY, numbered_corpus

ENTRIES = 1000
EXAMPLES = ExampleOptions(max_length=64, objectives=["rtd"])
WAYS = ("disentangled", "shared", "separate")
Tensors = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def no_accelerator() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)


def batches(count: int) -> list[Tensors]:
    chunks = cut_chunks(numbered_corpus(), max_tokens=61)
    schedule = Schedule.plan(chunks, tokens_per_batch=320, seed=0, relation=None)
    vocabulary = replace(VOCABULARY, ordinary=np.arange(5, ENTRIES))
    return [make_batch(schedule, *schedule.batch(number), vocabulary, EXAMPLES) for number in range(count)]


def pair(embeddings: str, **fields: object) -> ReplacedTokenDetection:
    torch.manual_seed(0)
    sizes = {"vocab_size": ENTRIES, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4}
    rest = {"intermediate_size": 16, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = TriEmbedConfig(**discriminator_fields(sizes | rest | {"initializer_range": 0.2} | fields))
    model = ReplacedTokenDetection(config, GeneratorOptions(embeddings=embeddings)).double()
    if embeddings == "disentangled":  # as if it had been trained
        with torch.no_grad():
            model.discriminator.get_input_embeddings().weight[5:].normal_(0, 0.1)
    return model


def alone(model: ReplacedTokenDetection) -> tuple[TriEmbedForMaskedLM, TriEmbedForTokenClassification]:
    """Return both models as they are without each other."""
    generator = TriEmbedForMaskedLM(model.generator.config).double()
    discriminator = TriEmbedForTokenClassification(model.config).double()
    generator.load_state_dict(model.generator.state_dict())
    discriminator.load_state_dict(model.discriminator.state_dict())
    if model.embeddings == "disentangled":
        with torch.no_grad():
            discriminator.get_input_embeddings().weight += generator.get_input_embeddings().weight
    return generator, discriminator


def documents(batch: Tensors) -> list[slice]:
    """Return where the examples of a row are, without the padding."""
    bounds = [bound for bound in batch["cu_seq_lens"].tolist() if bound <= real_tokens(batch)]
    return [slice(*ends) for ends in zip(bounds[:-1], bounds[1:], strict=True)]


def papers(model: ReplacedTokenDetection, rows: list[Tensors], drawn: list[torch.Tensor]) -> tuple[float, float]:
    """Leave the gradients of ELECTRA's loss in both models; loop over examples, and return the two means."""
    generator, discriminator = alone(model)
    of_generator, of_discriminator = [], []
    for batch, tokens in zip(rows, drawn, strict=True):
        is_masked = batch["labels"] != IGNORED
        answers = dict(zip(batch["masked_lm_positions"][is_masked].tolist(), batch["labels"][is_masked], strict=True))
        guesses = dict(zip(answers, tokens, strict=True))
        for place in documents(batch):
            segments = batch["token_type_ids"][:, place]
            scores = generator(batch["input_ids"][:, place], token_type_ids=segments).logits[0]
            shown = batch["input_ids"][0, place].clone()
            replaced = torch.zeros(len(shown), dtype=torch.bool)
            for index, position in enumerate(range(place.start, place.stop)):
                if position in answers:
                    of_generator.append(-scores[index].log_softmax(0)[answers[position]])
                    shown[index] = guesses[position]
                    replaced[index] = guesses[position] != answers[position]
            chance = discriminator(shown[None], token_type_ids=segments).logits[0, :, 0].sigmoid()
            of_discriminator += [-(p if y else 1 - p).log() for p, y in zip(chance, replaced, strict=True)]
    losses = [torch.stack(own).mean() for own in (of_generator, of_discriminator)]
    losses[0].backward()
    (50 * losses[1]).backward()
    model.reference = generator, discriminator
    return losses[0].item(), losses[1].item()


@pytest.mark.parametrize("embeddings", WAYS)
def test_loss_and_gradients_are_those_of_the_papers(embeddings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over two packed micro-batches, as if each example stood alone. What tells the originals teaches no generator."""
    model, rows, drawn = pair(embeddings).train(), batches(2), []
    draw = model._drawn
    monkeypatch.setattr(model, "_drawn", lambda *given: drawn.append(draw(*given)) or drawn[-1])
    figures = compute_gradients(
        model, rows, EXAMPLES, TrainingOptions(max_grad_norm=1e9), Accelerator(cpu=True), seed=0, step=0
    )
    losses = papers(model, rows, drawn)
    assert list(figures.losses.values()) == pytest.approx(losses, rel=1e-6) and list(figures.losses) == [
        "generator",
        "rtd",
    ]
    generator, discriminator = ({n: p.grad for n, p in part.named_parameters()} for part in model.reference)
    if embeddings == "shared":
        generator[TABLE] = generator[TABLE] + discriminator.pop(TABLE)
    expected = {f"generator.{n}": g for n, g in generator.items()}
    expected |= {f"discriminator.{n}": g for n, g in discriminator.items()}
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=name)


def test_tokens_are_drawn_from_the_softmax_of_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many scores are held at a time; in evaluation the same ones each time."""
    model, hidden, places = pair("shared"), torch.ones(1, 4000, 4, dtype=torch.double), torch.arange(4000)
    torch.nn.init.normal_(model.generator.predictions.decoder.bias, std=3.0)
    monkeypatch.setattr(replaced_tokens, "SCORES_AT_A_TIME", 700 * ENTRIES)
    torch.manual_seed(1)
    tokens = model._drawn(hidden, places, None)
    expected = model.generator.predictions(hidden, places[:1])[0].softmax(0)
    counts = torch.bincount(tokens, minlength=ENTRIES)
    likely = expected > 0.01
    assert likely.sum() > 5
    error = (counts[likely] / 4000 - expected[likely]) / (expected[likely] / 4000).sqrt()
    assert error.abs().max() < 4.5 and 0.5 < error.square().mean() < 2.0
    assert torch.equal(model._drawn(hidden, places, 7), model._drawn(hidden, places, 7))
    assert not torch.equal(model._drawn(hidden, places, 7), model._drawn(hidden, places, 8))


@pytest.mark.parametrize("embeddings", WAYS)
def test_what_is_saved_is_what_was_trained(embeddings: str, tmp_path: Path) -> None:
    """Both load by themselves, score as in the run, and a run that is resumed reads them back to the bit."""
    model, [batch] = pair(embeddings).float().eval(), batches(1)
    tied = model.all_tied_weights_keys
    weights = {name: tensor for name, tensor in model.state_dict().items() if name not in tied}
    model.save_pretrained(tmp_path, state_dict=weights)
    again = pair(embeddings).float()
    problems = again.load_state_dict(again.stored_weights(tmp_path), strict=False)
    assert set(problems.missing_keys) <= tied.keys() and not problems.unexpected_keys
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    inputs = {"token_type_ids": batch["token_type_ids"], "position_ids": batch["position_ids"]}
    with torch.no_grad():
        detector = TriEmbedForTokenClassification.from_pretrained(tmp_path)
        scores = detector(batch["input_ids"], **inputs).logits.flatten()
        assert torch.equal(scores, model._detect(batch["input_ids"], **inputs))
        predicted = TriEmbedForMaskedLM.from_pretrained(tmp_path / "generator")(batch["input_ids"], **inputs).logits
        assert torch.equal(predicted, model.generator(batch["input_ids"], **inputs).logits)


@pytest.mark.parametrize(
    ("fields", "width", "sizes"),
    [
        ({"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024}, 0.25, (64, 1, 256, 256)),  # small
        ({"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072}, 1 / 3, (256, 4, 1024, 768)),
        ({"hidden_size": 64, "num_attention_heads": 4, "embedding_size": 32}, 0.5, (32, 2, 1536, None)),
        ({"hidden_size": 64, "num_attention_heads": 4}, 1.0, (64, 4, 3072, None)),
    ],
)
def test_the_generator_has_the_sizes_of_the_paper(fields: dict, width: float, sizes: tuple) -> None:
    """A share of the heads, each as wide; a token table as wide, so that it can be shared."""
    with torch.device("meta"):
        config = TriEmbedConfig(**discriminator_fields(fields), num_hidden_layers=3)
        made = replaced_tokens.generator_config(config, GeneratorOptions(width=width, layers=0.5))
    assert (made.hidden_size, made.num_attention_heads, made.intermediate_size, made.embedding_size) == sizes
    assert made.num_hidden_layers == 2 and not made.token_transform and made.num_labels == 2
