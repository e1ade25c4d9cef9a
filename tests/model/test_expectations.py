"""What transformers expects of every model, for every head and kind of position: its common tests, restated."""

import pytest
import torch

import hf_embeddings
from hf_embeddings import POSITION_TYPES, TriEmbedConfig
from tests.model.test_multi_task import TASKS

HEADS = (
    "Model", "ForPreTraining", "ForMaskedLM", "ForNextSentencePrediction", "ForSequenceClassification",
    "ForTokenClassification", "ForQuestionAnswering", "ForMultipleChoice", "ForMultiTask",
)  # fmt: skip
POSITIONS = ("learned", "sinusoidal", "rope", "alibi", "relative_bias", "disentangled")
TIED = ("ForPreTraining", "ForMaskedLM")
B, S, D, H, V, N = 10, 7, 16, 2, 40, 2

heads = pytest.mark.parametrize("head", HEADS)
positions = pytest.mark.parametrize("position", POSITIONS)
# Where the product would take long: every head once, every position at least once.
PAIRS = [(head, POSITIONS[index % len(POSITIONS)]) for index, head in enumerate(HEADS)]


def make(head: str, position: str = "learned", **changes):
    torch.manual_seed(0)
    fields = dict(
        vocab_size=V, hidden_size=D, num_hidden_layers=2, num_attention_heads=H, intermediate_size=24,
        max_position_embeddings=16, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        position_embedding_type=position, tasks=TASKS if head == "ForMultiTask" else None,
    )  # fmt: skip
    return getattr(hf_embeddings, f"TriEmbed{head}")(TriEmbedConfig(**fields | changes)).eval()


def batch(head: str) -> dict:
    torch.manual_seed(1)
    ids = torch.randint(1, V, (B, N, S) if head == "ForMultipleChoice" else (B, S))
    classes = torch.arange(B) % 2
    labels = {
        "Model": {},
        "ForPreTraining": {"labels": ids, "next_sentence_label": classes},
        "ForMaskedLM": {"labels": ids},
        "ForQuestionAnswering": {"start_positions": torch.arange(B) % S, "end_positions": torch.arange(B) % S},
        "ForTokenClassification": {"labels": ids % 2},
        "ForMultiTask": {"labels": {"polarity": torch.arange(B) % 3, "words": ids % 4}},
    }.get(head, {"labels": classes})
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)} | labels


def tensors(outputs) -> list[torch.Tensor]:
    return [value for value in outputs.to_tuple() if isinstance(value, torch.Tensor)]


@heads
@positions
def test_saved_and_loaded_are_equal(head: str, position: str, tmp_path) -> None:
    model = make(head, position)
    model.save_pretrained(tmp_path)
    again, info = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    state = again.state_dict()
    assert list(state) == list(model.state_dict())
    for name, weight in model.state_dict().items():
        assert torch.equal(state[name], weight), name
    with torch.no_grad():
        for ours, theirs in zip(tensors(model(**batch(head))), tensors(again.eval()(**batch(head))), strict=True):
            torch.testing.assert_close(theirs, ours, atol=1e-6, rtol=0)


@heads
@positions
def test_outputs_are_deterministic_of_the_promised_shapes_and_as_tuple_the_same(head: str, position: str) -> None:
    model, inputs = make(head, position, attn_implementation="eager"), batch(head)
    with torch.no_grad():
        first = model(**inputs, output_hidden_states=True, output_attentions=True)
        second = model(**inputs, output_hidden_states=True, output_attentions=True, return_dict=False)
    rows = B * N if head == "ForMultipleChoice" else B
    assert [tuple(h.shape) for h in first.hidden_states] == [(rows, S, D)] * 3
    assert [tuple(a.shape) for a in first.attentions] == [(rows, H, S, S)] * 2
    for weights in first.attentions:
        torch.testing.assert_close(weights.sum(-1), torch.ones(rows, H, S))
    assert all(
        torch.equal(a, b) for a, b in zip(tensors(first), [t for t in second if torch.is_tensor(t)], strict=True)
    )


@heads
@positions
def test_kernels_agree_for_every_head(head: str, position: str) -> None:
    model, inputs = make(head, position), batch(head)
    inputs["attention_mask"][:, ..., S - 2 :] = 0
    with torch.no_grad():
        results = []
        for kernel in ("eager", "sdpa"):
            model.set_attn_implementation(kernel)
            results.append(tensors(model(**inputs)))
    for eager, fused in zip(*results, strict=True):
        torch.testing.assert_close(fused, eager, atol=1e-5, rtol=1e-5)


