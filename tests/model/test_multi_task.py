"""Laws of several tasks on one encoder: the sum of single losses, shared weights, one checkpoint."""

import pytest
import torch

from hf_embeddings import (
    TriEmbedConfig,
    TriEmbedForMultiTask,
    TriEmbedForSequenceClassification,
    TriEmbedForTokenClassification,
    TriEmbedModel,
)

SIZES = dict(
    vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
    max_position_embeddings=16,
)  # fmt: skip
TASKS = {
    "polarity": {"problem_type": "single_label_classification", "num_labels": 3},
    "score": {"problem_type": "regression", "num_labels": 1},
    "topics": {"problem_type": "multi_label_classification", "num_labels": 2},
    "words": {"problem_type": "single_label_classification", "num_labels": 4, "level": "token"},
}
IDS = torch.arange(1, 16).reshape(3, 5)
NAN = float("nan")
LABELS = {
    "polarity": torch.tensor([0, -100, 2]),
    "score": torch.tensor([NAN, 1.0, -1.0]),
    "topics": torch.tensor([[1.0, 0.0], [NAN, NAN], [0.0, 1.0]]),
    "words": torch.tensor([[0, 1, 2, 3, 0], [-100] * 5, [1, -100, -100, -100, 2]]),
}


def make() -> TriEmbedForMultiTask:
    torch.manual_seed(0)
    return TriEmbedForMultiTask(TriEmbedConfig(**SIZES, tasks=TASKS)).eval()


@pytest.mark.parametrize("name", TASKS)
def test_each_loss_is_that_of_the_single_task_on_the_rows_with_labels(name: str) -> None:
    model, task = make(), TASKS[name]
    single = TriEmbedForTokenClassification if "level" in task else TriEmbedForSequenceClassification
    alone = single(TriEmbedConfig(**SIZES, num_labels=task["num_labels"], problem_type=task["problem_type"])).eval()
    alone.triembed.load_state_dict(model.triembed.state_dict(), strict=False)
    alone.classifier.load_state_dict(model.heads[name].state_dict())
    rows = [i for i in range(3) if not (LABELS[name][i].float().isnan() | (LABELS[name][i] == -100)).all()]
    expected = alone(IDS[rows], labels=LABELS[name][rows])
    found = model(IDS, labels={name: LABELS[name]})
    torch.testing.assert_close(found.loss, expected.loss)
    torch.testing.assert_close(found.logits[name][rows], expected.logits)


def test_losses_add_up_and_all_tasks_train_the_shared_encoder() -> None:
    model = make()
    total = model(IDS, labels=LABELS).loss
    torch.testing.assert_close(total, sum(model(IDS, labels={name: LABELS[name]}).loss for name in LABELS))
    for name in LABELS:
        model.zero_grad()
        model(IDS, labels={name: LABELS[name]}).loss.backward()
        assert model.triembed.embeddings.token.weight.grad.abs().max() > 0
        trained = {other for other in TASKS if model.heads[other].weight.grad is not None}
        assert trained == {name}


def test_one_checkpoint_holds_all_heads_and_the_encoder(tmp_path) -> None:
    model = make()
    model.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["model.safetensors"]
    again, info = TriEmbedForMultiTask.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
    encoder = TriEmbedModel.from_pretrained(tmp_path)
    torch.testing.assert_close(encoder(IDS).last_hidden_state, model.triembed(IDS).last_hidden_state)
    assert (tmp_path / "multi_task.py").exists()


@pytest.mark.parametrize(
    "tasks, message",
    [
        (None, "tasks: missing"),
        ({"a": {"problem_type": "ranking", "num_labels": 2}}, "a.problem_type: got 'ranking'"),
        ({"a": {"problem_type": "regression"}}, "a.num_labels: got None"),
        ({"a": {"problem_type": "regression", "num_labels": 1, "weight": 2}}, "a.weight: not known"),
    ],
)
def test_mistakes_are_named(tasks, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TriEmbedForMultiTask(TriEmbedConfig(**SIZES, tasks=tasks))
