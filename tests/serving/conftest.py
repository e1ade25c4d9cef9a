"""A small encoder, a small cross-encoder and an index of forty texts, behind servers on free ports."""

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from hf_embeddings import TriEmbedConfig
from hf_embeddings.model.modeling_triembed import TriEmbedForSequenceClassification
from hf_embeddings.search.build import build_index
from hf_embeddings.search.cross_encoder import CrossEncoder
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.index import Index
from hf_embeddings.search.query_encoder import load_encoder
from hf_embeddings.search.records import Record
from hf_embeddings.search.workers import EncodingJob
from hf_embeddings.serving.app import Served, model_facts
from hf_embeddings.serving.engine import Engine
from hf_embeddings.serving.limits import Limits
from hf_embeddings.serving.searching import Searching
from hf_embeddings.serving.server import Server
from tests.search.conftest import WORDS, model_folder, texts  # noqa: F401  fixtures

NAME = "small"


@contextmanager
def serving(
    model: Encoder | CrossEncoder, *, index: Index | None = None, limits: Limits | None = None, **options: Any
) -> Iterator[Server]:
    """Serve a model, and an index of its vectors where there is one."""
    limits = limits or Limits()
    engine = Engine(model, limits)
    searching = None if index is None else Searching(index, engine)
    server = Server(Served(NAME, model_facts(model), engine, searching), limits=limits, **options)
    try:
        with server.running():
            yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def encoder(model_folder: Path) -> Encoder:  # noqa: F811
    return Encoder.load(model_folder, precision="fp32")


@pytest.fixture(scope="session")
def reranker_folder(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:  # noqa: F811
    folder = tmp_path_factory.mktemp("reranker")
    AutoTokenizer.from_pretrained(model_folder).save_pretrained(folder)
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = TriEmbedConfig(
        vocab_size=8 + len(WORDS), max_position_embeddings=64, num_labels=1, initializer_range=0.3, **sizes
    )
    TriEmbedForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, texts: list[str]) -> Iterator[Index]:  # noqa: F811
    folder = tmp_path_factory.mktemp("served") / "index"
    documents = [Record(f"d{i}", text, {"title": f"<b>title</b> {i}", "half": i % 2}) for i, text in enumerate(texts)]
    build_index(documents, folder, EncodingJob(str(model_folder)), source="s")
    with Index(folder) as index:
        yield index


@pytest.fixture(scope="module")
def server(index: Index) -> Iterator[Server]:
    """A server of the index."""
    with serving(load_encoder(index), index=index) as server:
        yield server


Answer = tuple[int, http.client.HTTPMessage, bytes]


def get(server: Server, path: str, host: str | None = None, **headers: str) -> Answer:
    return ask(server, "GET", path, None, ({"Host": host} if host else {}) | headers)


def ask(server: Server, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def post(server: Server, path: str, values: object, **headers: str) -> tuple[int, Any]:
    """Send values as JSON, and return the status and the values of the answer."""
    body = values if isinstance(values, bytes) else json.dumps(values).encode()
    status, _, answer = ask(server, "POST", path, body, {"Content-Type": "application/json"} | headers)
    return status, json.loads(answer)


@pytest.fixture
def stalled() -> Callable[[Server], Any]:
    """Return what holds the model of a server back, until its event is set."""
    return _Stalled


class _Stalled:
    """`with stalled(server) as release:` what is asked waits until `release()`, or the end of the block."""

    def __init__(self, server: Server) -> None:
        import threading

        self.batcher = server.served.engine.batcher
        self.run, self.gate, self.entered = self.batcher._run, threading.Event(), threading.Event()

    def __enter__(self) -> "_Stalled":
        def wait(rows: list[Any]) -> Any:
            self.entered.set()
            assert self.gate.wait(60)
            return self.run(rows)

        self.batcher._run = wait
        return self

    def __exit__(self, *exception: object) -> None:
        self.gate.set()
        self.batcher._run = self.run
