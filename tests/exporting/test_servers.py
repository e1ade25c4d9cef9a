"""A directory for servers gives what the model and its modules give, in files that every engine reads."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from hf_embeddings import TriEmbedConfig, TriEmbedForSequenceClassification, TriEmbedModel
from hf_embeddings.cli.main import main
from hf_embeddings.exporting import graph, precision, servers
from hf_embeddings.exporting.exportable import open_encoder
from hf_embeddings.exporting.graph import files_of
from hf_embeddings.exporting.precision import open_session
from hf_embeddings.exporting.sentence_modules import SentenceModules
from hf_embeddings.exporting.servers import export_for_servers, sample_texts
from tests.model.test_modeling_triembed import TYPES, make
from tests.publishing.test_card import checkpoint

TEXTS = ["the answer is on the next page .", "the page is today .", "the answer is the answer on the next page today ."]
PAIRS = [("the answer", "is on the next page ."), ("the page", "is today .")]
COLUMNS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}


def sentence_model(folder: Path, *, position: str = "rope", pooling: str = "mean") -> SentenceTransformer:
    """Save a small model whose vectors go through a map, with prompts and a length of its own."""
    encoder = Transformer(str(checkpoint(folder / "encoder", "TriEmbedModel", position)), max_seq_length=8)
    torch.manual_seed(0)
    dense = Dense(16, 6, activation_function=torch.nn.Tanh())
    model = SentenceTransformer(
        modules=[encoder, Pooling(16, pooling), dense, Normalize()], device="cpu", prompts={"query": "the answer "}
    )
    model.save(str(folder / "model"))
    return model


def run(folder: Path, texts: list, output: str, file: str = "model.onnx") -> np.ndarray:
    """Run a directory as plain ONNX Runtime does: nothing but its tokenizer.json and its graph."""
    rows = Tokenizer.from_file(str(folder / "tokenizer.json")).encode_batch(texts)
    session = open_session(folder / "onnx" / file)
    names = [node.name for node in session.get_inputs()]
    inputs = {name: np.array([getattr(row, COLUMNS[name]) for row in rows]) for name in names}
    return session.run([output], inputs)[0]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model, and the directory for servers that was made of it."""
    folder = tmp_path_factory.mktemp("exported")
    model = sentence_model(folder)
    return model, folder / "model", folder / "out", export_for_servers(folder / "model", folder / "out", fp16=True)


def test_sentence_vectors_are_those_of_the_modules(exported) -> None:
    model, _, folder, done = exported
    expected = model.encode(TEXTS)
    assert expected.shape == (3, 6) and model.max_seq_length == 8
    np.testing.assert_allclose(run(folder, TEXTS, "sentence_embedding"), expected, atol=1e-5)
    prompted = [f"the answer {text}" for text in TEXTS]  # prompts stay with the caller
    np.testing.assert_allclose(
        run(folder, prompted, "sentence_embedding"), model.encode(TEXTS, prompt_name="query"), atol=1e-5
    )
    assert done.outputs == {
        "last_hidden_state": ["batch_size", "sequence_length", 16],
        "sentence_embedding": ["batch_size", 6],
    }
    assert done.opset == 18 and done.pooling == "mean -> Dense -> Normalize" and done.max_length == 8


def test_each_precision_says_how_near_it_is(exported) -> None:
    _, _, folder, done = exported
    assert [(file.name, file.precision) for file in done.files] == [
        ("model.onnx", "fp32"), ("model_quantized.onnx", "int8"), ("model_fp16.onnx", "fp16"),
    ]  # fmt: skip
    whole, small, half = done.files
    assert whole.largest_difference < 1e-5 and whole.worst_cosine > 0.999999
    assert half.worst_cosine > 0.9999 and small.worst_cosine > 0.9
    assert all(file.worst_cosine <= file.mean_cosine for file in done.files) and done.texts == len(sample_texts())
    card = (folder / "README.md").read_text()
    assert all(f"{file.worst_cosine:.5f}, {file.mean_cosine:.5f}" in card for file in done.files)
    for file in done.files:
        model = onnx.load(folder / "onnx" / file.name)
        assert {entry.domain: entry.version for entry in model.opset_import}[""] == 18
        assert {output.type.tensor_type.elem_type for output in model.graph.output} == {onnx.TensorProto.FLOAT}
        assert {entry.type.tensor_type.elem_type for entry in model.graph.input} == {onnx.TensorProto.INT64}
        assert not any("Dropout" in node.op_type for node in model.graph.node)  # as in eval()


