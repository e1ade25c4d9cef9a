"""`hf-embeddings publish` against the Hub of this machine, and what other processes then load from it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from hf_embeddings.cli.main import main
from tests.hub.repository import Blob, Repository, git_hash, make_commit
from tests.hub.server import TOKEN, Hub
from tests.publishing.test_card import checkpoint

ROOT = Path(__file__).parents[2]
STAYING = {"HF_HUB_DISABLE_SYMLINKS_WARNING": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with Hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("saved"), position="rope+alibi")


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def command(hub: Hub, home: Path, *arguments: str, use_xet: bool = True, **environment: str):
    variables = os.environ | STAYING | hub.environment(home, use_xet=use_xet) | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(
        [sys.executable, *arguments], env=variables, cwd=home.parent, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def publish(hub: Hub, tmp_path, monkeypatch, capsys):
    """Run `hf-embeddings publish` in this process, with the client's settings pointing at the Hub."""

    def run(*arguments: str, use_xet: bool = True, endpoint: str | None = None, token: str | None = TOKEN):
        hub.redirect(monkeypatch, tmp_path, use_xet=use_xet, url=endpoint, token=token or "")
        monkeypatch.setattr(sys, "argv", ["hf-embeddings", "publish", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        output = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, end.value.code or 0, output.out, output.err)

    return run


def change_weights(model: Path, amount: float) -> None:
    weights = {name: weight + amount for name, weight in load_file(model / "model.safetensors").items()}
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})


LOAD = """
import json, sys
sys.modules["hf_embeddings"] = None  # as if it was not installed
import torch
from huggingface_hub import errors
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForPreTraining, AutoTokenizer, pipeline

repo, old, first, second = sys.argv[1:]
for revision, path in ((old, first), ("main", second)):
    model = AutoModelForPreTraining.from_pretrained(repo, trust_remote_code=True, revision=revision)
    assert type(model).__module__.startswith("transformers_modules"), type(model)
    state = model.state_dict()
    for name, weight in load_file(path).items():
        assert torch.equal(weight, state[name]), (revision, name)
tokenizer = AutoTokenizer.from_pretrained(repo)
fill = pipeline("fill-mask", model=repo, tokenizer=tokenizer, trust_remote_code=True)
assert len(fill("the answer is on the next [MASK] .")) == 5
assert AutoModel.from_pretrained(repo, trust_remote_code=True, revision=old).config.position_parts == ("rope", "alibi")
for arguments, error in (
    ((repo, dict(trust_remote_code=False)), ValueError),
    ((repo, dict(revision="no-such-branch")), OSError),
    (("tester/missing", {}), OSError),
):
    try:
        AutoModel.from_pretrained(arguments[0], **arguments[1])
    except error as found:
        print(type(found).__name__)
    else:
        raise AssertionError(arguments)
"""


@pytest.mark.parametrize(
    "use_xet", [pytest.param(True, id="xet"), pytest.param(False, id="lfs", marks=pytest.mark.slow)]
)
def test_published_weights_load_bit_equal_without_the_package(
    hub: Hub, use_xet: bool, model, publish, tmp_path
) -> None:
    repo = f"tester/loads-{'xet' if use_xet else 'lfs'}"
    for name in ("modeling_triembed.py", "positions.py"):
        (model / name).unlink()  # publish completes the directory
    change_weights(model, 2 + use_xet)  # the Hub asks for no file that it has
    hub.requests.clear()
    done = publish(str(model), repo, use_xet=use_xet)
    assert done.returncode == 0, done.stderr
    by_xet = any("/xet-write-token/" in request for request in hub.requests)
    assert by_xet == use_xet and any(request.startswith("PUT /lfs/") for request in hub.requests) != use_xet
    old = hub.repository(repo).refs["main"]
    assert len(old.history) == 2 and old.oid in done.stdout  # one commit on top of the first
    first = shutil.copy(model / "model.safetensors", tmp_path / "first.safetensors")
    change_weights(model, 1)
    assert publish(str(model), repo, use_xet=use_xet).returncode == 0
    second = str(model / "model.safetensors")
    loaded = command(hub, tmp_path / "other", "-c", LOAD, repo, old.oid, str(first), second, use_xet=use_xet)
    assert loaded.returncode == 0, loaded.stderr[-3000:]


def test_a_second_push_of_the_same_changes_nothing(hub: Hub, model, publish, tmp_path) -> None:
    for _ in range(2):
        assert publish(str(model), "tester/twice").returncode == 0
    assert len(hub.repository("tester/twice").refs["main"].history) == 2


