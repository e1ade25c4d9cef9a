"""What goes up is a list of what may go: known files, opened by their parsers; the rest if it is named."""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save
from torch.utils.tensorboard import SummaryWriter

from hf_embeddings.file_names import NOT_OF_THE_MODEL
from hf_embeddings.uploads.listing import _PATHS_CUT, Uploads, list_uploads
from tests.publishing.test_card import checkpoint

# Put together here, so that no scanner takes this file for a leak.
TOKEN = "hf_" + "abcdefghij" * 4
KEY = "-----BEGIN OPENSSH " + "PRIVATE KEY-----\n" + "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU" + "\n"
MIXED = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v2W3z4Y5"
HEADER = b"\x89PNG\r\n\x1a\n"


def saved_by(write: Callable[[io.BytesIO], object]) -> bytes:
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    return saved_by(lambda stream: zipfile.ZipFile(stream, "w").writestr(name, content))


def png(*chunks: tuple[bytes, bytes], behind: bytes = b"") -> bytes:
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)), *chunks]
    parts += [(b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(held)) + kind + held + struct.pack(">I", zlib.crc32(kind + held)) for kind, held in parts
    )
    return HEADER + body + behind


def protocol_buffer(*fields: tuple[int, bytes | int]) -> bytes:
    """Encode fields that are shorter than 128 bytes."""
    return b"".join(
        bytes([number << 3, value]) if isinstance(value, int) else bytes([number << 3 | 2, len(value)]) + value
        for number, value in fields
    )


WEIGHTS = save({"a": np.ones(2, np.float32)})
NODE = protocol_buffer((1, 8), (7, protocol_buffer((2, b'File "/work/me/model.py", line 3'))))
PIECE = protocol_buffer((1, b"a"))
SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{}</svg>'

