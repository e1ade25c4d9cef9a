"""Unmodified clients against the Hub of this machine: transformers, Trainer, datasets, sentence-transformers, `hf`."""

import shutil
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import AutoTokenizer, Trainer, TrainingArguments

from hf_embeddings import TriEmbedForPreTraining, TriEmbedForSequenceClassification
from hf_embeddings.model.configuration_triembed import AUTO_MAP
from tests.hub.server import Hub
from tests.hub.test_publish import command, hub, saved  # noqa: F401  (fixtures)

TEXTS = ["the answer is on the next page .", "the page is today ."]
BARE = """
import json, sys
sys.modules["hf_embeddings"] = None  # as if it was not installed
import torch, transformers
from huggingface_hub import snapshot_download
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForPreTraining, AutoTokenizer, pipeline
"""
EVERY_HEAD = """
repo, private, auto_classes = sys.argv[1], sys.argv[2], sys.argv[3].split()
stored = load_file(snapshot_download(repo) + "/model.safetensors")
for auto_class in auto_classes:
    model = getattr(transformers, auto_class).from_pretrained(repo, trust_remote_code=True)
    state = model.state_dict()
    for name, weight in stored.items():
        for mine in (name, name.removeprefix("triembed.")):
            if mine in state:
                assert torch.equal(state[mine], weight), (auto_class, name)
    assert any(name.endswith("embeddings.token.weight") for name in state)
model = AutoModelForPreTraining.from_pretrained(repo, trust_remote_code=True)
model.push_to_hub(private, private=True)
AutoTokenizer.from_pretrained(repo).push_to_hub(private)
again = AutoModelForPreTraining.from_pretrained(private, trust_remote_code=True)
assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in model.state_dict().items())
files = set(json.load(open(snapshot_download(private) + "/config.json"))["auto_map"])
assert files == set(auto_classes) | {"AutoConfig"}, files
answer = pipeline("fill-mask", model=private, tokenizer=AutoTokenizer.from_pretrained(private), trust_remote_code=True)
assert len(answer("the answer is on the next [MASK] .")) == 5
"""
CLASSIFY = """
repo, weights, sha, early = sys.argv[1:]
classify = pipeline("text-classification", model=repo, tokenizer=AutoTokenizer.from_pretrained(repo),
                    trust_remote_code=True)
assert classify("the page is today .")[0]["label"] in ("bad", "good")
model = transformers.AutoModelForSequenceClassification.from_pretrained(repo, trust_remote_code=True, revision=sha)
for name, weight in load_file(weights).items():
    assert torch.equal(model.state_dict()[name], weight), name
try:  # what Trainer pushes before the end has no code in it: a refusal, nothing random
    transformers.AutoModelForSequenceClassification.from_pretrained(repo, trust_remote_code=True, revision=early)
except OSError as error:
    assert "configuration_triembed.py" in str(error), error
else:
    sys.exit("loaded without code")
"""
SENTENCES = """
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(sys.argv[1], trust_remote_code=True, device="cpu")
vectors = model.encode(["the page is today .", "the answer is on the next page ."])
model.push_to_hub(sys.argv[2], private=True)
again = SentenceTransformer(sys.argv[2], trust_remote_code=True, device="cpu")
assert type(again[0].model if hasattr(again[0], "model") else again[0].auto_model).__name__ == "TriEmbedModel"
assert abs(again.encode(["the page is today ."]) - vectors[:1]).max() < 1e-6
"""
DATA = """
import sys
from data import read_data
from datasets import Dataset, DatasetDict, load_dataset
from hf_embeddings.corpora.corpus import load_corpus
rows = [{"text": f"Review {i} is long enough to be read. It has two sentences.", "label": i % 2} for i in range(40)]
DatasetDict(train=Dataset.from_list(rows[:30]), test=Dataset.from_list(rows[30:])).push_to_hub("tester/reviews")
loaded = load_dataset("tester/reviews")
assert loaded["train"].to_list() == rows[:30] and loaded["test"].to_list() == rows[30:]
assert list(load_dataset("tester/reviews", split="test", streaming=True)) == rows[30:]
assert read_data("tester/reviews", None)["test"].select_columns(["text", "label"]).to_list() == rows[30:]
assert len(load_corpus("hub:tester/reviews").training) > 20
try:
    load_dataset("tester/no-such-data")
except Exception as error:
    print(type(error).__name__)
"""
HF = "from huggingface_hub.cli.hf import main; main()"  # what the script `hf` runs


@pytest.fixture
def pushing(hub: Hub, tmp_path, monkeypatch) -> Hub:  # noqa: F811
    """Point the clients of this process at the Hub."""
    hub.redirect(monkeypatch, tmp_path)
    return hub


def code_in(hub: Hub, repo: str) -> set[str]:  # noqa: F811
    return {path for path in hub.repository(repo).refs["main"].files if path.endswith(".py")}


