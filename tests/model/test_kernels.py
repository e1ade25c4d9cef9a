"""Every attention kernel that transformers can be told of gives the outputs of eager attention, or refuses in words."""

import pytest
import torch
from transformers import AutoModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask, flash_attention_mask, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from hf_embeddings import POSITION_TYPES, TriEmbedModel
from tests.model.test_modeling_triembed import SIZES, TYPES, batch, make

ADDING = {name for name, part in POSITION_TYPES.items() if part.pairwise or part.folds}
# flex attention is compiled for each type, which takes seconds: test_modeling_triembed.py compares it.
REGISTERED = [name for name in ALL_ATTENTION_FUNCTIONS.valid_keys() if name != "flex_attention"]
WINDOWS = {"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 2}


def blind(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **kwargs):
    """Attend as the kernels of serving engines do: no mask and no bias is read."""
    context = torch.nn.functional.scaled_dot_product_attention(query, key, value, scale=scaling)
    return context.transpose(1, 2).contiguous(), None


def masked(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **kwargs):
    """Attend with a mask that is added or, if it is bool, says who is seen."""
    context = torch.nn.functional.scaled_dot_product_attention(query, key, value, attention_mask, scale=scaling)
    return context.transpose(1, 2).contiguous(), None


def unknown_mask(**arguments):
    """Make the mask of sdpa under a name that is not known here."""
    return sdpa_mask(**arguments)


def no_tensor(**arguments):
    """Make no mask at all, as kernels do that read something else."""


@pytest.fixture
def register(monkeypatch):
    """Return what registers a kernel, with or without its mask, until the end of the test."""

    def add(kernel, mask=None) -> str:
        monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._global_mapping, "engine", kernel)
        if mask is not None:
            monkeypatch.setitem(ALL_MASK_ATTENTION_FUNCTIONS._global_mapping, "engine", mask)
        return "engine"

    return add


def outputs(model: TriEmbedModel, kernel: str, **inputs: torch.Tensor | None) -> torch.Tensor:
    model.set_attn_implementation(kernel)
    with torch.no_grad():
        return model(**inputs).last_hidden_state