# What must not go up: path, content, a part of the reason.
REFUSED = [
    ("training_args.bin", b"anything", "a pickle"),
    ("pytorch_model.bin", pickle.dumps({"a": 1}, protocol=0), "a pickle"),
    ("weights.dat", pickle.dumps({"a": 1}, protocol=1), "no kind"),
    ("weights.tensors", pickle.dumps({"a": 1}, protocol=5), "no kind"),
    ("config.json", pickle.dumps({"a": 1}, protocol=0), "not JSON"),
    ("tokenizer.json", pickle.dumps({"a": 1}, protocol=1), "not a tokenizer"),
    ("README.md", pickle.dumps({"a": 1}, protocol=2), "not UTF-8"),
    ("vocab.txt", pickle.dumps({"a": 1}, protocol=4), "not UTF-8"),
    ("model.safetensors", pickle.dumps({"a": 1}), "not safetensors"),
    ("model-00001-of-00002.safetensors", WEIGHTS[:-1], "not safetensors"),
    ("adapter_model.safetensors", WEIGHTS + b"\0", "not safetensors"),
    ("model.fp16.safetensors", save({"a": np.ones(2)}, {"by": TOKEN}), "a Hugging Face token"),
    ("state.gz", gzip.compress(pickle.dumps(1)), "an archive"),
    ("archive.zip", zipped("data.pkl", pickle.dumps(1)), "an archive"),
    ("harmless.txt", saved_by(lambda s: torch.save({"a": torch.ones(2)}, s)), "no kind"),
    ("old.pt", saved_by(lambda s: torch.save({"a": 1}, s, _use_new_zipfile_serialization=False)), "a pickle"),
    ("vectors.npy", saved_by(lambda s: np.save(s, np.array([{}], object), allow_pickle=True)), "a pickle"),
    ("vectors.npz", saved_by(lambda s: np.savez(s, a=np.array([{}], object))), "a pickle"),
    ("model.joblib", b"", "a pickle"),
    ("notes.txt", TOKEN.encode("utf-16"), "no kind"),
    ("NOTICE", TOKEN.encode("utf-16"), "not UTF-8"),
    ("LICENSE", TOKEN.encode("utf-16-le"), "control character"),
    ("notes.md", f"use {TOKEN} to sign in".encode(), "a Hugging Face token"),
    ("log.gz", gzip.compress(TOKEN.encode()), "an archive"),
    (".env", b"A=1", "a file for secrets"),
    (".env.local", b"A=1", "a file for secrets"),
    (".netrc", b"machine x", "a file for secrets"),
    (".npmrc", b"a", "a file for secrets"),
    ("id_ecdsa", b"key", "a file for secrets"),
    ("ssh/id_ed25519", b"", "a file for secrets"),
    ("server.pem", KEY.encode(), "a file for secrets"),
    ("credentials.json", b"{}", "a file for secrets"),
    ("customers.json", b"{}", "no kind"),
    ("history.sqlite", b"", "no kind"),
    ("train.py", b"print()", "no kind"),
    ("modeling_triembed.py", b"def (", "not Python"),
    ("heads.py", f"token = '{TOKEN}'".encode(), "a Hugging Face token"),
    ("core.1234", b"\x7fELF", "no kind"),
    ("slurm-17.out", b"", "no kind"),
    ("checkpoint-500/model.safetensors", WEIGHTS, "of a checkpoint"),
    ("old/checkpoint-500/trainer_state.json", b"{}", "of a checkpoint"),
    ("runs/first/checkpoints/step-00000001/optimizer.safetensors", WEIGHTS, "of a checkpoint"),
    ("first-run/model.safetensors", WEIGHTS, "no kind"),
    ("first-run/pretraining.yaml", b"a: 1", "no kind"),
    ("optimizer.safetensors", WEIGHTS, "optimizer"),
    ("average.safetensors", WEIGHTS, "no kind"),
    ("scheduler.pt", b"", "a pickle"),
    ("config.json", b'{"_name_or_path": "/data/me/base"}', "_name_or_path is a path of this machine"),
    ("adapter_config.json", rb'{"base": "C:\\work\\base"}', "base is a path of this machine"),
    ("config.json", b'{"a": {"layer_norm_eps": NaN}}', "layer_norm_eps is NaN, expected a number or null"),
    ("tokenizer_config.json", b"[1, -Infinity]", "a value is -Infinity"),
    ("heads.py", f"token = (\n    '{TOKEN[:9]}'  # a part\n    f'{TOKEN[9:]}'\n)".encode(), "a Hugging Face token"),
    ("notes.md", f'`"{TOKEN[:9]}" + "{TOKEN[9:]}"`'.encode(), "a Hugging Face token"),
    ("generation_config.json", ('{"a": "\\u0068f_' + TOKEN[3:] + '"}').encode(), "a Hugging Face token"),
    ("special_tokens_map.json", b"[" * 100_000, "not JSON"),
    ("CITATION.cff", b"a: !!python/object/apply:os.system [ls]", "not YAML"),
    (".eval_results/mine.yaml", b"source: /data/me/sts.csv", "source is a path of this machine"),
    ("README.md", b"as in /home/hsmith/project/run", "a path of this machine"),
    ("pretraining.yaml", b"url: https://me:" + b"secret123@registry.example.org/simple", "a password in an address"),
    ("origin.json", b'{"key": "AKIA' + b'ABCDEFGHIJKLMNOP"}', "an AWS key"),
    ("MODEL_CARD.md", KEY.encode(), "a private key"),
    ("chat_template.jinja", f"Authorization: Bearer {MIXED}".encode(), "an authorization header"),
    ("merges.txt", b"#version: 0.2\na b\nsome other text\n", "line 3 is no pair"),
    ("tokenizer.model", b"IQ== 0\nIg== 1\n", "not a"),
    ("spiece.model", protocol_buffer((1, PIECE), (2, protocol_buffer((1, b"/data/me/a.txt")))), "files of the machine"),
    ("model.onnx", b"hello", "not a"),
    ("onnx/model.onnx", NODE, "paths of the machine"),
    ("named.onnx", protocol_buffer((1, 8), (2, TOKEN.encode()), (7, b"")), "a Hugging Face token"),
    ("tensorboard/events.out.tfevents.1.host.2.0", b"hello, is this long enough?", "not a"),
    ("picture.png", b"hello", "not a PNG"),
    ("figures/shot.png", png(behind=b"PK"), "other data after its end"),
    ("figures/photo.png", png((b"eXIf", b"II*\0")), "a part 'eXIf'"),
    ("figures/said.png", png((b"zTXt", b"Comment\0\0" + zlib.compress(TOKEN.encode()))), "a Hugging Face token"),
    (
        "figures/tongue.png",
        png((b"iTXt", b"Title\0\1\0x-en\0x\0" + zlib.compress(TOKEN.encode()))),
        "a Hugging Face token",
    ),
    ("figures/colour.png", png((b"iCCP", b"a\0\0" + zlib.compress(TOKEN.encode()))), "a Hugging Face token"),
    ("figures/long.png", png((b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 21)))), "a text of more than"),
    ("figures/torn.png", png((b"zTXt", b"a\0\0no stream")), "a damaged text"),
    ("a.svg", SVG.format("<script>1</script>").encode(), "a program"),
    ("b.svg", SVG.format('<g onload="a()"/>').encode(), "a program"),
    ("c.svg", SVG.format('<image xlink:href="https://x.example/y.png"/>').encode(), "refers to elsewhere"),
    ("d.svg", b'<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG.format("&a;").encode(), "entities"),
    ("e.svg", b"<html/>", "not an SVG"),
    ("README\x1b[2J.md", b"x", "cannot be printed"),
]