def test_private_branches_and_dry_runs(hub: Hub, model, publish, tmp_path) -> None:
    hub.requests.clear()
    before = {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}
    done = publish(str(model), "tester/hidden", "--dry-run", "--json")
    assert done.returncode == 0 and '"url": null' in done.stdout and not hub.requests
    assert before == {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}
    done = publish(str(model), "tester/hidden", "--private", "--revision", "trial")
    assert done.returncode == 0, done.stderr
    repository = hub.repository("tester/hidden")
    assert repository.private and "model.safetensors" in repository.refs["trial"].files
    assert not repository.refs["main"].files
    look = "from transformers import AutoConfig; AutoConfig.from_pretrained('tester/hidden', revision='trial')"
    refused = command(hub, tmp_path / "anonymous", "-c", look, HF_TOKEN="", HF_HUB_DISABLE_IMPLICIT_TOKEN="1")
    assert refused.returncode == 1 and "tester/hidden" in refused.stderr.splitlines()[-1] + refused.stderr


@pytest.mark.parametrize(
    "arguments, settings, message",
    [
        (["tester/open", "--private"], {}, "exists and is public"),
        (["no-slash"], {}, "expected USER/NAME"),
        (["tester/new name", "--dry-run"], {}, "Repo id must use"),
        (["tester/new.git", "--dry-run"], {}, "cannot end by '.git'"),
        (["tester/new"], {"token": None}, "hf auth login"),
        (["tester/new"], {"endpoint": "http://127.0.0.1:9"}, "the connection broke"),
    ],
)
def test_mistakes_are_one_line(arguments, settings, message, hub: Hub, model, publish, tmp_path) -> None:
    if ("model", "tester/open") not in hub.repositories:
        hub.repositories["model", "tester/open"] = Repository("tester/open", "model", private=False)
    done = publish(str(model), *arguments, **settings)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 2 and last.startswith("error: ") and message in last, done.stderr
    assert "Traceback" not in done.stderr and "tester/new" not in {id for _, id in hub.repositories}


def test_a_model_without_its_tokenizer_is_not_published(hub: Hub, model, publish, tmp_path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (model / name).unlink()
    done = publish(str(model), "tester/mute")
    assert done.returncode == 2 and "no tokenizer" in done.stderr and ("model", "tester/mute") not in hub.repositories


@pytest.mark.parametrize(
    "part, count, by_itself",
    [
        ("PUT /lfs/", 1, True),  # the client tries again
        ("/commit/", 1, False),
        pytest.param("PUT /lfs/", 100, False, marks=pytest.mark.slow),  # the client gives up after half a minute
    ],
)
def test_a_broken_connection_publishes_nothing_by_halves(
    part, count, by_itself, hub: Hub, model, publish, tmp_path
) -> None:
    repo = f"tester/broken-{len(part)}-{count}"
    change_weights(model, len(repo))
    hub.broken[part] = count
    done = publish(str(model), repo, use_xet=False)
    assert hub.broken[part] < count
    hub.broken[part] = 0
    if not by_itself:
        last = done.stderr.strip().splitlines()[-1]
        assert done.returncode == 2 and "nothing was published, rerun the command" in last, done.stderr
        assert not hub.repository(repo).refs["main"].files
        done = publish(str(model), repo, use_xet=False)
    assert done.returncode == 0, done.stderr
    tip = hub.repository(repo).refs["main"]
    assert hub.content(tip.files["model.safetensors"]) == (model / "model.safetensors").read_bytes()
    assert len(tip.history) == 2


def test_edits_on_the_hub_survive_the_next_push(hub: Hub, model, publish, tmp_path) -> None:
    repo = "tester/edited"
    assert publish(str(model), repo).returncode == 0
    refs = hub.repository(repo).refs

    def edit_on_the_hub(old: str, new: str) -> None:
        card = refs["main"].files["README.md"].content.decode().replace(old, new)
        assert new in card
        content = card.encode()
        blob = Blob(len(content), git_hash(content), content)
        refs["main"] = make_commit("edit", refs["main"].files | {"README.md": blob}, refs["main"])

    edit_on_the_hub("## Recipe", "## Cats\n\nWere not harmed.\n\n## Recipe")
    assert publish(str(model), repo).returncode == 0
    assert "Were not harmed" in refs["main"].files["README.md"].content.decode()
    assert "Were not harmed" in (model / "README.md").read_text()
    edit_on_the_hub("not harmed", "fed")
    (model / "README.md").write_text((model / "README.md").read_text().replace("not harmed", "petted"))
    refused = publish(str(model), repo)
    assert refused.returncode == 2 and "edited here and on the Hub" in refused.stderr
    for choice, word in (("local", "petted"), ("hub", "petted")):
        assert publish(str(model), repo, "--card", choice).returncode == 0
        assert f"Were {word}" in refs["main"].files["README.md"].content.decode()


def test_the_server_refuses_a_commit_of_what_never_arrived(hub: Hub) -> None:
    repository = Repository("tester/x", "model", private=False)
    line = b'{"key": "lfsFile", "value": {"path": "a.bin", "oid": "0", "size": 1}}'
    with pytest.raises(KeyError):
        repository.commit("main", [line], lambda oid: False)
    assert not repository.refs["main"].files
