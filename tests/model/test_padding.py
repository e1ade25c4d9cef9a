"""A batch with padding gives the same with and without it, wherever it is dropped, and it stays where it is needed."""

import math
import threading

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import prune

import hf_embeddings
from hf_embeddings import POSITION_TYPES, TriEmbedConfig, TriEmbedModel
from hf_embeddings.model import padding
from hf_embeddings.model.packing import Packing, pack
from hf_embeddings.model.padding import Batch, drop_padding, why_padding_stays
from tests.model.test_expectations import HEADS
from tests.model.test_expectations import batch as head_batch
from tests.model.test_multi_task import TASKS

TYPES = [*POSITION_TYPES, "learned+relative_bias", "rope+alibi", "learned+relative_key+alibi", "tupe+cosine_bias"]
# Right padding, left padding, both, padding between tokens, nothing else, one token.
ROWS = ["111111111111", "111111100000", "000011111111", "001111000000", "101100011000", "000000000000", "100000000000"]
MASK = torch.tensor([[int(mark) for mark in row] for row in ROWS])
IDS = torch.randint(1, 99, MASK.shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def small_batches_count(monkeypatch) -> None:
    monkeypatch.setattr(padding, "LEAST_WORK", {"cpu": 1.0, "cuda": 1.0})


def make(cls: type = TriEmbedModel, position: str = "learned", **changes):
    torch.manual_seed(0)
    sizes = dict(
        vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=40, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    model = cls(TriEmbedConfig(**sizes | {"position_embedding_type": position} | changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


class Shapes:
    """The shapes that the layers of a model see."""

    def __init__(self, model: nn.Module, monkeypatch) -> None:
        self.seen: set[tuple[int, ...]] = set()
        for layer in model.base_model.layers:
            monkeypatch.setattr(layer, "transform", self.watch(layer.transform))

    def watch(self, transform):
        def watched(states: torch.Tensor) -> torch.Tensor:
            self.seen.add(tuple(states.shape[:2]))
            return transform(states)

        return watched


def run(model: nn.Module, **inputs) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
    """Return the outputs, and the gradients of the sum of their squares."""
    model.zero_grad()
    output = model(**inputs)
    tensors = [value for value in output.to_tuple() if isinstance(value, torch.Tensor)]
    sum(value.double().pow(2).sum() for value in tensors).backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return [tensor.detach() for tensor in tensors], {name: value.clone() for name, value in gradients.items()}


def agree(model: nn.Module, monkeypatch, dropped: int | None, **inputs) -> None:
    """Check that outputs and gradients are the same, and that the layers see so many tokens in one row."""
    model.config.padding_free = False
    expected, gradients = run(model, **inputs)
    model.config.padding_free = True
    with monkeypatch.context() as patch:
        shapes = Shapes(model, patch)
        found, own = run(model, **inputs)
    assert (dropped is None) != (shapes.seen == {(1, dropped)}), shapes.seen
    for value, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(value, wanted, atol=1e-5, rtol=1e-5)
    for name, wanted in gradients.items():
        torch.testing.assert_close(own[name], wanted, atol=1e-4, rtol=1e-4, msg=name)


COUNT = int(MASK.sum())


@pytest.mark.parametrize("position", TYPES)
def test_outputs_and_gradients_do_not_depend_on_padding(position: str, monkeypatch) -> None:
    agree(make(position=position), monkeypatch, COUNT, input_ids=IDS, attention_mask=MASK)


@pytest.mark.parametrize("head", HEADS)
def test_every_head_gives_the_same(head: str, monkeypatch) -> None:
    model = make(getattr(hf_embeddings, f"TriEmbed{head}"), tasks=TASKS if head == "ForMultiTask" else None)
    inputs = head_batch(head)
    ids = inputs["input_ids"]
    mask = torch.ones_like(ids)
    mask[-1, ..., 1:], mask[0, ..., 0] = 0, 0
    agree(model, monkeypatch, int(mask.sum()), **inputs | {"attention_mask": mask})


WINDOWS = {"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 2}


@pytest.mark.parametrize(
    "changes",
    [
        {"classifier_pooling": "mean"},
        {"norm_position": "pre", "feed_forward_type": "gated"},
        {"chunk_size_feed_forward": 3},
        {"embedding_size": 8},
        {"position_embedding_type": "rope", "rope_parameters": {"rope_type": "dynamic", "factor": 4.0}},
        WINDOWS,
        WINDOWS | {"position_embedding_type": "alibi"},
    ],
    ids=str,
)
def test_every_architecture_gives_the_same(changes: dict, monkeypatch) -> None:
    rows = [0, 1, 2, 3, 5, 6] if "sliding_window" in changes else list(range(len(ROWS)))
    model = make(**{"max_position_embeddings": 6 if "rope_parameters" in changes else 40} | changes)
    mask = MASK[rows]
    agree(model, monkeypatch, int(mask.sum()), input_ids=IDS[rows], attention_mask=mask)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("position", ["learned", "relative_bias", "rope"])
def test_recomputed_layers_give_the_same(position: str, reentrant: bool, monkeypatch) -> None:
    model = make(position=position).train()
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    stays = reentrant and position == "relative_bias"
    agree(model, monkeypatch, None if stays else COUNT, input_ids=IDS, attention_mask=MASK)


def test_segments_positions_and_embeddings_are_dropped_alike(monkeypatch) -> None:
    model = make(position="learned+relative_bias")
    segments, places = (IDS > 50).long(), torch.arange(12).expand(7, -1) + torch.arange(7)[:, None]
    inputs = {"token_type_ids": segments, "attention_mask": MASK.bool(), "position_ids": places}
    agree(model, monkeypatch, COUNT, input_ids=IDS, **inputs)
    gradients = []
    for free in (False, True):
        model.config.padding_free = free
        embeds = torch.randn(7, 12, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
        model(inputs_embeds=embeds, **inputs).last_hidden_state.pow(2).sum().backward()
        gradients.append(embeds.grad)
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kernel", ["sdpa", "eager"])
def test_documents_in_padded_rows_stay_apart(kernel: str, monkeypatch) -> None:
    model = make(position="rope")
    model.set_attn_implementation(kernel)
    places = torch.tensor([[0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3]]).expand(7, -1)
    dropped = COUNT if kernel == "sdpa" else None
    agree(model, monkeypatch, dropped, input_ids=IDS, attention_mask=MASK, position_ids=places)


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("kernel", ["sdpa", "eager"])
def test_hidden_states_of_padding_are_zero(kernel: str, free: bool) -> None:
    model = make(padding_free=free)
    model.set_attn_implementation(kernel)
    hidden = model(IDS, attention_mask=MASK).last_hidden_state
    assert torch.equal(hidden.abs().sum(dim=-1) > 0, MASK > 0)


def reason(model: TriEmbedModel, mask: torch.Tensor = MASK, places: torch.Tensor | None = None, **arguments):
    return why_padding_stays(Batch(model, tuple(IDS.shape), mask, places, arguments))


def test_padding_is_dropped_by_default_and_stays_where_the_config_says_so(tmp_path) -> None:
    assert reason(make()) is None
    make(padding_free=False).save_pretrained(tmp_path)
    assert "padding_free is false" in reason(TriEmbedModel.from_pretrained(tmp_path))


def test_padding_stays_where_states_of_layers_are_asked_for() -> None:
    model = make()
    shapes = {tuple(states.shape) for states in model(IDS, MASK, output_hidden_states=True).hidden_states}
    assert shapes == {(7, 12, 32)}
    assert reason(model) is None  # though transformers has left its hooks on the layers
    model.config.output_hidden_states = True
    assert "are asked for" in reason(model) and reason(model, output_hidden_states=False) is None
    model.set_attn_implementation("eager")
    assert model(IDS, MASK, output_attentions=True).attentions[0].shape == (7, 4, 12, 12)


@pytest.mark.parametrize("kernel", ["eager", "flex_attention"])
def test_padding_stays_for_kernels_that_attend_over_whole_rows(kernel: str) -> None:
    model = make()
    model.set_attn_implementation(kernel)
    assert "attn_implementation" in reason(model)


def test_padding_stays_for_masks_that_do_not_tell_it() -> None:
    model = make()
    pairs = (MASK[:, None, :, None] * MASK[:, None, None]).bool()
    assert "not (B, S)" in reason(model, pairs)
    assert "nothing else" in reason(model, torch.zeros_like(MASK))
    assert "little padding" in reason(model, torch.ones_like(MASK))
    assert model(IDS, attention_mask=torch.zeros_like(MASK)).last_hidden_state.abs().sum() == 0


@pytest.mark.filterwarnings("ignore")
def test_padding_stays_where_operations_are_recorded() -> None:
    model, seen = make(position="rope").requires_grad_(False), []

    def forward(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        seen.append(reason(model, mask))
        return model(ids, attention_mask=mask).last_hidden_state

    expected, fewer = forward(IDS, MASK), MASK * (IDS > 20)
    assert seen.pop() is None
    for traced in (torch.jit.trace(forward, (IDS, MASK), check_trace=False), torch.compile(forward, backend="eager")):
        torch.testing.assert_close(traced(IDS, MASK), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(traced(IDS, fewer), forward(IDS, fewer), atol=1e-5, rtol=1e-5)
    exported = torch.export.export(model, (IDS, MASK)).module()
    torch.testing.assert_close(exported(IDS, MASK).last_hidden_state, expected, atol=1e-5, rtol=1e-5)
    assert "records" in seen[0]

    def ask(mask: torch.Tensor) -> torch.Tensor:
        seen.append(reason(model, mask))
        return mask + 1

    for record in (torch.func.vmap, make_fx):
        record(ask)(MASK)
        assert "records" in seen[-1]
    assert "records" in reason(make().to("meta"), MASK.to("meta"))


def test_padding_stays_where_a_hook_may_read_states() -> None:
    model, shapes = make(), []
    prune.identity(model.layers[0].feed_forward.up, "weight")  # its hook computes a weight
    assert reason(model) is None
    hook = model.layers[0].register_forward_hook(lambda layer, inputs, output: shapes.append(tuple(output.shape)))
    assert "hook" in reason(model)
    model(IDS, attention_mask=MASK)
    hook.remove()
    assert shapes == [(7, 12, 32)] and reason(model) is None


def test_padding_stays_where_a_layer_is_compiled_by_itself() -> None:
    model = make()
    model.layers[1].compile(backend="eager")
    assert "compiled" in reason(model)


def test_padding_stays_where_it_is_counted() -> None:
    assert "windows" in reason(make(**WINDOWS))
    assert reason(make(**WINDOWS), MASK * (torch.arange(7) != 4)[:, None]) is None
    dynamic = make(position="rope", rope_parameters={"rope_type": "dynamic", "factor": 2.0})
    assert reason(dynamic) is None and "rotations" in reason(dynamic, places=torch.arange(12)[None])


def test_a_small_share_of_padding_stays(monkeypatch) -> None:
    mask = torch.ones(7, 12, dtype=torch.long)
    mask[0, -4:] = 0  # 4 of 84
    assert "little" in reason(make(), mask)
    mask[0, -5:] = 0
    assert reason(make(), mask) is None
    monkeypatch.setattr(padding, "LEAST_WORK", {"cpu": 5.1 * 32**2})
    assert "little" in reason(make(), mask)


def test_no_layer_sees_padding_and_nothing_is_packed_twice(monkeypatch) -> None:
    model, packed = make(), []
    monkeypatch.setattr(
        "hf_embeddings.model.attention_plan.pack", lambda *a, **k: packed.append(pack(*a, **k)) or packed[-1]
    )
    bounds = torch.tensor([0, 5, 12])
    with monkeypatch.context() as patch:
        shapes = Shapes(model, patch)
        model(IDS[:1], cu_seq_lens_q=bounds)
        assert shapes.seen == {(1, 12)} and len(packed) == 1 and isinstance(packed[0], Packing)
        model(IDS, attention_mask=MASK)
    assert shapes.seen == {(1, 12), (1, COUNT)} and len(packed) == 2


def test_tokens_come_back_to_their_places() -> None:
    tokens = drop_padding(Batch(make(), tuple(IDS.shape), MASK, None, {}), None)
    assert torch.equal(tokens.take(IDS)[0], IDS[MASK > 0])
    assert torch.equal(tokens.put_back(tokens.take(IDS[..., None]))[..., 0], IDS * MASK)
    assert tokens.documents.lengths == [count for count in MASK.sum(dim=1).tolist() if count]


def test_threads_may_share_a_model() -> None:
    """The plan of a batch is held by its forward pass, not by the model."""
    model, found = make(), {}
    masks = {number: MASK.roll(number, dims=0) for number in range(4)}
    with torch.inference_mode():
        expected = {number: model(IDS, attention_mask=mask).last_hidden_state for number, mask in masks.items()}

    def work(number: int) -> None:
        with torch.inference_mode():
            found[number] = model(IDS, attention_mask=masks[number]).last_hidden_state

    threads = [threading.Thread(target=work, args=(number,)) for number in masks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(found[number], expected[number]) for number in masks)
    assert not math.isnan(sum(float(value.sum()) for value in found.values()))