# What may, though it looks like some of the above.
HARMLESS = [
    ("README.md", b"Set `HF_TOKEN=hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`, or hf_YourTokenGoesHereYourTokenGoesHere."),
    ("README_zh.md", "使用 https://user:password@host.example/ 或 ${TOKEN}".encode()),
    (
        "NOTICE",
        b"-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0B\n-----END CERTIFICATE-----",
    ),
    ("LICENSE", b"-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n\x0c"),
    ("LICENSE.txt", b"the key AKIAIOSFODNN7EXAMPLE of the documentation"),
    (
        "notes.md",
        b"-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\nsk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ),
    ("how.md", b'login(token="your-api-key-0123456789"); cd /home/user/project; http://$USER:$PASSWORD@host'),
    ("all_results.json", b'{"sha256": "' + b"0123456789abcdef" * 4 + b'", "loss": NaN}'),
    ("modules.json", b'[{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]'),
    ("1_Pooling/config.json", b'{"pooling_mode": "mean"}'),
    ("model.safetensors.index.json", b'{"weight_map": {"a/b": "model-00001-of-00002.safetensors"}}'),
    ("special_tokens_map.json", b'{"unk_token": "[UNK]", "pad_token": "<pad>", "root": "/"}'),
    ("vocab.json", b'{"/usr/bin/python": 0, "/home/": 1, "password": 2}'),
    ("vocab.txt", "[PAD]\n/\n/home\npassword\nhf_\n\u3000\n字\n".encode()),
    ("merges.txt", "#version: 0.2\nĠ t\nh e\n".encode()),
    ("spiece.model", protocol_buffer((1, PIECE), (1, PIECE), (2, protocol_buffer((1, b"corpus.txt"))), (3, b""))),
    ("onnx/model.onnx", protocol_buffer((1, 8), (2, b"pytorch"), (7, b""), (8, b""))),
    ("training_loss.svg", b'<?xml version="1.0"?>' + SVG.format('<a xlink:href="#top">hf_token</a>').encode()),
    ("figures/map.png", png((b"tEXt", b"Software\0Matplotlib version 3.10, https://matplotlib.org/"))),
    (".gitattributes", b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"),
    ("CITATION.cff", b"cff-version: 1.2.0\nurl: https://example.org/a/b\n"),
    ("chat_template.jinja", b"{% for message in messages %}{{ message['content'] }}</s>{% endfor %}"),
    ("trainer_state.json", b'{"best_model_checkpoint": null, "global_step": 5}'),
]


def listed(folder: Path, path: str, content: bytes, **options: object) -> Uploads:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)
    return list_uploads(folder, **options)


@pytest.mark.parametrize("path, content, reason", REFUSED, ids=[f"{path} {reason}" for path, _, reason in REFUSED])
def test_these_do_not_go_up(path: str, content: bytes, reason: str, tmp_path: Path) -> None:
    uploads = listed(tmp_path, path, content)
    ((found, why),) = [*uploads.refused, *uploads.unknown]
    assert found == path and reason in why and not uploads.files


def test_these_go_up(tmp_path: Path) -> None:
    for path, content in HARMLESS:
        uploads = listed(tmp_path, path, content)
        assert path in uploads.files, (uploads.refused, uploads.unknown)
    assert len(uploads.files) == len(HARMLESS) >= 20 and not uploads.refused and not uploads.unknown


def test_what_a_run_leaves_goes_up(tmp_path: Path) -> None:
    checkpoint(tmp_path)
    with SummaryWriter(tmp_path / "tensorboard") as events:
        events.add_scalar("training/mlm_loss", 1.0, 1)
    (event,) = (tmp_path / "tensorboard").iterdir()
    event.write_bytes(event.read_bytes()[:-3])  # cut off by the end of the process
    for left_out in (
        ".git/config",
        "checkpoints/step-1/optimizer.safetensors",
        "status.json",
        ".lock",
        "manifest.json",
    ):
        listed(tmp_path, left_out, TOKEN.encode())
    uploads = list_uploads(tmp_path)
    assert not uploads.refused and not uploads.unknown
    assert {"model.safetensors", "tokenizer.json", "pretraining.yaml", f"tensorboard/{event.name}"} <= set(
        uploads.files
    )
    assert not any(name in path for path in uploads.files for name in ("git", "step-1", "status", "lock", "manifest"))


def test_a_checkpoint_to_resume_from_goes_as_its_manifest_lists_it(tmp_path: Path) -> None:
    for path, content in (
        ("model.safetensors", WEIGHTS),
        ("optimizer.safetensors", WEIGHTS),
        ("average.safetensors", WEIGHTS),
        ("state.json", b'{"step": 1}'),
        ("manifest.json", b'{"identity": {"tokenizer.path": "/home/hsmith/tokenizer"}}'),
    ):
        uploads = listed(tmp_path, path, content, checkpoint=True)
    assert len(uploads.files) == 5 and all(isinstance(held, Path) for held in uploads.files.values())
    assert list(list_uploads(tmp_path, exclude=NOT_OF_THE_MODEL).files) == ["model.safetensors"]


def test_absolute_paths_are_cut_from_the_records_of_the_package(tmp_path: Path) -> None:
    sources = "prepared:/data/me/corpus,/srv/b.jsonl"
    record = {"output_dir": "/home/hsmith/runs/a b", "corpus": {"source": sources, "url": "https://x.example/a/b"}}
    listed(tmp_path, "pretraining.json", json.dumps(record).encode())
    uploads = listed(tmp_path, "pretraining.yaml", json.dumps(record).encode())
    assert uploads.changed == dict.fromkeys(("pretraining.json", "pretraining.yaml"), _PATHS_CUT)
    held = uploads.files["pretraining.json"]
    assert isinstance(held, bytes) and uploads.sizes()["pretraining.json"] == len(held)
    wanted = {"source": "prepared:corpus,b.jsonl", "url": "https://x.example/a/b"}
    assert json.loads(held) == {"output_dir": "a b", "corpus": wanted}
    assert json.loads((tmp_path / "pretraining.json").read_text()) == record  # the file itself stays as it is


def test_numbers_that_json_has_no_word_for_go_up_as_null_in_records(tmp_path: Path) -> None:
    for path in ("all_results.json", "trainer_state.json"):
        uploads = listed(tmp_path, path, b'{"loss": NaN, "log_history": [{"grad_norm": Infinity, "step": 1}]}')
        held = uploads.files[path]
        assert isinstance(held, bytes) and b"NaN" not in held and "null" in uploads.changed[path]
        assert json.loads(held) == {"loss": None, "log_history": [{"grad_norm": None, "step": 1}]}


def test_links_and_pipes_are_refused(tmp_path: Path) -> None:
    listed(tmp_path, "elsewhere/secret.md", b"mine")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "README.md").symlink_to(tmp_path / "elsewhere/secret.md")
    (folder / "images").symlink_to(tmp_path / "elsewhere")
    (folder / "NOTICE").symlink_to("nothing")
    os.mkfifo(folder / "LICENSE")
    (folder / "real.md").write_text("x")
    (folder / "same.md").symlink_to("real.md")
    uploads = list_uploads(folder)
    assert dict(uploads.refused) == {
        "LICENSE": "not a plain file",
        "NOTICE": "a link to nothing",
        "README.md": "a link to a file outside of the directory",
        "images": "a link to a file outside of the directory",
    }
    assert list(uploads.files) == ["real.md", "same.md"] and not uploads.unknown


