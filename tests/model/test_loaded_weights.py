"""What a checkpoint may lack or hold beyond a model: the name of the encoder decides, and all that is new is named."""

import logging

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoModelForTextEncoding

from hf_embeddings import POSITION_TYPES, TriEmbedForSequenceClassification, TriEmbedModel, TriEmbedPreTrainedModel
from tests.model.test_expectations import batch, make


class Tagger(TriEmbedPreTrainedModel):
    """A head of the user's own."""

    def __init__(self, config) -> None:
        super().__init__(config)
        self.triembed = TriEmbedModel(config)
        self.tagger = nn.Sequential(nn.Linear(config.hidden_size, 8), nn.Linear(8, 3))
        self.post_init()


class Deeper(TriEmbedForSequenceClassification):
    """A task class with one more layer."""

    def __init__(self, config) -> None:
        super().__init__(config)
        self.between = nn.Linear(config.hidden_size, config.hidden_size)
        self.post_init()


class Misnamed(TriEmbedPreTrainedModel):
    """A head whose encoder has another name than in checkpoints."""

    def __init__(self, config) -> None:
        super().__init__(config)
        self.encoder = TriEmbedModel(config)
        self.post_init()


@pytest.fixture(autouse=True)
def said(caplog, monkeypatch):
    """Let the warnings of transformers' loggers be read."""
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("hf_embeddings"), "propagate", True)
    return caplog


def edit(folder, change) -> None:
    weights = change(load_file(folder / "model.safetensors"))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("saved", ["Model", "ForPreTraining", "ForSequenceClassification"])
@pytest.mark.parametrize("head, new", [(Tagger, "tagger"), (Deeper, "between")])
def test_an_own_head_may_be_new_and_is_named(saved: str, head: type, new: str, tmp_path) -> None:
    encoder = make(saved)
    encoder.save_pretrained(tmp_path)
    model = head.from_pretrained(tmp_path)
    assert new in model.new_modules
    assert torch.equal(model.base_model.embeddings.token.weight, encoder.base_model.embeddings.token.weight)
    model.save_pretrained(tmp_path)
    assert head.from_pretrained(tmp_path).new_modules == ()


def test_an_own_head_is_loaded_as_a_whole_or_not_at_all(tmp_path) -> None:
    Tagger(make("Model").config).save_pretrained(tmp_path)
    edit(tmp_path, lambda weights: {name: tensor for name, tensor in weights.items() if name != "tagger.1.bias"})
    with pytest.raises(ValueError, match=r"missing weights for Tagger: tagger.1.bias"):
        Tagger.from_pretrained(tmp_path)


def test_an_encoder_under_another_name_is_an_error_that_says_so(tmp_path) -> None:
    make("Model").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="the encoder is called 'encoder'; call it self.triembed"):
        Misnamed.from_pretrained(tmp_path)


@pytest.mark.parametrize("load", [AutoModel, AutoModelForMaskedLM, AutoModelForTextEncoding])
def test_the_encoder_of_an_own_head_loads_and_the_head_is_named(load: type, tmp_path, said) -> None:
    tagger = Tagger(make("Model").config)
    tagger.save_pretrained(tmp_path)
    model = load.from_pretrained(tmp_path)
    assert torch.equal(
        model.base_model.layers[0].feed_forward.up.weight, tagger.triembed.layers[0].feed_forward.up.weight
    )
    assert "tagger.0.bias" in said.text


@pytest.mark.parametrize("name", ["layers.2.feed_forward.up.weight", "embeddings.other.weight", "something"])
def test_a_weight_without_a_place_in_the_encoder_is_an_error(name: str, tmp_path) -> None:
    make("Model").save_pretrained(tmp_path)
    edit(tmp_path, lambda weights: weights | {name: torch.zeros(2)})
    for load in (AutoModel, TriEmbedForSequenceClassification):
        with pytest.raises(ValueError, match=f"unexpected weights for TriEmbed.*{name}"):
            load.from_pretrained(tmp_path)


