"""Google's BERT checkpoints, written by the test in TensorFlow's bytes, read without TensorFlow; and damaged ones."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

import hf_embeddings
from hf_embeddings.conversion import ConversionError, convert
from hf_embeddings.conversion import tensorflow as reader
from hf_embeddings.conversion.tensorflow import Tensorflow
from tests.conversion.bundles import write_bundle
from tests.conversion.laws import SIZES, batch, tiny
from tests.conversion.test_convert import WORDS

CONFIG = {key: value for key, value in SIZES.items() if key != "pad_token_id"} | {"hidden_act": "gelu"}


def google_variables(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """Name and turn the weights of a BERT of transformers as google-research/bert does."""
    variables = {}
    for name, tensor in model.named_parameters():
        path = name.replace("encoder.layer.", "encoder.layer_").replace(".", "/")
        if path.endswith("embeddings/weight"):
            path = path.removesuffix("/weight")
        elif "LayerNorm" in path:
            path = path.replace("/weight", "/gamma").replace("/bias", "/beta")
        elif path in ("cls/seq_relationship/weight", "classifier/weight", "qa_outputs/weight"):
            path = path.replace("/weight", "/output_weights")
        elif path in ("cls/seq_relationship/bias", "cls/predictions/bias", "classifier/bias", "qa_outputs/bias"):
            path = path.replace("/bias", "/output_bias")
        elif path.endswith("/weight"):
            path, tensor = path.replace("/weight", "/kernel"), tensor.T
        path = path.replace("classifier/", "").replace("qa_outputs/", "cls/squad/")
        variables[path] = np.ascontiguousarray(tensor.detach().numpy())
    return variables


def write(folder: Path, head: str = "BertForPreTraining", *, extra: dict | None = None, **options: object):
    folder.mkdir()
    model = tiny(head)
    write_bundle(folder / "bert_model.ckpt", google_variables(model) | (extra or {}), **options)
    (folder / "bert_config.json").write_text(json.dumps(CONFIG | {"directionality": "bidi"}))
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    return model


@pytest.mark.parametrize("head", ["BertForPreTraining", "BertForSequenceClassification", "BertForQuestionAnswering"])
@pytest.mark.parametrize("shards", [1, 3])
def test_equals_the_model_it_was_written_from(head: str, shards: int, tmp_path: Path) -> None:
    kernel = np.ones((32, 32), dtype="float32")
    slots = {
        "global_step": np.array(7, dtype="int64"),
        "bert/pooler/dense/kernel/adam_m": kernel,
        "bert/pooler/dense/kernel/adam_v": kernel,
    }
    model = write(tmp_path / "source", head, shards=shards, extra=slots)
    report = convert(tmp_path / "source" / "bert_model.ckpt", tmp_path / "ours")
    assert report.largest_difference == 0 and report.checked_on == "text"
    ours = getattr(hf_embeddings, report.target_class).from_pretrained(tmp_path / "ours").eval()
    inputs = batch(head, model.config)
    with torch.no_grad():
        theirs_out, ours_out = model(**inputs), ours(**inputs)
    for name, tensor in theirs_out.items():
        if tensor.shape[:2] == inputs["attention_mask"].shape:
            tensor, ours_out[name] = (t[inputs["attention_mask"].bool()] for t in (tensor, ours_out[name]))
        torch.testing.assert_close(ours_out[name], tensor, atol=1e-5, rtol=0)
    assert AutoTokenizer.from_pretrained(tmp_path / "ours").tokenize("THE CAT") == ["the", "cat"]
    convert(tmp_path / "ours", tmp_path / "back", to="bert")
    again = type(model).from_pretrained(tmp_path / "back")
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in model.state_dict().items())


def test_a_directory_with_one_checkpoint_is_enough(tmp_path: Path) -> None:
    write(tmp_path / "source")
    assert convert(tmp_path / "source", tmp_path / "ours").target_class == "TriEmbedForPreTraining"
    for part in list((tmp_path / "source").glob("bert_model.ckpt.*")):
        shutil.copy(part, str(part).replace("bert_model", "other"))
    with pytest.raises(ConversionError, match="several checkpoints"):
        convert(tmp_path / "source", tmp_path / "again")


def damage_shard(folder: Path) -> None:
    path = folder / "bert_model.ckpt.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:-100])


def flip_data(folder: Path) -> None:
    path = folder / "bert_model.ckpt.data-00000-of-00001"
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)


def flip_index(folder: Path) -> None:
    path = folder / "bert_model.ckpt.index"
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)


CASES = {
    "no prefix": (lambda f: (f / "bert_model.ckpt.index").unlink(), {}, "bert_model.ckpt.index: no such file"),
    "no shard": (lambda f: (f / "bert_model.ckpt.data-00000-of-00001").unlink(), {}, "no such file"),
    "no config": (lambda f: (f / "bert_config.json").unlink(), {}, "bert_config.json: no such file"),
    "truncated": (damage_shard, {}, "truncated"),
    "data": (flip_data, {}, "checksum"),
    "index": (flip_index, {}, "checksum of a block is wrong"),
    "not an index": (lambda f: (f / "bert_model.ckpt.index").write_bytes(b"x" * 99), {}, "no checkpoint index"),
    "partitioned": (lambda f: None, {"sliced": "bert/pooler/dense/kernel"}, "partitioned"),
    "big endian": (lambda f: None, {"endian": 1}, "big-endian"),
    "extra": (lambda f: None, {"extra": {"bert/adapter/kernel": np.ones((2, 2), "float32")}}, "bert/adapter/kernel"),
    "integers": (lambda f: None, {"extra": {"bert/pooler/dense/bias": np.ones(32, "int64")}}, "stored as int64"),
    "TensorFlow 2": (
        lambda f: None,
        {"extra": {"model/x/.ATTRIBUTES/VARIABLE_VALUE": np.ones(2, "float32")}},
        "object checkpoint of TensorFlow 2",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_damage_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    change, options, message = CASES[case]
    write(tmp_path / "source", **options)
    change(tmp_path / "source")
    with pytest.raises(ConversionError) as error:
        convert(tmp_path / "source" / "bert_model.ckpt", tmp_path / "ours")
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "ours").exists()


def test_without_a_fast_checksum_weights_are_read_all_the_same(tmp_path: Path, monkeypatch) -> None:
    write(tmp_path / "source")
    monkeypatch.setattr(reader, "_fast_checksum", lambda: None)
    assert Tensorflow(tmp_path / "source/bert_model.ckpt").checksum is None
    assert convert(tmp_path / "source", tmp_path / "ours").largest_difference == 0


def test_the_slow_checksum_is_the_fast_one() -> None:
    assert reader._slow_checksum(b"123456789") == 0xE3069283  # the check value of CRC-32C (RFC 3720, appendix B.4)
    noise = random.Random(0).randbytes(999)
    assert reader._slow_checksum(noise) == reader._fast_checksum()(noise)
