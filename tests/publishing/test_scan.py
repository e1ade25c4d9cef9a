"""What the scan refuses, and what it lets pass."""

import pickle
from pathlib import Path

import pytest
import torch

from hf_embeddings.publishing.push import publish
from hf_embeddings.publishing.scan import files_to_publish, scan
from tests.publishing.test_card import checkpoint

# Put together here, so that no scanner takes this file for a leak.
TOKEN = "hf_" + "abcdefghij" * 4
BAD = [
    ("training_args.bin", b"anything", "pickle"),
    ("weights.dat", pickle.dumps({"a": 1}), "pickle"),
    ("checkpoint-500/model.safetensors", b"", "a checkpoint of a training run"),
    ("optimizer.safetensors", b"", "optimizer"),
    ("notes.md", f"use {TOKEN} to sign in".encode(), "Hugging Face token"),
    ("key.txt", b"-----BEGIN RSA " + b"PRIVATE KEY-----", "private key"),
    ("config.yaml", b"url: https://me:" + b"secret123@registry.example.org/simple", "password in an address"),
    ("aws.json", b'{"key": "AKIA' + b'ABCDEFGHIJKLMNOP"}', "AWS"),
    (".env", b"A=1", "file for secrets"),
    ("ssh/id_rsa", b"", "file for secrets"),
]


@pytest.mark.parametrize("path, content, reason", BAD, ids=[path for path, _, _ in BAD])
def test_refused(path: str, content: bytes, reason: str, tmp_path) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_bytes(content)
    assert [(found.path, reason in found.reason) for found in scan(tmp_path, files_to_publish(tmp_path))] == [
        (path, True)
    ]


def test_a_torch_file_is_a_pickle_under_any_name(tmp_path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "harmless.txt")
    assert "pickle" in scan(tmp_path, ["harmless.txt"])[0].reason


def test_a_link_to_the_outside_is_refused(tmp_path) -> None:
    (tmp_path / "secret").write_text("mine")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/vocab.txt").symlink_to(tmp_path / "secret")
    assert "link" in scan(tmp_path / "model", ["vocab.txt"])[0].reason


def test_what_a_run_leaves_passes(tmp_path) -> None:
    checkpoint(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text(TOKEN)
    paths = files_to_publish(tmp_path)
    assert "model.safetensors" in paths and ".git/config" not in paths
    assert scan(tmp_path, paths) == []


def test_publishing_stops_before_anything_is_written(tmp_path) -> None:
    checkpoint(tmp_path)
    (tmp_path / "training_args.bin").write_bytes(b"")
    (tmp_path / "checkpoint-3").mkdir()
    (tmp_path / "checkpoint-3/optimizer.pt").write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=r"2 of its files must not be: .*--exclude 'checkpoint-3'"):
        publish(tmp_path, "user/model")
    assert sorted(tmp_path.rglob("*")) == before
    left = publish(tmp_path, "user/model", exclude=["checkpoint-*", "training_args.bin"], dry_run=True)
    assert "model.safetensors" in left.files and not any("checkpoint" in path for path in left.files)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("missing, message", [("config.json", "no config.json"), ("model.safetensors", "safetensors")])
def test_a_directory_that_would_not_load_is_refused(missing: str, message: str, tmp_path) -> None:
    checkpoint(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(ValueError, match=message):
        publish(Path(tmp_path), "user/model")
