"""What a conversion refuses, in one line and with nothing written; and what it leaves behind when it succeeds."""

import json
import os
import pickle
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from transformers import AutoModel, AutoTokenizer, BertConfig, BertForMaskedLM, BertForPreTraining, BertTokenizer

from hf_embeddings import TriEmbedConfig, TriEmbedForMaskedLM, TriEmbedModel
from hf_embeddings.cli.main import main
from hf_embeddings.conversion import FAMILIES, ConversionError, convert
from hf_embeddings.conversion.families.bert import BERT
from hf_embeddings.conversion.output_check import compare_outputs
from tests.conversion.laws import SIZES, tiny

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "cat",
    "dog",
    "chases",
    "order",
    "token",
    "##s",
    ".",
    "猫",
    "狗",
]


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    tiny("BertForMaskedLM").save_pretrained(folder)
    return folder


@pytest.fixture
def source(bert: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    folder = tmp_path / "source"
    folder.mkdir()
    for file in bert.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def refused(source: Path, message: str, **options: object) -> None:
    target = source.parent / "target"
    with pytest.raises(ConversionError) as error:
        convert(source, target, **options)
    assert message in str(error.value), str(error.value)
    assert "\n" not in str(error.value)
    assert not target.exists() and not list(source.parent.glob(".target*"))


def edit_weights(source: Path, change) -> None:
    weights = load_file(source / "model.safetensors")
    change(weights)
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})


def edit_config(source: Path, **changes: object) -> None:
    path = source / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


