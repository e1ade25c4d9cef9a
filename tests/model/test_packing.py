"""Packed documents equal separate ones, in outputs and gradients, for every position type, kernel and way to say it."""

import pytest
import torch
from transformers import DataCollatorWithFlattening
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from hf_embeddings import POSITION_TYPES, TriEmbedConfig, TriEmbedForPreTraining, TriEmbedModel
from hf_embeddings.model.documents import documents_at
from hf_embeddings.model.packing import LARGEST_WASTE, pack
from hf_embeddings.model.positions import PositionParts

TYPES = [*POSITION_TYPES, "learned+relative_bias", "rope+alibi", "learned+relative_key+alibi", "tupe+cosine_bias"]
LENGTHS = [5, 1, 9, 12, 11, 3, 12]
LAYERS = {"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 4}


def make(position: str, cls: type = TriEmbedModel, **changes):
    torch.manual_seed(0)
    config = TriEmbedConfig(
        vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=40, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        position_embedding_type=position, **changes,
    )  # fmt: skip
    model = cls(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def documents() -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.randint(1, 99, (length,)) for length in LENGTHS]


def flattened(way: str) -> dict[str, torch.Tensor]:
    collate = DataCollatorWithFlattening(return_flash_attn_kwargs=way != "position_ids")
    batch = collate([{"input_ids": ids.tolist()} for ids in documents()])
    batch.pop("labels")
    if way == "boundaries":
        batch.pop("position_ids")
    return dict(batch)


SLOW = pytest.mark.slow  # flex attention is compiled for each of them
FLEX = [
    pytest.param("flex_attention", position, marks=() if position in ("rope", "relative_key") else SLOW)
    for position in TYPES
]


@pytest.mark.parametrize("kernel, position", [*((k, p) for k in ("eager", "sdpa") for p in TYPES), *FLEX])
def test_packed_equals_separate(kernel: str, position: str) -> None:
    model = make(position, **LAYERS)
    with torch.no_grad():
        expected = [model(ids[None]) for ids in documents()]
        model.set_attn_implementation(kernel)
        for way in ("position_ids", "boundaries", "both"):
            packed = model(**flattened(way))
            for row, alone in zip(packed.last_hidden_state[0].split(LENGTHS), expected, strict=True):
                torch.testing.assert_close(row, alone.last_hidden_state[0], atol=2e-5, rtol=1e-5)
        pooled = torch.cat([alone.pooler_output for alone in expected])
        torch.testing.assert_close(packed.pooler_output, pooled, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("position", TYPES)
def test_gradients_of_packed_equal_those_of_separate(position: str) -> None:
    model = make(position, **LAYERS).double()
    weights = [torch.randn(length, 32, dtype=torch.float64) for length in LENGTHS]
    sum(
        (model(ids[None]).last_hidden_state[0] * w).sum() for ids, w in zip(documents(), weights, strict=True)
    ).backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    for kernel in ("eager", "sdpa"):
        model.set_attn_implementation(kernel)
        model.zero_grad()
        (model(**flattened("both")).last_hidden_state[0] * torch.cat(weights)).sum().backward()
        for name, parameter in model.named_parameters():
            if name in expected:
                torch.testing.assert_close(parameter.grad, expected[name], atol=1e-10, rtol=1e-9, msg=name)


@pytest.mark.parametrize("position", TYPES)
@pytest.mark.parametrize("kernel", ["eager", "sdpa"])
def test_no_document_sees_another(position: str, kernel: str) -> None:
    model = make(position).double()
    model.set_attn_implementation(kernel)
    batch = flattened("both")
    with torch.no_grad():
        before = model(**batch).last_hidden_state[0].split(LENGTHS)
        batch["input_ids"][0, 15:27] = 7  # the fourth document
        after = model(**batch).last_hidden_state[0].split(LENGTHS)
    # What a type sums up along the row is rounded with what stands before.
    rounding = 1e-12 if position == "cable" else 0.0
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        assert torch.allclose(old, new, atol=rounding, rtol=0) == (number != 3), number


@pytest.mark.parametrize("position", ["learned", "rope", "relative_bias", "relative_key"])
def test_several_padded_rows_of_documents(position: str) -> None:
    model = make(position)
    docs = documents()
    rows = [torch.cat(docs[:3]), torch.cat(docs[3:5])]  # 15 and 23 tokens
    places = [torch.cat([torch.arange(len(doc)) for doc in part]) for part in (docs[:3], docs[3:5])]
    ids, place, mask = torch.zeros(3, 2, 25, dtype=torch.long)
    for row, (tokens, positions) in enumerate(zip(rows, places, strict=True)):
        ids[row, : len(tokens)], place[row, : len(tokens)], mask[row, : len(tokens)] = tokens, positions, 1
    with torch.no_grad():
        hidden = model(ids, position_ids=place, attention_mask=mask).last_hidden_state
        found = [*hidden[0, :15].split(LENGTHS[:3]), *hidden[1, :23].split(LENGTHS[3:5])]
        for doc, row in zip(docs, found, strict=False):
            torch.testing.assert_close(row, model(doc[None]).last_hidden_state[0], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("position", ["learned", "rope", "alibi", "relative_key"])
def test_documents_may_count_in_their_own_ways(position: str) -> None:
    model = make(position)
    places = [torch.arange(length) * (1 + number % 2) + number for number, length in enumerate(LENGTHS)]
    places = [torch.minimum(place, place[0] + torch.arange(len(place)) + 3) for place in places]
    with torch.no_grad():
        packed = model(
            torch.cat(documents())[None],
            position_ids=torch.cat(places)[None],
            cu_seq_lens_q=flattened("both")["cu_seq_lens_q"],
        ).last_hidden_state[0]
        for ids, place, row in zip(documents(), places, packed.split(LENGTHS), strict=True):
            whole = torch.tensor([0, len(ids)])
            alone = model(ids[None], position_ids=place[None], cu_seq_lens_q=whole).last_hidden_state[0]
            torch.testing.assert_close(row, alone, atol=2e-5, rtol=1e-5)


def test_left_padding_that_repeats_position_zero_is_no_document() -> None:
    model = make("rope")
    ids = documents()[3][None]
    mask = torch.tensor([[0] * 4 + [1] * 8])
    place = (mask.cumsum(dim=1) - 1).clamp(min=0)
    with torch.no_grad():
        given = model(ids, attention_mask=mask, position_ids=place).last_hidden_state[:, 4:]
        torch.testing.assert_close(
            given, model(ids, attention_mask=mask).last_hidden_state[:, 4:], atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("position", ["learned", "rope", "alibi", "relative_bias"])
def test_training_in_bf16_autocast_stays_near_fp32(position: str) -> None:
    model = make(position, cls=TriEmbedForPreTraining).train()
    batch = flattened("both")
    losses, gradients = [], []
    for enabled in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = model(**batch, labels=batch["input_ids"], next_sentence_label=torch.ones(7, dtype=torch.long)).loss
        loss.backward()
        losses.append(loss.item())
        gradients.append(model.triembed.layers[0].attention.query.weight.grad.clone())
    assert losses[1] == pytest.approx(losses[0], rel=2e-2)
    assert torch.cosine_similarity(gradients[0].flatten(), gradients[1].flatten(), dim=0) > 0.99


@pytest.mark.parametrize("position", ["learned", "alibi", "relative_key"])
def test_nothing_spans_the_whole_row(position: str) -> None:
    torch.manual_seed(0)
    model = make(position)
    lengths = [30] * 20 + [17] * 20
    total = sum(lengths)
    ids = torch.randint(1, 99, (1, total))
    bounds = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()])
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                largest = max(largest, result.numel())
            return result

    with torch.no_grad(), Watch():
        model(ids, cu_seq_lens_q=bounds)
    assert largest < total * total


def test_groups_hold_little_padding_and_every_token_once() -> None:
    torch.manual_seed(0)
    lengths = torch.randint(3, 129, (200,))
    docs = documents_at(torch.nn.functional.pad(lengths.cumsum(0), (1, 0)), (1, int(lengths.sum())))
    packing = pack(docs, docs.positions(), pairs=PositionParts({}), windows={None}, dtype=torch.float32)
    for group in packing.groups:
        assert group.shape[0] * group.shape[1] >= 1
    slots = sum(n * length for n, length in (group.shape for group in packing.groups))
    assert slots == len(packing.take) and slots * (1 - LARGEST_WASTE) <= lengths.sum()
    assert torch.equal(packing.take[packing.back], torch.arange(int(lengths.sum())))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"cu_seq_lens_q": torch.tensor([0, 3, 8])}, "expected the boundaries of documents, rising from 0 to the"),
        ({"cu_seq_lens_q": torch.tensor([0, 5, 5, 10])}, "got \\[0, 5, 5, 10\\]"),
        ({"cu_seq_lens_q": torch.tensor([0, 10]), "attention_mask": torch.ones(1, 10)}, "packed rows hold no padding"),
        ({"cu_seq_lens_q": torch.tensor([0, 10]), "cu_seq_lens_k": torch.tensor([0, 4, 10])}, "cu_seq_lens_k: differs"),
    ],
)
def test_contradictions_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make("learned")(torch.ones(1, 10, dtype=torch.long), **arguments)


