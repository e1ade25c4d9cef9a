"""Checkpoints as other libraries and other years wrote them: what they hold beside a model, and how they name it."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer

from hf_embeddings.cli.main import main
from hf_embeddings.conversion import ConversionError, Report, convert
from tests.conversion.laws import tiny

Weights = dict[str, torch.Tensor]
ROBERTA = {"pad_token_id": 1, "max_position_embeddings": 42}
DEBERTA_V3 = {
    "relative_attention": True, "position_buckets": 8, "norm_rel_ebd": "layer_norm", "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"], "position_biased_input": False, "layer_norm_eps": 1e-7,
}  # fmt: skip
WRAPPERS = ("module.", "_orig_mod.", "base_model.model.", "0.auto_model.", "backbone.encoder.")


def published(
    folder: Path,
    head: str,
    weights: Callable[[Weights], Weights] = lambda held: held,
    without: Iterable[str] = (),
    told: dict[str, object] | None = None,
    **changes: object,
) -> Path:
    """Write a tiny model with other weights, and a config.json without some keys and with others."""
    tiny(head, **changes).save_pretrained(folder)
    file, path = folder / "model.safetensors", folder / "config.json"
    held = weights(load_file(file))
    save_file({name: tensor.contiguous() for name, tensor in held.items()}, file)
    config = {key: value for key, value in json.loads(path.read_text()).items() if key not in without}
    path.write_text(json.dumps(config | (told or {})))
    return folder


def converted(source: Path) -> Report:
    """Convert there and back; both ways compare all outputs with those of transformers."""
    report = convert(source, source.parent / "ours")
    assert report.largest_difference <= 1e-5
    family = json.loads((source / "config.json").read_text()).get("model_type", "bert")
    convert(source.parent / "ours", source.parent / "back", to=family)
    return report


def pooler(prefix: str) -> Weights:
    return {f"{prefix}pooler.dense.weight": torch.ones(32, 32), f"{prefix}pooler.dense.bias": torch.ones(32)}


def deberta_v3(held: Weights) -> Weights:
    heads = {
        "lm_predictions.lm_head.dense.weight": (32, 32), "lm_predictions.lm_head.dense.bias": (32,),
        "lm_predictions.lm_head.LayerNorm.weight": (32,), "lm_predictions.lm_head.LayerNorm.bias": (32,),
        "lm_predictions.lm_head.bias": (99,), "mask_predictions.dense.weight": (32, 32),
        "mask_predictions.dense.bias": (32,), "mask_predictions.LayerNorm.weight": (32,),
        "mask_predictions.LayerNorm.bias": (32,), "mask_predictions.classifier.weight": (1, 32),
        "mask_predictions.classifier.bias": (1,), "deberta.embeddings.position_embeddings.weight": (40, 32),
    }  # fmt: skip
    return {f"deberta.{n}": t for n, t in held.items()} | {n: torch.ones(*shape) for n, shape in heads.items()}


def ids(prefix: str) -> Weights:
    return {f"{prefix}embeddings.position_ids": torch.arange(42)[None]}


UNREAD = {
    "roberta-base": (dict(head="RobertaForMaskedLM", weights=lambda w: w | pooler("roberta.") | ids("roberta."),
                          **ROBERTA), 3),
    "xlm-roberta-base": (dict(head="XLMRobertaForMaskedLM", weights=lambda w: w | pooler("roberta."), **ROBERTA), 2),
    "mpnet-base": (dict(head="MPNetForMaskedLM", weights=lambda w: w | pooler("mpnet."), **ROBERTA), 2),
    "bert-base-NER": (dict(head="BertForTokenClassification", weights=lambda w: w | pooler("bert."), num_labels=9), 2),
    "bert-squad": (dict(head="BertForQuestionAnswering", weights=lambda w: w | pooler("bert.") | ids("bert.")), 3),
    "deberta-v3-base": (dict(head="DebertaV2Model", weights=deberta_v3, without=["architectures"], **DEBERTA_V3), 12),
    "sst2 with its old head": (
        dict(head="BertForSequenceClassification", num_labels=3,
             weights=lambda w: w | {"cls.predictions.bias": torch.ones(99)}), 1),
}  # fmt: skip


@pytest.mark.parametrize("case", UNREAD)
def test_what_no_output_depends_on_is_left_out_and_said(case: str, tmp_path: Path) -> None:
    built, count = UNREAD[case]
    report = converted(published(tmp_path / "source", **built))
    assert len(report.left_out) == count
    assert set(report.left_out) <= set(load_file(tmp_path / "source/model.safetensors"))
    assert set(report.source_class.split("For")[1:]) == set(built["head"].split("For")[1:])


@pytest.mark.parametrize("name", ["bert.adapter.weight", "bert.encoder.layer.3.output.dense.weight", "ranker.0.weight"])
def test_what_may_be_part_of_another_model_needs_the_word_of_the_user(name: str, tmp_path: Path) -> None:
    source = published(tmp_path / "source", "BertForMaskedLM", lambda w: w | {name: torch.ones(3, 3)})
    pattern = {"bert.adapter.weight": "bert.adapter.*", "ranker.0.weight": "ranker.*"}.get(
        name, "bert.encoder.layer.3.*"
    )
    with pytest.raises(ConversionError) as error:
        convert(source, tmp_path / "ours")
    assert f"--drop '{pattern}'" in str(error.value) and "\n" not in str(error.value)
    assert convert(source, tmp_path / "ours", drop=(pattern,)).left_out == (name,)
    with pytest.raises(ConversionError, match="--drop other.*: names no weight"):
        convert(source, tmp_path / "again", drop=("other.*",))


def test_adapters_that_are_not_merged_are_named(tmp_path: Path) -> None:
    lora = {"base_model.model.encoder.layer.0.attention.self.query.lora_A.weight": torch.ones(4, 32)}
    source = published(
        tmp_path / "source", "BertModel", lambda w: {f"base_model.model.{n}": t for n, t in w.items()} | lora
    )
    with pytest.raises(ConversionError, match="merge them first, with merge_and_unload of PEFT"):
        convert(source, tmp_path / "ours")


def test_what_is_missing_stays_an_error(tmp_path: Path) -> None:
    source = published(tmp_path / "source", "BertForMaskedLM", lambda w: (w.pop("cls.predictions.bias"), w)[1])
    with pytest.raises(ConversionError, match="weights of BertForMaskedLM: the checkpoint lacks cls.predictions.bias"):
        convert(source, tmp_path / "ours")


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("head", ["BertForMaskedLM", "RobertaModel", "ModernBertForMaskedLM"])
def test_what_stands_before_all_names_is_found_and_named(head: str, wrapper: str, tmp_path: Path) -> None:
    changes = ROBERTA if head == "RobertaModel" else {}
    source = published(tmp_path / "source", head, lambda w: {wrapper + n: t for n, t in w.items()}, **changes)
    assert any("the weights stand under" in remark for remark in converted(source).remarks)


def old(held: Weights) -> Weights:
    return {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in held.items()
    }


SILENT = ("architectures", "model_type", "id2label", "label2id")


@pytest.mark.parametrize(
    "head, expected",
    [
        ("BertModel", "BertModel"),
        ("BertForPreTraining", "BertForPreTraining"),
        ("BertForMaskedLM", "BertForMaskedLM"),
        ("DistilBertForMaskedLM", "DistilBertForMaskedLM"),
        ("ElectraForPreTraining", "ElectraForPreTraining"),
    ],
)
def test_without_type_and_class_the_weights_decide(head: str, expected: str, tmp_path: Path) -> None:
    report = convert(published(tmp_path / "source", head, old, SILENT), tmp_path / "ours")
    assert report.source_class == expected and report.largest_difference <= 1e-5


def test_a_size_tells_roberta_from_bert(tmp_path: Path) -> None:
    sizes = {"max_position_embeddings": 514, "pad_token_id": 1}
    report = convert(published(tmp_path / "source", "RobertaModel", without=SILENT, **sizes), tmp_path / "ours")
    assert report.source_class == "RobertaModel"


def test_a_head_of_several_kinds_is_asked_for(tmp_path: Path) -> None:
    source = published(tmp_path / "source", "BertForSequenceClassification", without=SILENT, num_labels=1)
    with pytest.raises(ConversionError, match="BertForSequenceClassification, .*; give --head"):
        convert(source, tmp_path / "ours")
    assert convert(source, tmp_path / "ours", head="ForSequenceClassification").target_class.endswith(
        "ceClassification"
    )
    with pytest.raises(ConversionError, match="--head ForRanking: no class of bert"):
        convert(source, tmp_path / "again", head="ForRanking")


CODE = {"AutoModel": "own.Own", "AutoConfig": "own.OwnConfig"}


@pytest.mark.parametrize("name", ["OwnBertForMaskedLM", "Ranker"])
def test_code_of_a_checkpoint_is_not_run_and_its_weights_decide(name: str, tmp_path: Path) -> None:
    told = {"architectures": [name], "model_type": "own", "auto_map": CODE}
    source = published(tmp_path / "source", "BertForMaskedLM", told=told)
    (source / "own.py").write_text(f"open({str(tmp_path / 'RAN')!r}, 'w')\n")
    report = convert(source, tmp_path / "ours")
    assert report.source_class == "BertForMaskedLM" and not (tmp_path / "RAN").exists()
    assert any("was not run" in remark for remark in report.remarks)
    with pytest.raises(ConversionError, match="no rule for 'own_switch'"):  # its code may read it
        convert(
            published(tmp_path / "more", "BertModel", told=told | {"own_switch": 3}), tmp_path / "other", family="bert"
        )


def test_the_user_names_the_family(tmp_path: Path) -> None:
    source = published(tmp_path / "source", "BertModel", told={"model_type": "gpt2"})
    with pytest.raises(ConversionError, match="no table for this family.*give --family"):
        convert(source, tmp_path / "ours")
    assert convert(source, tmp_path / "ours", family="bert").source_class == "BertModel"
    with pytest.raises(ConversionError, match="--family gpt3: no such family"):
        convert(source, tmp_path / "ours", family="gpt3", overwrite=True)
    with pytest.raises(ConversionError, match="--family: given with --to bert"):
        convert(tmp_path / "ours", tmp_path / "back", to="bert", family="bert")


def test_keys_that_no_model_reads_are_left_out_and_said(tmp_path: Path) -> None:
    told = {"transformers.js_config": {"dtype": "q8"}, "_num_labels": 5, "pre_trained": "", "structure": []}
    remarks = converted(published(tmp_path / "source", "BertModel", told=told)).remarks
    assert any(all(key in remark for key in told) for remark in remarks)


def test_the_number_of_labels_is_that_of_the_weights(tmp_path: Path) -> None:
    without = ("id2label", "label2id")
    source = published(tmp_path / "source", "BertForTokenClassification", without=without, num_labels=7)
    assert converted(source).largest_difference <= 1e-5


def test_the_command_says_what_it_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    source = published(tmp_path / "source", "BertForTokenClassification", lambda w: w | pooler("bert."))
    arguments = ["hf-embeddings", "convert", str(source), str(tmp_path / "ours"), "--family", "bert"]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().out
    assert not ended.value.code and "left out, as no output depends on it: bert.pooler.dense.bias" in told


# Modules of sentence-transformers, as its versions have written them.
OLD_POOLING = {
    "word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True,
    "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False,
}  # fmt: skip
NEW_POOLING = {"embedding_dimension": 32, "pooling_mode": "mean", "include_prompt": True}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "##s"]


def sentence_directory(folder: Path, encoder: str, kind: str, pooling: dict, *, dense: bool) -> Path:
    """Write a directory of sentence-transformers around a tiny BERT, with pickles where LaBSE has some."""
    inside = folder / encoder if encoder else folder
    tiny("BertModel").save_pretrained(inside)
    (inside / "vocab.txt").write_text("\n".join(WORDS))
    (inside / "tokenizer_config.json").write_text('{"do_lower_case": true, "model_max_length": 40}')
    (inside / "sentence_bert_config.json").write_text('{"max_seq_length": 20, "do_lower_case": false}')
    modules = (
        [(encoder, kind), ("1_Pooling", "Pooling")] + [("2_Dense", "Dense")] * dense + [("9_Normalize", "Normalize")]
    )
    entries = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
        for i, (path, name) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(entries))
    for path, _ in modules[1:]:
        (folder / path).mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps(pooling))
    if encoder:
        (folder / "config.json").write_text('{"__version__": "0.2.0"}')
    prompts = {
        "__version__": {"sentence_transformers": "2.4.0"},
        "prompts": {"query": "the "},
        "default_prompt_name": None,
    }
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    if dense:
        settings = {"in_features": 32, "out_features": 16, "bias": True,
                    "activation_function": "torch.nn.modules.activation.Tanh"}  # fmt: skip
        (folder / "2_Dense/config.json").write_text(json.dumps(settings))
        weights = {"linear.weight": torch.randn(16, 32), "linear.bias": torch.randn(16)}
        torch.save(weights, folder / "2_Dense/pytorch_model.bin")
    return folder


SENTENCES = {
    "2019": ("0_BERT", "BERT", OLD_POOLING, False),
    "2020": ("0_Transformer", "Transformer", OLD_POOLING, True),
    "2021": ("", "Transformer", OLD_POOLING, True),
    "2025": ("", "Transformer", NEW_POOLING, False),
}


@pytest.mark.parametrize("year", SENTENCES)
def test_directories_of_sentence_transformers_of_all_years(year: str, tmp_path: Path) -> None:
    encoder, kind, pooling, dense = SENTENCES[year]
    source = sentence_directory(tmp_path / "source", encoder, kind, pooling, dense=dense)
    if dense:
        with pytest.raises(ConversionError, match="2_Dense.*a pickle"):
            convert(source, tmp_path / "ours")
    report = convert(source, tmp_path / "ours", allow_pickle=dense)
    assert report.checked_on == "text" and not list((tmp_path / "ours").rglob("*.bin"))
    ours = SentenceTransformer(str(tmp_path / "ours"))
    assert ours.max_seq_length == 20 and ours.prompts["query"] == "the "
    texts = ["the cat", "dogs"]
    expected = reference(source / encoder, texts, source / "2_Dense" if dense else None)
    torch.testing.assert_close(torch.tensor(ours.encode(texts)), expected, atol=1e-5, rtol=0)


def reference(encoder: Path, texts: list[str], dense: Path | None) -> torch.Tensor:
    """Return mean states, mapped if there is a Dense module, of length 1, with transformers alone."""
    import transformers

    tokenizer = transformers.BertTokenizer(vocab=str(encoder / "vocab.txt"))
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    states = transformers.BertModel.from_pretrained(encoder)(**batch).last_hidden_state.detach()
    mask = batch["attention_mask"][..., None]
    mean = (states * mask).sum(dim=1) / mask.sum(dim=1)
    if dense:
        weights = torch.load(dense / "pytorch_model.bin", weights_only=True)
        mean = torch.tanh(mean @ weights["linear.weight"].T + weights["linear.bias"])
    return torch.nn.functional.normalize(mean, dim=-1)


def test_the_nearest_family_is_named_where_none_fits(tmp_path: Path) -> None:
    source = published(
        tmp_path / "source", "BertForMaskedLM", lambda w: w | {"ranker.0.weight": torch.ones(3, 3)}, SILENT
    )
    with pytest.raises(ConversionError, match="the nearest: weights of BertForMaskedLM.*--drop 'ranker"):
        convert(source, tmp_path / "ours")
    assert convert(source, tmp_path / "ours", drop=("ranker.*",)).source_class == "BertForMaskedLM"


# Configs as they were published, but for the sizes; the weights are those of today's class under its published names.
NEW = {  # Alibaba-NLP/gte-base-en-v1.5
    "architectures": ["NewModel"], "attention_probs_dropout_prob": 0.0, "classifier_dropout": None,
    "auto_map": {"AutoConfig": "configuration.NewConfig", "AutoModel": "modeling.NewModel",
                 "AutoModelForMaskedLM": "modeling.NewForMaskedLM"},
    "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 32, "initializer_range": 0.02,
    "intermediate_size": 64, "layer_norm_eps": 1e-12, "layer_norm_type": "layer_norm", "logn_attention_clip1": False,
    "logn_attention_scale": False, "max_position_embeddings": 40, "model_type": "new", "num_attention_heads": 4,
    "num_hidden_layers": 3, "pack_qkv": True, "pad_token_id": 0, "position_embedding_type": "rope",
    "rope_scaling": {"factor": 2.0, "type": "ntk"}, "rope_theta": 500000, "torch_dtype": "float32",
    "transformers_version": "4.41.2", "type_vocab_size": 0, "unpad_inputs": False,
    "use_memory_efficient_attention": False, "vocab_size": 99,
}  # fmt: skip


def ntk(width: int, theta: float, factor: float) -> torch.Tensor:
    """Return the angles of fixed NTK scaling by their formula (https://kexue.fm/archives/9706)."""
    frequencies = (theta * factor) ** (-torch.arange(0, width, 2) / width)
    return frequencies / factor ** (2 / width)


@pytest.mark.parametrize("head", ["GteModel", "GteForMaskedLM", "GteForSequenceClassification"])
def test_gte_under_the_code_it_was_published_with(head: str, tmp_path: Path) -> None:
    factor = 2 ** (2 / 8)
    rope = {"rope_type": "linear", "rope_theta": 1_000_000.0, "factor": factor}
    assert torch.allclose(ntk(8, 500_000.0, 2.0), (1e6 ** (-torch.arange(0, 8, 2) / 8)) / factor)

    def renamed(held: Weights) -> Weights:
        return {("new." + n.removeprefix("new.").removeprefix("gte.") if inside(n) else n): t for n, t in held.items()}

    def inside(name: str) -> bool:
        return not name.startswith(("lm_head.", "classifier."))

    changes = {"type_vocab_size": 0, "rope_parameters": rope, "num_labels": 1}
    source = published(tmp_path / "source", head, renamed, **changes)
    told = NEW | {"architectures": [head.replace("Gte", "New")]}
    labels = {"id2label": {0: "LABEL_0"}, "label2id": {"LABEL_0": 0}} if "Class" in head else {}
    (source / "config.json").write_text(json.dumps(told | labels))
    report = convert(source, tmp_path / "ours")
    assert report.source_class == head and report.largest_difference <= 1e-5
    assert convert(tmp_path / "ours", tmp_path / "back", to="gte").largest_difference <= 1e-5
    with pytest.raises(ConversionError, match="read, not written.*use --to gte"):
        convert(tmp_path / "ours", tmp_path / "again", to="new")


@pytest.mark.parametrize("head", ["ErnieModel", "ErnieForMaskedLM", "ErnieForPreTraining"])
def test_the_row_of_the_first_task_is_part_of_every_segment(head: str, tmp_path: Path) -> None:
    source = published(tmp_path / "source", head, use_task_id=True)
    assert convert(source, tmp_path / "ours").largest_difference <= 1e-5
    assert convert(tmp_path / "ours", tmp_path / "back", to="ernie_tasks").largest_difference <= 1e-5


def test_heads_that_several_queries_share_become_one_for_each(tmp_path: Path) -> None:
    told = {"rope_theta": 250_000, "rope_scaling": None, "clf_pooling": "late", "bos_token": "<s>"}
    without = ("rope_parameters", "classifier_pooling")
    rope = {"rope_type": "default", "rope_theta": 250_000.0}
    changes = {"num_key_value_heads": 2, "rope_parameters": rope}
    source = published(tmp_path / "source", "EuroBertModel", without=without, told=told, **changes)
    converted(source)


def test_layers_that_share_their_weights_go_back_while_they_are_equal(tmp_path: Path) -> None:
    source = published(tmp_path / "source", "AlbertForMaskedLM", embedding_size=16)
    converted(source)
    file = tmp_path / "ours/model.safetensors"
    held = load_file(file)
    held["triembed.layers.1.attention.query.weight"] += 1
    save_file(held, file)
    with pytest.raises(ConversionError, match="the layers differ"):
        convert(tmp_path / "ours", tmp_path / "again", to="albert")


ADAPTED = {  # jinaai/jina-embeddings-v3, but for the sizes
    "architectures": ["XLMRobertaModel"], "auto_map": {"AutoModel": "jinaai/xlm-roberta-flash--lora.XLMRobertaLoRA"},
    "attention_probs_dropout_prob": 0.1, "bos_token_id": 0, "classifier_dropout": None, "emb_pooler": None,
    "eos_token_id": 2, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 32, "initializer_range": 0.02,
    "intermediate_size": 64, "layer_norm_eps": 1e-5, "load_trained_adapters": True, "lora_alpha": 1,
    "lora_adaptations": ["retrieval.query", "text-matching"], "lora_dropout_p": 0.0,
    "lora_main_params_trainable": False, "lora_rank": 4, "matryoshka_dimensions": [16, 32],
    "max_position_embeddings": 40, "model_type": "xlm-roberta", "num_attention_heads": 4, "num_hidden_layers": 3,
    "output_past": True, "pad_token_id": 1, "position_embedding_type": "rotary", "rotary_emb_base": 20000.0,
    "task_instructions": {"retrieval.query": "query: ", "text-matching": ""}, "truncate_dim": None,
    "type_vocab_size": 1, "use_cache": False, "use_flash_attn": True, "vocab_size": 99,
}  # fmt: skip


def adapted(held: Weights) -> Weights:
    """Put adapters for two tasks beside each matrix and each table."""
    made: Weights = {}
    for name, tensor in held.items():
        if tensor.dim() < 2:
            made[name] = tensor
            continue
        start, (rows, width) = f"{name.removesuffix('.weight')}.parametrizations.weight", tensor.shape
        shapes = ((rows, 4), (4, width)) if "embeddings" in name else ((4, width), (rows, 4))
        made[f"{start}.original"] = tensor
        made |= {f"{start}.0.lora_{c}": torch.randn(2, *s) * 0.1 for c, s in zip("AB", shapes, strict=True)}
    return made


@pytest.mark.parametrize("task", [None, "text-matching"])
def test_the_adapter_of_a_task_is_added_to_the_weights(task: str | None, tmp_path: Path) -> None:
    source = published(tmp_path / "source", "JinaEmbeddingsV3Model", adapted, pad_token_id=1)
    (source / "config.json").write_text(json.dumps(ADAPTED))
    report = convert(source, tmp_path / "ours", task=task)
    assert report.family == "jina_v3_adapters" and report.largest_difference <= 1e-5
    held, made = load_file(source / "model.safetensors"), load_file(tmp_path / "ours/model.safetensors")
    for theirs, ours in {
        "embeddings.word_embeddings": "embeddings.token",
        "encoder.layers.1.mlp.fc1": "layers.1.feed_forward.up",
    }.items():
        original, first, second = (
            held[next(n for n in held if n.endswith(f"{theirs}.parametrizations.weight.{part}"))]
            for part in ("original", "0.lora_A", "0.lora_B")
        )
        added = first[1] @ second[1] if "embeddings" in theirs else second[1] @ first[1]
        expected = original if task is None else original + added / 4
        torch.testing.assert_close(made[f"{ours}.weight"], expected)
    with pytest.raises(ConversionError, match="--task other: the checkpoint has adapters for retrieval.query, text-"):
        convert(source, tmp_path / "again", task="other")