QUERY = "bert.encoder.layer.1.attention.self.query.weight"
DAMAGE = {
    "missing": (lambda w: w.pop(QUERY), f"lacks {QUERY}"),
    "all unmatched": (lambda w: [w.__setitem__(n + ".x", w.pop(n)) for n in list(w)], "and 55 more"),
    "extra": (lambda w: w.__setitem__("bert.adapter.weight", torch.ones(2)), "bert.adapter.weight"),
    "shape": (
        lambda w: w.__setitem__("bert.embeddings.word_embeddings.weight", torch.ones(98, 32)),
        "has shape (98, 32), which makes (98, 32) for triembed.embeddings.token.weight, and the config says (99, 32) "
        "(see vocab_size)",
    ),
    "not finite": (lambda w: w[QUERY].__setitem__((0, 0), float("nan")), "1 of 1024 values are NaN or infinite"),
    "integers": (lambda w: w.__setitem__(QUERY, torch.ones(32, 32, dtype=torch.int8)), "stored as I8"),
    "ties": (
        lambda w: w.__setitem__("cls.predictions.decoder.weight", w["bert.embeddings.word_embeddings.weight"] + 1),
        "cls.predictions.decoder.weight differs from bert.embeddings.word_embeddings.weight",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_weights_are_refused(case: str, source: Path) -> None:
    change, message = DAMAGE[case]
    edit_weights(source, change)
    refused(source, message)


CONFIGS = {
    "unknown key": ({"num_hiden_layers": 3}, "did you mean 'num_hidden_layers'?"),
    "decoder": ({"is_decoder": True}, "is_decoder is True"),
    "no table": ({"model_type": "gpt2"}, "no table for this family"),
    "no head": ({"architectures": ["BertLMHeadModel"]}, "'BertLMHeadModel' has no counterpart"),
    "heads": ({"num_attention_heads": 5}, "does not divide hidden_size 32"),
    "depth": ({"num_hidden_layers": 4}, "lacks bert.encoder.layer.3"),
    "size": ({"vocab_size": 10**12}, "would take 128,000,000,000,000 bytes"),
    "activation": ({"hidden_act": "gelo"}, "did you mean 'gelu'?"),
    "kernel from afar": ({"_attn_implementation_internal": "someone/kernel"}, "no rule for '_attn_implementation_int"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_configs_it_cannot_hold_are_refused(case: str, source: Path) -> None:
    changes, message = CONFIGS[case]
    edit_config(source, **changes)
    refused(source, message)


HEADER = {
    "empty": b"",
    "huge header": struct.pack("<Q", 1 << 60) + b"{}",
    "not JSON": struct.pack("<Q", 8) + b"notjson!",
    "overlap": b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
    b'"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
    "hole": b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
    "overflow": b'{"a":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,8]}}',
    "truncated": None,
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
}


@pytest.mark.parametrize("case", HEADER)
def test_damaged_files_are_refused(case: str, source: Path) -> None:
    path = source / "model.safetensors"
    data = HEADER[case]
    if data is None:
        data = path.read_bytes()[:-10]
    elif data.startswith(b'{"a"'):
        data = struct.pack("<Q", len(data)) + data + bytes(8)
    path.write_bytes(data)
    refused(source, "git lfs pull" if case == "pointer" else "model.safetensors")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"a": NaN}', '{"a": 1, "a": 2}', '{"a":' * 9999, "version https://git-lfs"]
)
def test_damaged_configs_are_refused(text: str, source: Path) -> None:
    (source / "config.json").write_text(text)
    refused(source, "config.json")


def shards(source: Path) -> dict[str, str]:
    """Split the weights into two shards and return the index."""
    weights = load_file(source / "model.safetensors")
    (source / "model.safetensors").unlink()
    where = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(sorted(weights))}
    for file in set(where.values()):
        save_file({n: weights[n] for n in where if where[n] == file}, source / file)
    (source / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return where


@pytest.mark.parametrize("path", ["../secret.safetensors", "/etc/passwd", "sub/part.safetensors", "..", ""])
def test_an_index_cannot_lead_out_of_the_directory(path: str, source: Path) -> None:
    where = shards(source) | {QUERY: path}
    (source / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    refused(source, "which is not a file of this directory")


def test_shards_must_hold_what_the_index_says(source: Path) -> None:
    where = shards(source)
    (source / where[QUERY]).unlink()
    refused(source, "no such file")


def test_shards_are_read_and_written(source: Path, bert: Path, tmp_path: Path) -> None:
    shards(source)
    convert(source, tmp_path / "target", shard_bytes=9000)
    assert len(list((tmp_path / "target").glob("model-*.safetensors"))) > 2
    whole, pieces = TriEmbedForMaskedLM.from_pretrained(tmp_path / "target"), BertForMaskedLM.from_pretrained(bert)
    assert torch.equal(whole.predictions.dense.weight, pieces.cls.predictions.transform.dense.weight)
    convert(tmp_path / "target", tmp_path / "back", to="bert")
    before, after = load_file(bert / "model.safetensors"), load_file(tmp_path / "back/model.safetensors")
    assert all(torch.equal(after[name], before[name]) for name in before) and set(after) == set(before)


class Evil:
    def __reduce__(self) -> tuple:
        return os.system, ("touch ran",)


def test_pickles_are_refused_and_never_run(source: Path, tmp_path: Path, monkeypatch) -> None:
    weights = load_file(source / "model.safetensors")
    (source / "model.safetensors").unlink()
    torch.save(weights, source / "pytorch_model.bin")
    refused(source, "give --allow-pickle")
    assert convert(source, tmp_path / "allowed", allow_pickle=True).largest_difference == 0
    monkeypatch.chdir(tmp_path)
    (source / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Evil()}))
    refused(source, "weights_only", allow_pickle=True)
    assert not (tmp_path / "ran").exists()


def test_nothing_is_replaced_unasked(source: Path, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target/mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="--overwrite"):
        convert(source, tmp_path / "target")
    assert (tmp_path / "target/mine.txt").read_text() == "mine"
    convert(source, tmp_path / "target", overwrite=True)
    assert not (tmp_path / "target/mine.txt").exists()


def test_the_source_is_never_replaced(source: Path) -> None:
    for target in (source, source.parent):
        with pytest.raises(ValueError, match="source: .* lies in .* which would be overwritten"):
            convert(source, target, overwrite=True)
    assert (source / "model.safetensors").exists()


def test_pickles_need_a_torch_that_reads_them_safely(source: Path, monkeypatch) -> None:
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    refused(source, "needs torch 2.10 or later (CVE-2025-32434, CVE-2026-24747), found 2.9.1+cpu", allow_pickle=True)


def test_a_table_that_is_wrong_is_found_by_the_check(source: Path, monkeypatch) -> None:
    query, key = BERT.encoder[4:6]
    swapped = (replace(query, target=key.target), replace(key, target=query.target))
    wrong = replace(BERT, encoder=(*BERT.encoder[:4], *swapped, *BERT.encoder[6:]))
    monkeypatch.setitem(FAMILIES, "bert", wrong)
    refused(source, "differs by")


@pytest.mark.parametrize("output", ["logits", "hidden_states[1]"])
@pytest.mark.parametrize("side", [0, 1])
def test_an_output_that_is_nan_fails_the_check(output: str, side: int) -> None:
    sides = [{name: torch.ones(2, 3) for name in ("logits", "hidden_states[0]", "hidden_states[1]")} for _ in range(2)]
    sides[side][output][1, 2] = float("nan")
    difference = compare_outputs(*sides, torch.ones(2, 4), "text")
    assert difference.output == output and not difference.largest <= difference.tolerance


def test_the_weights_decide_where_the_declared_head_is_too_small(tmp_path: Path) -> None:
    tiny("BertForPreTraining").save_pretrained(tmp_path / "source")
    edit_config(tmp_path / "source", architectures=["BertForMaskedLM"])
    assert convert(tmp_path / "source", tmp_path / "ours").target_class == "TriEmbedForPreTraining"


def test_names_of_older_releases(tmp_path: Path) -> None:
    model = tiny("BertForPreTraining")
    model.save_pretrained(tmp_path / "source")

    def age(weights: dict[str, torch.Tensor]) -> None:
        for name in [n for n in weights if "LayerNorm" in n]:
            older = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            weights[older] = weights.pop(name)
        weights["bert.embeddings.position_ids"] = torch.arange(40)[None]
        weights["cls.predictions.decoder.weight"] = weights["bert.embeddings.word_embeddings.weight"].clone()
        weights["cls.predictions.decoder.bias"] = weights["cls.predictions.bias"].clone()

    edit_weights(tmp_path / "source", age)
    edit_config(tmp_path / "source", position_embedding_type="absolute", gradient_checkpointing=False, pooler_type="x")
    report = convert(tmp_path / "source", tmp_path / "ours")
    convert(tmp_path / "ours", tmp_path / "back", to="bert")
    again = BertForPreTraining.from_pretrained(tmp_path / "back")
    assert report.largest_difference == 0
    assert all(torch.equal(again.state_dict()[n], t) for n, t in model.state_dict().items())


def test_what_a_family_cannot_hold_is_said(tmp_path: Path) -> None:
    TriEmbedModel(TriEmbedConfig(**SIZES, position_embedding_type="alibi")).save_pretrained(tmp_path / "source")
    refused(tmp_path / "source", "bert cannot hold position_embedding_type 'alibi'", to="bert")
    TriEmbedModel(TriEmbedConfig(**SIZES, embedding_scale=True)).save_pretrained(tmp_path / "source")
    refused(tmp_path / "source", "bert cannot hold embedding_scale True", to="bert")
    refused(tmp_path / "source", "name the family to convert it to")


def test_what_changes_no_output_need_not_be_held(tmp_path: Path) -> None:
    TriEmbedModel(TriEmbedConfig(**SIZES, padding_free=False)).save_pretrained(tmp_path / "source")
    assert convert(tmp_path / "source", tmp_path / "bert", to="bert").largest_difference < 1e-5


def test_reduced_precision_stays_as_it_is(tmp_path: Path) -> None:
    tiny("BertForMaskedLM").to(torch.bfloat16).save_pretrained(tmp_path / "source")
    convert(tmp_path / "source", tmp_path / "ours")
    assert {t.dtype for t in load_file(tmp_path / "ours/model.safetensors").values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "ours/config.json").read_text())["dtype"] == "bfloat16"


def sentence_bert(folder: Path) -> SentenceTransformer:
    """Write a tiny sentence-transformers directory with mean pooling and normalisation."""
    model = tiny("BertModel")
    model.save_pretrained(folder / "plain")
    (folder / "plain/vocab.txt").write_text("\n".join(WORDS))
    BertTokenizer(vocab=str(folder / "plain/vocab.txt")).save_pretrained(folder / "plain")
    transformer = Transformer(str(folder / "plain"))
    made = SentenceTransformer(modules=[transformer, Pooling(32, pooling_mode="mean"), Normalize()])
    made.max_seq_length = 20
    made.save(str(folder / "source"))
    return made


def test_a_sentence_transformer_stays_one(tmp_path: Path) -> None:
    theirs = sentence_bert(tmp_path)
    report = convert(tmp_path / "source", tmp_path / "ours")
    assert report.checked_on == "text"
    ours = SentenceTransformer(str(tmp_path / "ours"))
    assert [type(m).__name__ for m in ours] == ["Transformer", "Pooling", "Normalize"]
    assert ours.max_seq_length == 20
    texts = ["the cat chases the dog .", "dogs order tokens", "猫狗"]
    torch.testing.assert_close(ours.encode(texts), theirs.encode(texts), atol=1e-5, rtol=0)
    assert type(AutoTokenizer.from_pretrained(tmp_path / "ours")).__name__ == "BertTokenizer"
    convert(tmp_path / "ours", tmp_path / "back", to="bert")
    torch.testing.assert_close(SentenceTransformer(str(tmp_path / "back")).encode(texts), theirs.encode(texts))


def test_module_paths_stay_inside(tmp_path: Path) -> None:
    sentence_bert(tmp_path)
    path = tmp_path / "source/modules.json"
    path.write_text(path.read_text().replace('"1_Pooling"', '"../plain"'))
    refused(tmp_path / "source", "leaves the directory")
    for text in ("{", "[1]", "3"):
        path.write_text(text)
        refused(tmp_path / "source", "no list of modules")


def run(monkeypatch, *arguments: object) -> int:
    """Run the command in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["hf-embeddings", "convert", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0


def test_the_command(source: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    assert run(monkeypatch, source, tmp_path / "ours", "--json") == 0
    assert json.loads(capsys.readouterr().out)["target_class"] == "TriEmbedForMaskedLM"
    assert (tmp_path / "ours/modeling_triembed.py").exists()
    AutoModel.from_pretrained(tmp_path / "ours")
    capsys.readouterr()
    assert run(monkeypatch, tmp_path / "ours", tmp_path / "again") == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: the source is TriEmbed already") and not (tmp_path / "again").exists()


MEASURE = """
import resource, sys
import hf_embeddings, torch, transformers
from transformers import BertForPreTraining
from hf_embeddings.conversion import convert
from hf_embeddings.model import modeling_triembed
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = convert(sys.argv[1], sys.argv[2], check=sys.argv[3] == "check")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / report.bytes)
"""


@pytest.mark.slow
@pytest.mark.parametrize("check", ["check", "unchecked"])
def test_bert_base_takes_little_memory(check: str, tmp_path: Path) -> None:
    """The peak beyond the libraries', in multiples of the checkpoint: 1.2 and 1.7 when this was written."""
    BertForPreTraining(BertConfig()).save_pretrained(tmp_path / "base")
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "base"), str(tmp_path / "ours"), check]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout.split()[-1]) < 2.2
