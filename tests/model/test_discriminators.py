"""A checkpoint of a discriminator: its head is for its own task, and for no other."""

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoModelForTokenClassification

from hf_embeddings import TriEmbedConfig, TriEmbedForMaskedLM, TriEmbedForMultipleChoice, TriEmbedForTokenClassification

SIZES = {"vocab_size": 32, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}


@pytest.fixture(scope="module")
def discriminator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("discriminator")
    config = TriEmbedConfig(**SIZES, id2label={0: "REPLACED"}, token_transform=True, pooler_act="gelu")
    TriEmbedForTokenClassification(config).save_pretrained(folder)
    return folder


def test_it_loads_as_what_it_is(discriminator: Path) -> None:
    model = AutoModelForTokenClassification.from_pretrained(discriminator)
    assert model.new_modules == () and model.config.id2label == {0: "REPLACED"}
    config = AutoConfig.from_pretrained(discriminator)
    assert TriEmbedForTokenClassification.from_pretrained(discriminator, config=config).new_modules == ()


@pytest.mark.parametrize(
    ("load", "labels", "new"),
    [
        (AutoModelForSequenceClassification, {"num_labels": 2}, {"classifier", "triembed.pooler"}),
        (AutoModelForSequenceClassification, {"num_labels": 1}, {"classifier", "triembed.pooler"}),  # as many as it has
        (AutoModelForTokenClassification, {"num_labels": 3}, {"classifier", "transform"}),
        (AutoModelForTokenClassification, {"id2label": {0: "NAME"}}, {"classifier", "transform"}),
        (TriEmbedForMultipleChoice, {}, {"classifier", "triembed.pooler"}),
    ],
)
def test_another_task_begins_with_a_new_head(load, labels: dict, new: set[str], discriminator: Path) -> None:
    torch.manual_seed(0)
    model = load.from_pretrained(discriminator, **labels)
    stored = TriEmbedForTokenClassification.from_pretrained(discriminator)
    assert set(model.new_modules) == new
    assert not torch.equal(model.classifier.weight[:1], stored.classifier.weight)
    assert 0.005 < model.classifier.weight.std() < 0.05 and not model.classifier.bias.any()
    assert torch.equal(model.get_input_embeddings().weight, stored.get_input_embeddings().weight)


def test_other_sizes_are_still_refused(discriminator: Path) -> None:
    config = TriEmbedConfig(**SIZES | {"intermediate_size": 16}, num_labels=2)
    with pytest.raises(ValueError, match=r"feed_forward.* has shape \(8, 8\) in the checkpoint, expected \("):
        AutoModelForSequenceClassification.from_pretrained(discriminator, config=config)


def test_it_predicts_no_tokens_unless_asked(discriminator: Path) -> None:
    with pytest.raises(ValueError, match="holds a discriminator, .*load its generator"):
        TriEmbedForMaskedLM.from_pretrained(discriminator)
    model = TriEmbedForMaskedLM.from_pretrained(discriminator, allow_missing_weights=True)
    assert model.new_modules == ("predictions",)
