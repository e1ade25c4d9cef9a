"""The verb `serve`: what it says at its start, who is let in, how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hf_embeddings.cli.main import main
from hf_embeddings.cli.serve import KEY_VARIABLE, read_keys
from hf_embeddings.pip_extras import require
from tests.search.conftest import model_folder  # noqa: F401  a fixture

ROOT = Path(__file__).parents[2]


@contextmanager
def started(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the command, and give its process and the first line that it prints."""
    line = [sys.executable, "-m", "hf_embeddings", "serve", *arguments, "--port", "0", "--precision", "fp32"]
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | environment
    )
    try:
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


def ask(url: str, path: str, values: object = None, key: str = "") -> tuple[int, dict[str, object]]:
    body = None if values is None else json.dumps(values).encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, body, headers), timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_ctrl_c_ends_it_as_a_command_that_has_done_its_work(model_folder: Path) -> None:  # noqa: F811
    with started(str(model_folder), **{KEY_VARIABLE: "the-key"}) as (process, line):
        url = line.split(" at ")[1].split(" ")[0]
        assert f"model {model_folder.name}: learned, 32 dimensions, 48 tokens, fp32" in line
        assert ask(url, "v1/embeddings", {"input": "the cat"})[0] == 401  # a key of the environment
        assert ask(url, "v1/embeddings", {"input": "the cat"}, key="the-key")[0] == 200
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err.splitlines()[-1:]) == (0, "", ["ended"])


def test_json_lines_are_the_start_and_each_request(model_folder: Path, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "keys").write_text("first-key\n\nsecond-key\n")
    with started(str(model_folder), "--json", "--name", "m", "--api-key-file", str(tmp_path / "keys")) as (
        process,
        line,
    ):
        facts = json.loads(line)
        assert facts["model"] == "m" and facts["dimension"] == 32 and facts["position_type"] == "learned"
        assert ask(facts["url"], "v1/embeddings", {"input": "the cat"})[0] == 401
        status, answer = ask(facts["url"], "v1/embeddings", {"input": "the cat", "model": "m"}, key="second-key")
        assert status == 200 and answer["model"] == "m"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["status"], line["tokens"]) for line in lines] == [(401, 0), (200, 4)]


@pytest.mark.parametrize("content", ["", "\n \n", "two words\n", "schlüssel\n"])
def test_what_is_no_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    (tmp_path / "keys").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match="keys: "):
        read_keys(tmp_path / "keys")
    monkeypatch.setenv(KEY_VARIABLE, content)
    with pytest.raises(ValueError, match=f"{KEY_VARIABLE}: "):
        read_keys(None)


def test_no_key_stands_on_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hf_embeddings", "serve", "--help"], capture_output=True, text=True, cwd=ROOT,
        env=os.environ | {"COLUMNS": "200"},
    )  # fmt: skip
    assert "--api-key-file" in done.stdout and "--api-key " not in done.stdout


def test_a_port_that_is_taken_is_told(
    model_folder: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        line = ["serve", str(model_folder), "--port", str(taken.getsockname()[1])]
        monkeypatch.setattr(sys, "argv", ["hf-embeddings", *line])
        with pytest.raises(SystemExit) as leaving:
            main()
    told = capsys.readouterr().err
    assert leaving.value.code == 2 and "cannot listen there" in told and len(told.splitlines()) == 1


def test_threads_of_a_server_that_ends_end(model_folder: Path) -> None:  # noqa: F811
    from hf_embeddings.search.encoder import Encoder
    from tests.serving.conftest import post, serving

    before = threading.active_count()
    with serving(Encoder.load(model_folder, precision="fp32")) as server:
        post(server, "/v1/embeddings", {"input": "the cat"})
    assert threading.active_count() == before


def test_libraries_that_are_missing_are_told() -> None:
    with pytest.raises(ValueError, match="nowhere_at_all: not installed; run: pip install"):
        require("serve", "starlette", "nowhere_at_all")