def test_the_files_beside_are_those_that_engines_read(exported) -> None:
    """Keys and types as text-embeddings-inference declares them, names that transformers.js and fastembed look for."""
    _, source, folder, _ = exported
    read = {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}
    config = read["config.json"]
    for key in ("hidden_size", "num_hidden_layers", "max_position_embeddings", "pad_token_id"):
        assert type(config[key]) is int, key
    assert config["architectures"] == ["BertModel"] and config["model_type"] == "bert" and "auto_map" not in config
    assert config["exported_from"] == {"model_type": "triembed", "position_embedding_type": "rope"}
    assert read["sentence_bert_config.json"]["max_seq_length"] == 8
    assert read["config_sentence_transformers.json"]["prompts"]["query"] == "the answer "
    assert read["tokenizer_config.json"]["model_max_length"] == 8
    pooling = json.loads((folder / "1_Pooling/config.json").read_text())
    assert pooling["pooling_mode"] == "mean" and pooling["pooling_mode_mean_tokens"] is True
    assert pooling["pooling_mode_cls_token"] is False and pooling["word_embedding_dimension"] == 16
    kinds = [module["type"].removeprefix("sentence_transformers.models.") for module in read["modules.json"]]
    assert kinds == ["Transformer", "Pooling", "Dense", "Normalize"]
    assert not list(folder.glob("*.safetensors")) and not list(folder.glob("*.py"))  # no weights: `bert` loads nothing
    ours, theirs = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(source)
    options = {"truncation": True, "max_length": 8, "padding": True}
    assert ours(TEXTS, padding=True, truncation=True)["input_ids"] == theirs(TEXTS, **options)["input_ids"]


def test_a_reranker_is_exported_with_its_scores(tmp_path) -> None:
    folder = checkpoint(tmp_path / "made", "TriEmbedModel", "alibi")
    torch.manual_seed(0)
    config = TriEmbedConfig.from_pretrained(folder, num_labels=1)
    TriEmbedForSequenceClassification(config).save_pretrained(folder)
    reranker = CrossEncoder(str(folder), device="cpu", activation_fn=torch.nn.Identity())
    reranker.save(str(tmp_path / "model"))
    done = export_for_servers(tmp_path / "model", tmp_path / "out")
    scores = run(tmp_path / "out", PAIRS, "logits")
    np.testing.assert_allclose(scores[:, 0], reranker.predict(PAIRS), atol=1e-5)
    assert done.pooling is None and done.outputs == {"logits": ["batch_size", 1]}
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "LABEL_0"} and config["label2id"] == {"LABEL_0": 0}


@pytest.mark.slow
@pytest.mark.parametrize("position", TYPES)
def test_every_position_type_is_exported(position: str, tmp_path) -> None:
    """One token, many, more than in training where the type goes on, and padding on either side."""
    options = {"bipe": {"separators": [*range(5, 40)]}}  # so many that every text has some
    model = make(position, cls=TriEmbedModel, position_parameters=options if position == "bipe" else None)
    model.save_pretrained(tmp_path / "model")
    exportable = open_encoder(tmp_path / "model", SentenceModules().vectors())
    graph.write_graph(exportable.module, exportable.example(2, 16), exportable.outputs, tmp_path / "model.onnx")
    limit = model.embeddings.position.length_limit
    examples = [exportable.example(*size) for size in ((1, 1), (1, 7), (4, 12), (2, limit or 3 * 40))]
    examples.append(exportable.example(3, 12, left=True))
    assert precision.compare_with_model(exportable, tmp_path / "model.onnx", examples).largest_difference < 1e-5
    precision.quantize_graph(tmp_path / "model.onnx", tmp_path / "small.onnx")
    assert precision.compare_with_model(exportable, tmp_path / "small.onnx", examples).largest_difference < 1