def loop_attention(query, key, value, bounds, scale, window) -> torch.Tensor:
    """Attend from (T, H, K) within each document and window, as flash and variable-length kernels do."""
    found = torch.zeros_like(value)
    for start, end in zip(bounds.tolist(), bounds.tolist()[1:], strict=False):
        q, k, v = (states[start:end].transpose(0, 1) for states in (query, key, value))
        scores = q @ k.transpose(1, 2) * scale
        index = torch.arange(end - start)
        far = (index[:, None] - index).abs() > window if window is not None and window >= 0 else index[:, None] < 0
        found[start:end] = (scores.masked_fill(far, -torch.inf).softmax(-1) @ v).transpose(0, 1)
    return found


@pytest.mark.parametrize("position", ["learned", "rope", "tupe", "cosine_bias", "sinusoidal+tupe"])
@pytest.mark.parametrize("kernel", ["variable length", "flash"])
def test_kernels_of_gpus_are_told_documents_windows_and_folds(position: str, kernel: str, monkeypatch) -> None:
    """The kernels themselves need a GPU: loops stand in for them, and see exactly the arguments they would."""
    model = make(position, **LAYERS)
    with torch.no_grad():
        expected = model(**flattened("both")).last_hidden_state
        if kernel == "flash":

            def attend(module, query, key, value, mask, *, scaling, sliding_window, cu_seq_lens_q, **kwargs):
                assert mask is None and kwargs["max_length_q"] == max(LENGTHS) and cu_seq_lens_q.dtype == torch.int32
                flat = [states.transpose(1, 2).flatten(0, 1) for states in (query, key, value)]
                return loop_attention(*flat, cu_seq_lens_q, scaling, sliding_window)[None], None

            monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._global_mapping, "flash_loops", attend)
            model.config._attn_implementation_internal = "flash_loops"
        else:

            def varlen(query, key, value, bounds, same, longest, same_longest, *, scale, window_size):
                assert same is bounds and longest == same_longest == max(LENGTHS) and bounds.dtype == torch.int32
                return loop_attention(query, key, value, bounds, scale, window_size[0])

            monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", varlen)
            monkeypatch.setattr("hf_embeddings.model.packing._variable_length_serves", lambda *arguments: True)
            monkeypatch.setattr("hf_embeddings.model.modeling_triembed.folds_biases", lambda kernel, device: True)
        torch.testing.assert_close(model(**flattened("both")).last_hidden_state, expected, atol=2e-5, rtol=1e-5)
