"""What `publish` refuses before anything is written, and what its refusal says."""

import json
import shutil
from pathlib import Path

import pytest
from transformers import BertTokenizer

from hf_embeddings.cli.main import app
from hf_embeddings.embedding.static_model import distil_static
from hf_embeddings.publishing.card import write_card
from hf_embeddings.publishing.push import publish
from tests.publishing.test_card import checkpoint


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def test_publishing_stops_before_anything_is_written(folder: Path) -> None:
    (folder / "training_args.bin").write_bytes(b"")
    (folder / "checkpoint-3").mkdir()
    (folder / "checkpoint-3/optimizer.pt").write_bytes(b"")
    before = sorted(folder.rglob("*"))
    with pytest.raises(ValueError, match=r"2 of its files must not be: .*--exclude checkpoint-3") as refusal:
        publish(folder, "user/model")
    assert "--include 'checkpoint-3/*' --include training_args.bin" in str(refusal.value)
    left = publish(folder, "user/model", exclude=["checkpoint-*", "training_args.bin"], dry_run=True)
    assert "model.safetensors" in left.files and not any("checkpoint" in path for path in left.files)
    included = publish(folder, "user/model", include=["checkpoint-3/*", "training_args.bin"], dry_run=True)
    assert set(included.included) == {"checkpoint-3/optimizer.pt", "training_args.bin"} <= set(included.files)
    assert sorted(folder.rglob("*")) == before


def test_what_nothing_lets_through_has_one_cure(folder: Path) -> None:
    (folder / "notes.md").write_text("hf_" + "abcdefghij" * 4)
    with pytest.raises(ValueError, match="Change or remove them, or leave them out with --exclude notes.md$"):
        publish(folder, "user/model", include=["notes.md"], dry_run=True)


def test_the_command_tells_what_is_included_and_cut(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "handler.py").write_text("print()")
    options = (folder / "pretraining.yaml").read_text()
    (folder / "pretraining.yaml").write_text(options.replace("output_dir: runs", "output_dir: /srv/me/runs"))
    app(["publish", str(folder), "user/model", "--dry-run", "--include", "handler.py"], standalone_mode=False)
    said = capsys.readouterr().out
    assert "included by name: handler.py: of no kind that is known to be harmless\n" in said
    assert "changed for readers: pretraining.yaml: without the absolute paths of this machine\n" in said


@pytest.mark.parametrize("missing, message", [("config.json", "no config.json"), ("model.safetensors", "safetensors")])
def test_a_directory_that_would_not_load_is_refused(missing: str, message: str, folder: Path) -> None:
    (folder / missing).unlink()
    with pytest.raises(ValueError, match=message):
        publish(folder, "user/model")


CONTRADICTIONS = {
    "hidden_size": 32, "vocab_size": 15, "num_hidden_layers": 2, "intermediate_size": 8, "type_vocab_size": 3,
    "max_position_embeddings": 16, "position_embedding_type": "alibi", "num_attention_heads": 3,
    "architectures": ["TriEmbedForTokenClassification"],
}  # fmt: skip


@pytest.mark.parametrize("field", CONTRADICTIONS)
def test_a_config_that_contradicts_the_weights_is_refused_in_one_line(field: str, folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: CONTRADICTIONS[field]}))
    before = sorted(folder.rglob("*"))
    for dry_run in (True, False):
        with pytest.raises(ValueError, match=str(folder)) as refused:
            publish(folder, "user/model", dry_run=dry_run)
        assert "\n" not in str(refused.value)
    assert sorted(folder.rglob("*")) == before


def test_a_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{number}" for number in range(12))]
    BertTokenizer(vocab={word: row for row, word in enumerate(words)}).save_pretrained(folder)
    with pytest.raises(ValueError, match="the tokenizer has the id .*, the model 16 rows"):
        publish(folder, "user/model", dry_run=True)


def test_a_tokenizer_without_its_vocabulary_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="the tokenizer has no vocabulary"):
        publish(folder, "user/model", dry_run=True)


def test_a_snapshot_in_the_cache_of_the_hub_is_nothing_of_ones_own(saved: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models--user--name"
    snapshot = repository / "snapshots/0123"
    snapshot.mkdir(parents=True)
    shutil.copytree(saved, repository / "blobs")
    for file in (repository / "blobs").iterdir():
        (snapshot / file.name).symlink_to(file)
    with pytest.raises(ValueError, match="a snapshot in the cache of the Hub.*cp -rL"):
        publish(snapshot, "user/model", dry_run=True)


def test_a_static_model_goes_up_without_code_of_ours(folder: Path, tmp_path: Path) -> None:
    distil_static(folder, tmp_path / "table", dimension=4, finish=write_card)
    files = publish(tmp_path / "table", "user/table", dry_run=True).files
    assert {"model.safetensors", "tokenizer.json", "modules.json", "README.md"} <= set(files)
    assert not any(path.endswith(".py") for path in files)