@pytest.mark.parametrize("position", TYPES)
@pytest.mark.parametrize("kernel", [*REGISTERED, "blind"])
def test_registered_kernels_equal_eager_or_refuse(kernel: str, position: str, register) -> None:
    model, (ids, _) = make(position, cls=TriEmbedModel), batch()
    expected = outputs(model, "eager", input_ids=ids)
    name = register(blind) if kernel == "blind" else kernel
    refused = kernel == "blind" and bool(ADDING & set(position.split("+")))
    try:
        found = outputs(model, name, input_ids=ids)
    except (ValueError, ImportError) as error:  # the last is transformers', of a flash kernel that is not installed
        assert str(error)
        assert refused or kernel not in ("blind", "sdpa")
        assert not refused or "score bias" in str(error)
        return
    assert not refused
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("position", TYPES)
@pytest.mark.parametrize("mask", [sdpa_mask, eager_mask, unknown_mask])
def test_a_kernel_whose_mask_is_registered_is_given_biases_windows_and_padding(position: str, mask, register) -> None:
    model, (ids, padding) = make(position, cls=TriEmbedModel, **WINDOWS), batch()
    kernel, real = register(masked, mask), padding.bool()
    for given in (None, padding):
        expected = outputs(model, "eager", input_ids=ids, attention_mask=given)
        found = outputs(model, kernel, input_ids=ids, attention_mask=given)
        torch.testing.assert_close(found[real], expected[real], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("mask", [no_tensor, flash_attention_mask])
@pytest.mark.parametrize("position", ["alibi", "relative_key"])
def test_a_mask_that_no_bias_can_be_added_to_is_refused(position: str, mask, register) -> None:
    model, (ids, _) = make(position, cls=TriEmbedModel), batch()
    with pytest.raises(ValueError, match="score bias"):
        outputs(model, register(blind, mask), input_ids=ids)


@pytest.mark.parametrize("position", sorted(ADDING))
def test_a_kernel_set_behind_the_check_is_refused_when_it_would_drop_a_bias(position: str, register) -> None:
    model = make(position, cls=TriEmbedModel)
    model.config._attn_implementation_internal = register(blind)
    with pytest.raises(ValueError, match="'engine' reads no mask, and would drop the score bias"):
        model(batch()[0])


def test_a_kernel_that_reads_no_mask_is_not_given_one(register) -> None:
    model, (ids, padding) = make("rope", cls=TriEmbedModel), batch()
    kernel = register(blind)
    expected = outputs(model, "eager", input_ids=ids)
    torch.testing.assert_close(outputs(model, kernel, input_ids=ids, attention_mask=torch.ones_like(ids)), expected)
    for mask in (padding, torch.ones(1, 1, 12, 12, dtype=torch.bool)):
        with pytest.raises(ValueError, match="attention_mask: it hides tokens"):
            outputs(model, kernel, input_ids=ids, attention_mask=mask)
    with pytest.raises(ValueError, match="takes no `sliding_window`, and layers see 2 tokens"):
        outputs(make("rope", cls=TriEmbedModel, **WINDOWS), kernel, input_ids=ids)


def test_engines_keep_packed_documents_apart_by_themselves(register) -> None:
    told = []

    def engine(module, query, key, value, attention_mask, **kwargs):
        told.append((attention_mask, kwargs.get("cu_seq_lens_q")))
        return blind(module, query, key, value, attention_mask, kwargs["scaling"])

    model, kernel = make("learned", cls=TriEmbedModel), register(engine)
    ids = torch.randint(1, 99, (1, 7))
    outputs(model, kernel, input_ids=ids, position_ids=torch.tensor([[0, 1, 2, 0, 1, 2, 3]]))
    outputs(model, kernel, input_ids=ids, cu_seq_lens_q=torch.tensor([0, 3, 7]))
    assert told[0] == (None, None) and told[-1][0] is None and told[-1][1].tolist() == [0, 3, 7]


@pytest.mark.parametrize("position", ["learned", "alibi", "relative_key"])
def test_masks_of_the_caller_mean_the_same_to_every_kernel(position: str) -> None:
    model, (ids, _) = make(position, cls=TriEmbedModel), batch()
    seen = torch.ones(12, 12).tril(2).bool()[None, None].expand(3, 1, 12, 12)
    added = torch.zeros(3, 1, 12, 12).masked_fill(~seen, torch.finfo(torch.float32).min)
    expected = outputs(model, "eager", input_ids=ids, attention_mask=added)
    for kernel, mask in (("sdpa", added), ("sdpa", seen), ("eager", seen)):
        torch.testing.assert_close(outputs(model, kernel, input_ids=ids, attention_mask=mask), expected)


SERVED = (
    "learned",
    "sinusoidal",
    "fourier",
    "none",
    "rope",
    "hope",
    "bipe",
)  # those that no kernel has to add a bias for


def serve(module, query, key, value, attention_mask, scaling=None, attention_instances=None, **kwargs):
    """Attend as vLLM and SGLang do: over flattened sequences, whose ends only the instance of the layer knows."""
    ends = attention_instances[module.layer_idx]
    parts = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    contexts = [blind(module, query[:, :, p], key[:, :, p], value[:, :, p], None, scaling)[0] for p in parts]
    return torch.cat(contexts, dim=1).flatten(2)[0], None  # (T, H * K), as their kernels return it


def of_engine(position: str, kernel: str, **changes):
    """Make a model as engines do: the kernel stands in the config, and what they read of it is stated."""
    plain = make(position, cls=TriEmbedModel, **changes)
    stated = {"layer_types": ["full_attention"] * 2, "embedding_size": plain.config.hidden_size}
    config = type(plain.config)(**SIZES, position_embedding_type=position, **stated | changes)
    config._attn_implementation = kernel
    model = AutoModel.from_config(config).eval()
    model.load_state_dict(plain.state_dict())  # what is stated changes no weight
    return plain, model


@pytest.mark.parametrize("position", TYPES)
def test_serving_engines_give_each_sequence_its_own_outputs_or_are_refused(position: str, register) -> None:
    kernel = register(serve)
    if position not in SERVED:
        with pytest.raises(ValueError, match="'engine' reads no mask, and would drop the score bias"):
            of_engine(position, kernel)
        return
    plain, model = of_engine(position, kernel)
    lengths = (5, 1, 9)
    texts = [torch.randint(1, 99, (1, length)) for length in lengths]
    places = torch.cat([torch.arange(length) for length in lengths])[None]
    instances = dict.fromkeys(range(2), torch.tensor(lengths).cumsum(0).tolist())
    with torch.no_grad():
        (found, *_) = model(
            input_ids=torch.cat(texts, dim=1), inputs_embeds=None, use_cache=False, position_ids=places,
            token_type_ids=torch.zeros(1, 15, dtype=torch.int32), attention_instances=instances, return_dict=False,
        )  # fmt: skip
        expected = torch.cat([plain(ids).last_hidden_state for ids in texts], dim=1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_what_serving_engines_ask_of_a_model() -> None:
    """One call of the interface in each attention, which has its number, is not causal and says its scale."""
    model = make("rope", cls=TriEmbedModel)
    attentions = [module for module in model.modules() if hasattr(module, "layer_idx")]
    assert [module.layer_idx for module in attentions] == [0, 1]
    assert not any(module.is_causal for module in attentions)
    assert type(model)._supports_attention_backend and model.config.auto_map["AutoModel"]
    assert model.config.get_text_config() is model.config  # or it would be taken for a model of pictures, too