def test_a_name_lets_a_file_through_and_no_secret(tmp_path: Path) -> None:
    listed(tmp_path, "data.csv", b"a,b")
    listed(tmp_path, "extra/run.py", b"print()")
    uploads = listed(tmp_path, "cert.pem", b"-----BEGIN CERTIFICATE-----", include=["*.csv", "extra/*", "cert.pem"])
    assert list(uploads.files) == ["cert.pem", "data.csv", "extra/run.py"] and not uploads.unknown
    assert [path for path, _ in uploads.included] == list(uploads.files)
    listed(tmp_path, ".env.local", b"A=1")  # as in a shell, a star means no hidden file, and nothing in a folder
    assert [path for path, _ in list_uploads(tmp_path, include=["*"]).unknown] == [".env.local", "extra/run.py"]
    assert not list_uploads(tmp_path, include=["*", "extra/*", ".env*"]).unknown


HIDDEN = {
    "utf-16": TOKEN.encode("utf-16"),
    "utf-16 far behind": b"a" * 10_000 + TOKEN.encode("utf-16-le"),
    "utf-32": TOKEN.encode("utf-32"),
    "gzip": gzip.compress(TOKEN.encode()),
    "bz2": bz2.compress(TOKEN.encode()),
    "xz": lzma.compress(TOKEN.encode()),
    "zlib": zlib.compress(TOKEN.encode()),
    "zip in gzip": gzip.compress(zipped("a.txt", TOKEN.encode("utf-16"))),
    "pickle": pickle.dumps({"token": TOKEN}, protocol=0),
    "torch": saved_by(lambda stream: torch.save({"token": TOKEN}, stream)),
    "array": saved_by(lambda stream: np.save(stream, np.array([TOKEN]))),
}


@pytest.mark.parametrize("content", HIDDEN.values(), ids=list(HIDDEN))
def test_a_secret_is_found_in_what_is_named(content: bytes, tmp_path: Path) -> None:
    uploads = listed(tmp_path, "a.thing", content, include=["a.thing"])
    assert [why for _, why in uploads.refused] == ["it holds a Hugging Face token"] and not uploads.files


@pytest.mark.parametrize("start", [b"PK\3\4", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"\x78\x9c"])
def test_a_damaged_archive_is_searched_as_it_is(start: bytes, tmp_path: Path) -> None:
    named = {"include": ["a.thing"]}
    assert not listed(tmp_path, "a.thing", start + b"damaged", **named).refused
    assert listed(tmp_path, "a.thing", start + TOKEN.encode(), **named).files == {}