@pytest.mark.parametrize("types", [None, ["full_attention", "sliding_attention"]])
def test_fewer_layers_are_the_first_ones_and_the_rest_is_named(types, tmp_path, said) -> None:
    whole = make("ForMaskedLM", layer_types=types, sliding_window=2 if types else None)
    whole.save_pretrained(tmp_path)
    student = AutoModelForMaskedLM.from_pretrained(tmp_path, num_hidden_layers=1)
    assert "layers.1.attention.key.bias" in said.text
    hidden = whole(batch("Model")["input_ids"], output_hidden_states=True).hidden_states
    found = student(batch("Model")["input_ids"], output_hidden_states=True).hidden_states
    assert len(found) == 2 and torch.equal(found[1], hidden[1])
    student.save_pretrained(tmp_path / "student")
    AutoModelForMaskedLM.from_pretrained(tmp_path / "student")


def test_more_layers_are_an_error_unless_asked_for(tmp_path, said) -> None:
    make("Model").save_pretrained(tmp_path)
    for load in (AutoModel, TriEmbedModel):
        with pytest.raises(ValueError, match="missing weights.*layers.2.*allow_missing_weights=True"):
            load.from_pretrained(tmp_path, num_hidden_layers=3)
        model = load.from_pretrained(tmp_path, num_hidden_layers=3, allow_missing_weights=True)
        assert len(model.layers) == 3 and all(weight.isfinite().all() for weight in model.parameters())
        assert "layers.2.attention.key.bias" in said.text and "begin random" in said.text
        said.clear()


def test_no_weights_at_all_are_meant(said) -> None:
    model = TriEmbedModel.from_pretrained(None, config=make("Model").config, state_dict={})
    assert model.pooler is not None and all(weight.isfinite().all() for weight in model.parameters())
    assert "begin random" in said.text
    with pytest.raises(ValueError, match="missing weights"):
        TriEmbedModel.from_pretrained(None, config=model.config, state_dict={"module.layers.0.x": torch.zeros(1)})


@pytest.mark.parametrize("position", POSITION_TYPES)
def test_parameters_of_a_position_type_that_are_missing_on_purpose_have_their_start_values(position, tmp_path) -> None:
    fresh = make("Model", position_embedding_type=position)
    own = dict(fresh.embeddings.position[position].named_parameters(recurse=False))
    model = TriEmbedModel.from_pretrained(None, config=fresh.config, state_dict={})
    started = dict(model.embeddings.position[position].named_parameters(recurse=False))
    assert all(torch.equal(started[name], parameter) for name, parameter in own.items())
    for name in own:  # one is missing, and the others stay as they are stored
        with torch.no_grad():
            fresh.embeddings.position[position].requires_grad_(False).get_parameter(name).add_(0.5)
        fresh.save_pretrained(tmp_path)
        edit(tmp_path, lambda weights, end=f".{name}": {key: weights[key] for key in weights if not key.endswith(end)})
        model = AutoModel.from_pretrained(tmp_path, allow_missing_weights=True)
        loaded = dict(model.embeddings.position[position].named_parameters(recurse=False))
        assert torch.equal(loaded.pop(name), started[name])
        assert all(torch.equal(loaded[other], own[other]) for other in loaded)


FOREIGN = (
    "transformers.js_config custom_pipelines finetuning_task sentence_transformers adapters gradient_checkpointing "
    "tokenizer_class matryoshka_dimensions model_max_length pooling note _name gpt_neox input_size positions_end "
    "base_model_tp_plan quantization prefix task_specific_params max_seq_length language license"
).split()


@pytest.mark.parametrize("key", FOREIGN)
def test_a_key_of_another_tool_is_kept_and_written_back(key: str, tmp_path) -> None:
    config = make("Model").config
    config.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace("{", f'{{"{key}": {{"of": "a tool"}},', 1))
    again = AutoConfig.from_pretrained(tmp_path)
    assert again.input_size == config.input_size and again.base_model_tp_plan == config.base_model_tp_plan
    again.save_pretrained(tmp_path / "again")
    kept = f'"{key}"' in (tmp_path / "again" / "config.json").read_text()
    assert kept or key in ("_name", "base_model_tp_plan")  # private keys, and what transformers never writes