@heads
@positions
def test_initial_weights_are_zero_one_or_as_small_as_the_config_says(head: str, position: str) -> None:
    model = make(head, position, initializer_range=1e-9)
    for name, parameter in model.named_parameters():
        assert round(parameter.mean().item(), 6) in (0.0, 1.0), name
        assert parameter.numel() == 1 or parameter.std() < 1e-6, name
    spread = make(head, position, initializer_range=0.5).base_model.layers[0].attention.query.weight.std()
    assert 0.35 < spread < 0.65


@heads
@positions
def test_on_the_meta_device_nothing_is_allocated(head: str, position: str) -> None:
    with torch.device("meta"):
        model = make(head, position)
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"meta"}
    assert list(model.state_dict()) == list(make(head, position).state_dict())


@heads
@positions
def test_gradients_can_be_retained_and_reach_every_weight(head: str, position: str) -> None:
    model, inputs = make(head, position, attn_implementation="eager").train(), batch(head)
    outputs = model(**inputs, output_hidden_states=True, output_attentions=True)
    for tensor in (*outputs.hidden_states, *outputs.attentions):
        tensor.retain_grad()
    loss = outputs.loss if head != "Model" else outputs.last_hidden_state.square().sum() + outputs.pooler_output.sum()
    loss.backward()
    assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in outputs.attentions)
    assert all(tensor.grad is not None for tensor in outputs.hidden_states)
    used = {"heads.score", "heads.topics"}  # tasks that this batch has no labels for
    unused = [n for n, p in model.named_parameters() if p.grad is None and n.rsplit(".", 1)[0] not in used]
    assert unused == []


@heads
@positions
def test_recomputed_activations_give_the_same_gradients(head: str, position: str) -> None:
    gradients = []
    for enabled in (False, True):
        model = make(head, position).train()
        if enabled:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        outputs = model(**batch(head))
        (outputs.last_hidden_state.square().mean() if head == "Model" else outputs.loss).backward()
        gradients.append(model.base_model.layers[0].attention.key.weight.grad)
    torch.testing.assert_close(gradients[1], gradients[0])


@pytest.mark.parametrize("position", POSITION_TYPES)
def test_reentrant_recomputation_gives_the_same_gradients_or_is_refused(position: str) -> None:
    gradients = []
    for enabled in (False, True):
        model, inputs = make("ForMaskedLM", position).train(), batch("ForMaskedLM")
        if enabled:
            model.gradient_checkpointing_enable({"use_reentrant": True})
            if position == "disentangled":
                with pytest.raises(ValueError, match="use_reentrant"):
                    model(**inputs)
                model.eval()(**inputs)  # nothing is recomputed there
                return
        model(**inputs).loss.backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


@heads
def test_resizing_keeps_old_rows_and_ties(head: str, tmp_path) -> None:
    model = make(head)
    old = model.get_input_embeddings().weight.detach().clone()
    model.resize_token_embeddings(V + 5, mean_resizing=False)
    assert model.config.vocab_size == V + 5
    assert torch.equal(model.get_input_embeddings().weight[:V], old)
    inputs = batch(head)
    inputs["input_ids"] = inputs["input_ids"] + 4
    assert all(tensor.isfinite().all() for tensor in tensors(model(**inputs)))
    if head in TIED:
        assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
        model.save_pretrained(tmp_path)
        again = type(model).from_pretrained(tmp_path)
        assert again.get_output_embeddings().weight is again.get_input_embeddings().weight
        assert again.get_output_embeddings().out_features == V + 5


@heads
def test_embeddings_may_be_given_in_place_of_ids(head: str) -> None:
    model, inputs = make(head), batch(head)
    given = {name: value for name, value in inputs.items() if name != "input_ids"}
    given["inputs_embeds"] = model.get_input_embeddings()(inputs["input_ids"])
    for ours, theirs in zip(tensors(model(**inputs)), tensors(model(**given)), strict=True):
        torch.testing.assert_close(theirs, ours)