def test_push_to_hub_of_a_model_is_self_contained(pushing: Hub, saved: Path, tmp_path) -> None:  # noqa: F811
    model = TriEmbedForPreTraining.from_pretrained(saved)
    model.push_to_hub("tester/direct")
    AutoTokenizer.from_pretrained(saved).push_to_hub("tester/direct")
    assert {"modeling_triembed.py", "configuration_triembed.py", "positions.py"} <= code_in(pushing, "tester/direct")
    heads = " ".join(name for name in AUTO_MAP if name != "AutoConfig")
    arguments = ["-c", BARE + EVERY_HEAD, "tester/direct", "tester/direct-again", heads]
    done = command(pushing, tmp_path / "other", *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    assert pushing.repository("tester/direct-again").private
    assert code_in(pushing, "tester/direct-again") == code_in(pushing, "tester/direct")


def test_trainer_pushes_what_a_pipeline_loads(pushing: Hub, saved: Path, tmp_path) -> None:  # noqa: F811
    torch.manual_seed(0)
    names = {0: "bad", 1: "good"}
    model = TriEmbedForSequenceClassification.from_pretrained(saved, num_labels=2, id2label=names)
    tokenizer = AutoTokenizer.from_pretrained(saved)
    rows = Dataset.from_list([dict(tokenizer(text)) | {"labels": i % 2} for i, text in enumerate(TEXTS * 4)])
    settings = TrainingArguments(
        str(tmp_path / "out"), max_steps=2, save_steps=1, per_device_train_batch_size=2, push_to_hub=True,
        hub_model_id="tester/trained", hub_strategy="every_save", report_to="none", disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    trainer = Trainer(model, settings, train_dataset=rows, processing_class=tokenizer)
    trainer.train()
    trainer.push_to_hub(blocking=True)
    tip = pushing.repository("tester/trained").refs["main"]
    assert {"modeling_triembed.py", "model.safetensors", "tokenizer.json", "README.md"} <= set(tip.files)
    with_weights = [commit for commit in tip.history if "model.safetensors" in commit.files]
    content = pushing.content(tip.files["model.safetensors"])
    (tmp_path / "last.safetensors").write_bytes(content)
    for name, weight in load_file(tmp_path / "last.safetensors").items():
        assert torch.equal(model.state_dict()[name], weight), name
    early = with_weights[-1].oid
    arguments = ["-c", BARE + CLASSIFY, "tester/trained", str(tmp_path / "last.safetensors"), tip.oid, early]
    done = command(pushing, tmp_path / "other", *arguments)
    assert done.returncode == 0, done.stderr[-3000:]


def test_sentence_transformers_loads_by_id_and_pushes(pushing: Hub, saved: Path, tmp_path) -> None:  # noqa: F811
    TriEmbedForPreTraining.from_pretrained(saved).push_to_hub("tester/encoder")
    AutoTokenizer.from_pretrained(saved).push_to_hub("tester/encoder")
    arguments = ["-c", BARE + SENTENCES, "tester/encoder", "tester/sentences"]
    done = command(pushing, tmp_path / "other", *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {"modules.json", "1_Pooling/config.json"} <= set(pushing.repository("tester/sentences").refs["main"].files)
    assert code_in(pushing, "tester/sentences") == code_in(pushing, "tester/encoder")


def test_data_sets_are_pushed_loaded_streamed_and_pretrained_on(hub: Hub, tmp_path) -> None:  # noqa: F811
    examples = str(Path(__file__).parents[2] / "examples")
    done = command(hub, tmp_path / "other", "-c", f"import sys; sys.path.insert(0, {examples!r})\n{DATA}")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip().splitlines()[-1] == "DatasetNotFoundError"
    assert hub.repository("tester/reviews", "dataset").refs["main"].files


def test_the_hf_command_uploads_and_downloads(hub: Hub, saved: Path, tmp_path) -> None:  # noqa: F811
    def hf(*arguments: str, **environment: str):
        return command(hub, tmp_path / "home", "-c", HF, *arguments, **environment)

    assert "tester" in hf("auth", "whoami").stdout
    stranger = hf("auth", "whoami", HF_TOKEN="hf_wrong")
    assert stranger.returncode != 0 and "Traceback" not in stranger.stderr
    folder = shutil.copytree(saved, tmp_path / "model")
    done = hf("upload", "tester/by-command", str(folder))
    assert done.returncode == 0, done.stderr
    first = hub.repository("tester/by-command").refs["main"].oid
    (folder / "config.json").unlink()
    done = hf("download", "tester/by-command", "--revision", first, "--local-dir", str(tmp_path / "got"))
    assert done.returncode == 0, done.stderr
    for name in ("model.safetensors", "modeling_triembed.py"):
        assert (tmp_path / "got" / name).read_bytes() == (folder / name).read_bytes()
    assert (tmp_path / "got/config.json").exists()
    missing = hf("download", "tester/no-such-model")
    assert missing.returncode != 0 and "tester/no-such-model" in missing.stderr + missing.stdout


def test_a_download_that_breaks_off_is_taken_up_again(hub: Hub, saved: Path, tmp_path, monkeypatch) -> None:  # noqa: F811
    from huggingface_hub import HfApi, hf_hub_download

    hub.redirect(monkeypatch, tmp_path, use_xet=False)
    api = HfApi()
    api.create_repo("tester/broken-download")
    weights = saved / "model.safetensors"
    api.upload_file(path_or_fileobj=weights, path_in_repo="model.safetensors", repo_id="tester/broken-download")
    hub.cut_short = 1
    path = hf_hub_download("tester/broken-download", "model.safetensors", cache_dir=tmp_path / "downloads")
    assert hub.cut_short == 0 and Path(path).read_bytes() == weights.read_bytes()
    assert any(request.startswith("GET") and "broken-download/resolve" in request for request in hub.requests)
