"""The software that takes a transformers checkpoint takes ours: each against what the model itself returns."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from accelerate import init_empty_weights, load_checkpoint_and_dispatch
from datasets import Dataset
from onnx import numpy_helper
from peft import IA3Config, LoraConfig, PeftModel, VeraConfig, get_peft_model
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer, pipeline

import hf_embeddings.adapters  # noqa: F401  (tells PEFT which layers to adapt)
from hf_embeddings import TriEmbedConfig, TriEmbedForMaskedLM, TriEmbedModel
from hf_embeddings.exporting.single_file import export_onnx
from hf_embeddings.uploads.listing import list_uploads
from tests.publishing.test_card import checkpoint

TEXTS = ["the answer is on the next page .", "the page is today ."]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Checkpoints by head, made when they are asked for."""
    made = {}

    def of(head: str = "ForPreTraining", position: str = "rope"):
        if (head, position) not in made:
            folder = tmp_path_factory.mktemp(f"{head}-{position}")
            made[head, position] = str(checkpoint(folder, f"TriEmbed{head}", position))
        return made[head, position]

    return of


def encode(folder: str) -> torch.Tensor:
    """Return the mean of the hidden states of each text, (2, D)."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    inputs = tokenizer(TEXTS, return_tensors="pt", padding=True)
    with torch.no_grad():
        hidden = model(**inputs).last_hidden_state
    mask = inputs["attention_mask"][..., None]
    return (hidden * mask).sum(1) / mask.sum(1)


@pytest.mark.parametrize(
    "task, head, arguments",
    [
        ("fill-mask", "ForPreTraining", ["the answer is on the next [MASK] ."]),
        ("feature-extraction", "Model", [TEXTS[0]]),
        ("text-classification", "ForSequenceClassification", [TEXTS[0]]),
        ("token-classification", "ForTokenClassification", [TEXTS[0]]),
        ("zero-shot-classification", "ForSequenceClassification", [TEXTS[0], ["page", "answer"]]),
    ],
)
def test_pipelines(task: str, head: str, arguments: list, folders) -> None:
    folder = folders(head)
    answer = pipeline(task, model=folder, tokenizer=AutoTokenizer.from_pretrained(folder))(*arguments)
    if task == "feature-extraction":
        assert np.array(answer).shape == (1, 10, 16)
    elif task == "zero-shot-classification":
        assert set(answer["labels"]) == {"page", "answer"} and sum(answer["scores"]) == pytest.approx(1, abs=1e-4)
    else:
        assert len(answer) >= 1 and all(0 <= found["score"] <= 1 for found in answer)


def test_sentence_transformers_trains_saves_and_loads(folders, tmp_path) -> None:
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.sentence_transformer.training_args import SentenceTransformerTrainingArguments

    model = SentenceTransformer(folders(), device="cpu")
    before = model.encode(TEXTS)
    np.testing.assert_allclose(before, encode(folders()).numpy(), atol=1e-5)
    arguments = SentenceTransformerTrainingArguments(
        str(tmp_path / "out"), max_steps=2, per_device_train_batch_size=2, report_to="none", disable_tqdm=True,
        save_strategy="no", learning_rate=1e-2, use_cpu=True,
    )  # fmt: skip
    pairs = Dataset.from_dict({"anchor": TEXTS * 2, "positive": TEXTS[::-1] * 2})
    SentenceTransformerTrainer(model, arguments, pairs, loss=MultipleNegativesRankingLoss(model)).train()
    model.eval()
    trained = model.encode(TEXTS)
    assert np.abs(trained - before).max() > 1e-3
    model.save(str(tmp_path / "saved"))
    assert (tmp_path / "saved/modeling_triembed.py").exists()
    again = SentenceTransformer(str(tmp_path / "saved"), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(again, trained, atol=1e-6)


def test_mteb_measures_a_sentence_transformer(folders) -> None:
    import mteb
    from mteb.abstasks.sts import AbsTaskSTS
    from mteb.abstasks.task_metadata import TaskMetadata
    from sentence_transformers import SentenceTransformer

    class Pages(AbsTaskSTS):
        """Three pairs of sentences."""

        metadata = TaskMetadata(
            name="Pages", description="pages", reference=None, type="STS", category="t2t", modalities=["text"],
            eval_splits=["test"], eval_langs=["eng-Latn"], main_score="cosine_spearman", dataset={"path": "x/y",
            "revision": "1"}, date=None, domains=None, task_subtypes=None, license=None, annotations_creators=None,
            dialect=None, sample_creation=None, bibtex_citation=None,
        )  # fmt: skip
        min_score, max_score = 0, 1

        def load_data(self, **_: object) -> None:
            rows = {"sentence1": TEXTS + [TEXTS[0]], "sentence2": TEXTS[::-1] + [TEXTS[0]], "score": [0.1, 0.2, 1.0]}
            self.dataset, self.data_loaded = {"test": Dataset.from_dict(rows)}, True

    results = mteb.evaluate(SentenceTransformer(folders(), device="cpu"), Pages(), cache=None, show_progress_bar=False)
    assert -1 <= results.task_results[0].get_score() <= 1


@pytest.mark.parametrize("position", ["rope", "learned+alibi"])
def test_torch_export_for_any_batch_and_length(position: str, folders) -> None:
    model = AutoModel.from_pretrained(folders("Model", position)).eval()
    ids = torch.randint(1, 16, (2, 8))
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence", max=32)}
    program = torch.export.export(
        model, (), {"input_ids": ids, "attention_mask": torch.ones_like(ids)},
        dynamic_shapes={"input_ids": axes, "attention_mask": axes}, strict=False,
    )  # fmt: skip
    other = torch.randint(1, 16, (3, 5))
    mask = torch.ones_like(other)
    mask[1, 3:] = 0
    with torch.no_grad():
        expected = model(other, attention_mask=mask).last_hidden_state
        found = program.module()(input_ids=other, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "head, position, options",
    [
        ("ForPreTraining", "rope", {}),
        pytest.param("ForMultipleChoice", "learned", {}, marks=pytest.mark.slow),
        ("ForSequenceClassification", "relative_bias", {"fixed": (1, 16)}),
        ("Model", "alibi", {"precision": "int8"}),
    ],
)
def test_onnx_runtime_gives_equal_outputs(head: str, position: str, options: dict, folders, tmp_path) -> None:
    done = export_onnx(Path(folders(head, position)), tmp_path / "model.onnx", **options)
    assert done.largest_difference < (0.1 if options.get("precision") else 1e-5), done
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert list(list_uploads(tmp_path).files) == ["model.onnx"]  # it names no file of this machine
    with pytest.raises(ValueError, match="exists"):
        export_onnx(Path(folders(head, position)), tmp_path / "model.onnx")


def test_8_bit_weights_of_onnx_fit_processors_without_vnni(folders, tmp_path) -> None:
    export_onnx(Path(folders()), tmp_path / "model.onnx", precision="int8")
    tensors = [numpy_helper.to_array(tensor) for tensor in onnx.load(tmp_path / "model.onnx").graph.initializer]
    weights = [tensor for tensor in tensors if tensor.dtype == np.int8 and tensor.size > 1]
    assert weights and max(np.abs(weight.astype(int)).max() for weight in weights) <= 64


def test_lora_finds_its_layers_and_is_saved_and_merged(folders, tmp_path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(folders(), num_labels=2)
    adapted = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", init_lora_weights=False)).eval()
    layers = {name.rsplit(".", 1)[-1] for name, module in adapted.named_modules() if hasattr(module, "lora_A")}
    assert layers == {"query", "value"}
    ids = torch.randint(1, 16, (2, 6))
    with torch.no_grad():
        expected = adapted(ids).logits
        adapted.save_pretrained(tmp_path)
        plain = AutoModelForSequenceClassification.from_pretrained(folders(), num_labels=2)
        again = PeftModel.from_pretrained(plain, tmp_path).eval()
        torch.testing.assert_close(again(ids).logits, expected)
        torch.testing.assert_close(again.merge_and_unload()(ids).logits, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "head, task, new",
    [
        ("SequenceClassification", "SEQ_CLS", ("classifier", "triembed.pooler")),
        ("NextSentencePrediction", "SEQ_CLS", ("seq_relationship", "triembed.pooler")),
        ("TokenClassification", "TOKEN_CLS", ("classifier", "transform")),
        ("QuestionAnswering", "QUESTION_ANS", ("qa_outputs", "transform")),
    ],
)
def test_lora_trains_and_saves_what_the_checkpoint_lacked(head: str, task: str, new: tuple, tmp_path) -> None:
    sizes = dict(vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    TriEmbedForMaskedLM(TriEmbedConfig(**sizes, token_transform=True)).save_pretrained(tmp_path / "base")
    kind = getattr(hf_embeddings, f"TriEmbedFor{head}")
    model, ids = kind.from_pretrained(tmp_path / "base"), torch.randint(1, 16, (2, 6))
    assert model.new_modules == new
    adapted = get_peft_model(model, LoraConfig(task_type=task, init_lora_weights=False)).eval()
    trained = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    for module in new:
        assert any(f".{module}." in name and "modules_to_save.default" in name for name in trained), trained
    with torch.no_grad():
        expected = adapted(ids)[0]
        adapted.save_pretrained(tmp_path / "adapter")
        again = PeftModel.from_pretrained(kind.from_pretrained(tmp_path / "base"), tmp_path / "adapter").eval()
        torch.testing.assert_close(again(ids)[0], expected)


@pytest.mark.parametrize("adapter", [IA3Config, VeraConfig])
def test_what_is_new_is_merged_with_every_adapter(adapter: type, tmp_path) -> None:
    """PEFT reads the `weight` of each module that it saves where these merge, which a pooler as a whole has not."""
    sizes = dict(vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    TriEmbedForMaskedLM(TriEmbedConfig(**sizes)).save_pretrained(tmp_path / "base")
    model = hf_embeddings.TriEmbedForSequenceClassification.from_pretrained(tmp_path / "base")
    adapted, ids = get_peft_model(model, adapter(task_type="SEQ_CLS")).eval(), torch.randint(1, 16, (2, 6))
    with torch.no_grad():
        expected = adapted(ids).logits
        adapted.merge_and_unload().save_pretrained(tmp_path / "merged")
        merged = hf_embeddings.TriEmbedForSequenceClassification.from_pretrained(tmp_path / "merged")
        torch.testing.assert_close(merged.eval()(ids).logits, expected, atol=1e-5, rtol=1e-5)


def test_nothing_is_new_in_a_checkpoint_of_the_same_task(folders) -> None:
    assert AutoModelForSequenceClassification.from_pretrained(folders("ForSequenceClassification")).new_modules == ()


@pytest.mark.parametrize("device_map", ["auto", {"": "cpu"}, {"embeddings": "cpu", "layers": "disk", "pooler": "cpu"}])
def test_big_model_loading(device_map, folders, tmp_path) -> None:
    folder = folders("Model")
    model = AutoModel.from_pretrained(folder, device_map=device_map, offload_folder=str(tmp_path)).eval()
    ids = torch.arange(1, 9)[None]
    with torch.no_grad():
        expected = AutoModel.from_pretrained(folder).eval()(ids).last_hidden_state
        torch.testing.assert_close(model(ids).last_hidden_state, expected, atol=1e-6, rtol=0)


def test_accelerate_fills_an_empty_model(folders) -> None:
    folder = folders("Model")
    with init_empty_weights():
        empty = TriEmbedModel(AutoConfig.from_pretrained(folder))
    filled = load_checkpoint_and_dispatch(empty, f"{folder}/model.safetensors", device_map={"": "cpu"}).eval()
    ids = torch.arange(1, 9)[None]
    with torch.no_grad():
        expected = AutoModel.from_pretrained(folder).eval()(ids).last_hidden_state
        torch.testing.assert_close(filled(ids).last_hidden_state, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("feed_forward_type", ["plain", "gated"])
def test_the_parallel_plans_name_every_layer(feed_forward_type: str) -> None:
    config = TriEmbedConfig(num_hidden_layers=2, feed_forward_type=feed_forward_type)
    with torch.device("meta"):
        model = TriEmbedModel(config)
    linear = {name for name, module in model.layers.named_modules() if isinstance(module, torch.nn.Linear)}
    planned = [re.escape(plan.removeprefix("layers.")).replace(r"\*", r"\d+") for plan in config.base_model_tp_plan]
    assert linear == {name for name in linear if any(re.fullmatch(pattern, name) for pattern in planned)}
    modules = {name: module for name, module in model.named_modules()}
    for plan in config.base_model_fsdp_plan:
        assert plan.replace(".*", ".0") in modules, plan
    assert {type(model.layers[0]).__name__} <= set(model._no_split_modules)