@pytest.mark.parametrize(
    "problem, labels, num_labels, loss",
    [
        ("regression", torch.arange(B) / B, 1, torch.nn.MSELoss()),
        ("single_label_classification", torch.arange(B) % 3, 3, torch.nn.CrossEntropyLoss()),
        ("multi_label_classification", torch.eye(B)[:, :3], 3, torch.nn.BCEWithLogitsLoss()),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_problem_types(problem: str, labels, num_labels: int, loss, named: bool) -> None:
    changes = {"problem_type": problem} if named else {}
    model = make("ForSequenceClassification", num_labels=num_labels, **changes)
    inputs = batch("ForSequenceClassification") | {"labels": labels}
    outputs = model(**inputs)
    expected = loss(outputs.logits.squeeze(-1) if num_labels == 1 else outputs.logits, labels)
    torch.testing.assert_close(outputs.loss, expected)
    assert model.config.problem_type == problem


@pytest.mark.parametrize("head", ["ForSequenceClassification", "ForTokenClassification"])
def test_a_head_of_another_size_is_refused_unless_asked_for(head: str, tmp_path) -> None:
    model = make(head, num_labels=3)
    model.save_pretrained(tmp_path)
    with pytest.raises(RuntimeError, match="size mismatch|ignore_mismatched_sizes"):
        type(model).from_pretrained(tmp_path, num_labels=5)
    again = type(model).from_pretrained(tmp_path, num_labels=5, ignore_mismatched_sizes=True)
    assert again.classifier.weight.shape == (5, D)
    assert torch.equal(again.triembed.embeddings.token.weight, model.triembed.embeddings.token.weight)


@pytest.mark.parametrize("norm_position", ["post", "pre"])
@pytest.mark.parametrize("size", [1, 3, 50])
def test_a_feed_forward_in_chunks_is_the_same(norm_position: str, size: int) -> None:
    whole = make("Model", norm_position=norm_position)
    chunked = make("Model", norm_position=norm_position, chunk_size_feed_forward=size)
    lengths = []
    chunked.layers[0].feed_forward.register_forward_pre_hook(lambda _, given: lengths.append(given[0].shape[1]))
    outputs = [model(**batch("Model")).last_hidden_state for model in (whole, chunked)]
    torch.testing.assert_close(outputs[1], outputs[0])
    assert sum(lengths) == S and max(lengths) == min(size, S)


def test_chunks_of_no_size_are_refused() -> None:
    with pytest.raises(ValueError, match="chunk_size_feed_forward: got -1"):
        make("Model", chunk_size_feed_forward=-1)


@heads
@pytest.mark.parametrize("position", ["learned", "fourier", "cosine_bias"])
@pytest.mark.parametrize("feed_forward", ["plain", "gated"])
def test_lists_name_what_the_model_has(head: str, position: str, feed_forward: str) -> None:
    model = make(head, position, feed_forward_type=feed_forward)
    names = [name for name, _ in model.named_parameters()]
    assert model._keep_in_fp32_modules_strict == ({"log_frequencies"} if position != "learned" else set())
    assert all(any(kept in name for name in names) for kept in model._keep_in_fp32_modules_strict)
    layer = dict(model.base_model.layers[0].named_modules())
    planned = [name.removeprefix("layers.*.") for name in model.config.base_model_tp_plan]
    assert set(planned) <= set(layer)
    linear = {name for name, module in layer.items() if isinstance(module, torch.nn.Linear) and "position" not in name}
    assert set(planned) == linear


def test_the_plan_of_tensor_parallelism_follows_the_config_whatever_transformers_adds() -> None:
    config = TriEmbedConfig()
    plan = config.base_model_tp_plan
    config.base_model_tp_plan = {**plan, "embed_tokens": "embedding_rowwise"}  # as transformers 5.15 and 5.16 do
    assert config.base_model_tp_plan == plan
    with pytest.raises(AttributeError, match="follows from the config"):
        config.base_model_tp_plan = {**plan, "layers.*.norm": "colwise"}


@pytest.mark.parametrize("head, position", PAIRS[1:])
def test_ten_examples_are_learned_by_heart(head: str, position: str) -> None:
    model, inputs = make(head, position, hidden_size=32).train(), batch(head)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = model(**inputs).loss.item()
    for _ in range(150):
        loss = model(**inputs).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss < 0.01:
            break
    assert loss < 0.02 < first, (first, loss)