def test_large_models_have_their_weights_beside_the_graph(tmp_path, monkeypatch) -> None:
    for module in (graph, precision):
        monkeypatch.setattr(module, "LARGEST_FILE", 4000)
    done = export_for_servers(checkpoint(tmp_path / "model", "TriEmbedModel"), tmp_path / "out")
    names = {path.name for path in (tmp_path / "out/onnx").iterdir()}
    assert names == {"model.onnx", "model.onnx_data", "model_quantized.onnx", "model_quantized.onnx_data"}
    for file in done.files:
        paths = files_of(tmp_path / "out/onnx" / file.name)
        assert file.size == sum(path.stat().st_size for path in paths) and paths[1].stat().st_size > 1000
    external = json.loads((tmp_path / "out/config.json").read_text())["transformers.js_config"]
    assert external == {"use_external_data_format": {"model.onnx": 1, "model_quantized.onnx": 1}}
    moved = shutil.copytree(tmp_path / "out", tmp_path / "moved")
    assert np.isfinite(run(moved, TEXTS, "sentence_embedding")).all()


def test_vectors_that_are_nan_are_not_kept(exported, tmp_path, monkeypatch) -> None:
    compare = precision.largest_difference
    calls = []

    def broken(found: np.ndarray, expected: np.ndarray) -> float:
        calls.append(1)
        return math.nan if len(calls) == 1 else compare(found, expected)

    def copy_graph(exportable: object, path: Path, *rest: object, **options: object) -> None:
        shutil.copyfile(exported[2] / "onnx/model.onnx", path)

    monkeypatch.setattr(servers, "write_precision", copy_graph)
    monkeypatch.setattr(precision, "largest_difference", broken)
    with pytest.raises(ValueError, match="differ by nan"):
        export_for_servers(exported[1], tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("{in} {out} --for servers --int8", "--int8: given with --for servers, but it is always written"),
        ("{in} {out} --for servers --fixed 1x8", "--fixed: given with --for servers, but servers send any size"),
        ("{in} {out}.onnx --int8 --fp16", "one file has one number format"),
        ("{in} {out}.onnx --for servers", "got the name of one file, expected a directory"),
        ("{in} {out}", "expected a name that ends in .onnx; --for servers writes a directory"),
        ("{in} {in} --for servers --overwrite", "DIR"),
        ("{in}/.. {in} --for servers", "no config.json in it"),
        ("{in} {full} --for servers", "not empty"),
    ],
)
def test_what_cannot_be_is_said_before_the_work(arguments: str, words: str, tmp_path, capsys, monkeypatch) -> None:
    source = checkpoint(tmp_path / "made" / "model", "TriEmbedModel")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    places = {"in": source, "out": tmp_path / "out", "full": tmp_path / "full"}
    given = [word.format(**places) for word in arguments.split()]
    monkeypatch.setattr("sys.argv", ["hf-embeddings", "export", *given])
    capsys.readouterr()
    with pytest.raises(SystemExit) as leaving:
        main()
    error = capsys.readouterr().err
    assert leaving.value.code == 2 and words in error and error.count("\n") == 1, error
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    "architecture, change, words",
    [
        ("TriEmbedForMultipleChoice", None, "whose inputs or outputs no server knows"),
        ("TriEmbedModel", "tokenizer", "tokenizer"),
        ("TriEmbedModel", "sparse", "a SparseEncoder, whose sparse vectors"),
        ("TriEmbedModel", "module", "expected Transformer, Pooling and then"),
    ],
)
def test_what_no_server_takes_is_refused(architecture: str, change: str | None, words: str, tmp_path) -> None:
    source = checkpoint(tmp_path / "model", architecture)
    if change == "tokenizer":
        for path in (*source.glob("tokenizer*"), *source.glob("vocab*")):
            path.unlink()
    elif change is not None:
        module = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.BoW"}
        (source / "modules.json").write_text(json.dumps([module]))
        (source / "config_sentence_transformers.json").write_text(
            json.dumps({"model_type": "SparseEncoder"} if change == "sparse" else {})
        )
    with pytest.raises(ValueError, match=words):
        export_for_servers(source, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_sizes_of_the_sample() -> None:
    lengths = [len(text) for text in sample_texts()]
    assert min(lengths) < 10 and max(lengths) > 200 and len(set(sample_texts())) == len(lengths) > 30
