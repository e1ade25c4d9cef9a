"""The page: what it is made of, what it answers, whom it refuses, and what a real browser makes of it."""

import http.client
import json
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from matplotlib.image import imread

from hf_embeddings.search.build import build_index
from hf_embeddings.search.corpus_map import draw_map
from hf_embeddings.search.index import Index
from hf_embeddings.search.query_encoder import load_encoder
from hf_embeddings.search.records import Record
from hf_embeddings.search.server import SearchServer
from hf_embeddings.search.workers import EncodingJob
from tests.browser import browse


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, texts: list[str]) -> Iterator[SearchServer]:
    folder = tmp_path_factory.mktemp("served") / "index"
    documents = [Record(f"d{i}", text, {"title": f"<b>title</b> {i}", "half": i % 2}) for i, text in enumerate(texts)]
    build_index(documents, folder, EncodingJob(str(model_folder)), source="s")
    with Index(folder) as index, SearchServer(index, load_encoder(index)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(server: SearchServer, path: str, host: str | None = None) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    connection.request("GET", path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def test_the_page_needs_nothing_from_elsewhere(server: SearchServer) -> None:
    status, headers, page = get(server, "/")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert not re.search(rb"https?://|//[a-z]|@import|src=", page) and len(page) < 10_000
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_search_answers_with_results_and_their_places(server: SearchServer, texts: list[str]) -> None:
    status, _, body = get(server, f"/search?q={quote(texts[17])}&k=3&where=half%3D1")
    answer = json.loads(body)
    assert status == 200 and len(answer["results"]) == 3 and not answer["note"]
    assert {hit["metadata"]["half"] for hit in answer["results"]} == {1}
    points = {point["id"]: (point["x"], point["y"]) for point in json.loads(get(server, "/map")[2])["points"]}
    assert len(points) == 40
    for hit in answer["results"]:
        assert (hit["x"], hit["y"]) == pytest.approx(points[hit["id"]], abs=1e-6)


def test_mistakes_are_answered_in_words(server: SearchServer) -> None:
    for path, status, message in (
        ("/search", 400, "got no query"),
        ("/search?q=x&k=0", 400, "k '0': expected a whole number"),
        ("/search?q=x&where=half", 400, "condition 'half'"),
        ("/search?q=x&where=halve%3D1", 400, "no record has it"),
        ("/../etc/passwd", 404, "expected /, /search or /map"),
    ):
        found, _, body = get(server, path)
        assert found == status and message in json.loads(body)["error"]


def test_only_this_machine_is_served(server: SearchServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert get(server, "/", host=f"localhost:{server.server_port}")[0] == 200
    for host in ("evil.example", f"evil.example:{server.server_port}", "127.0.0.1.evil.example"):
        assert get(server, "/search?q=x", host=host)[0] == 403


def half_sent(server: SearchServer, count: int, sent: bytes) -> list[socket.socket]:
    opened = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(count)]
    for connection in opened:
        connection.sendall(sent)
    return opened


@pytest.mark.parametrize("sent", [b"", b"GET /", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
def test_half_sent_requests_block_nobody(server: SearchServer, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """However many: the one that waits longest is closed for each that comes, and none keeps its thread."""
    monkeypatch.setattr(server, "most_connections", 5)
    opened = half_sent(server, 30, sent)
    assert [get(server, "/map")[0] for _ in range(7)] == [200] * 7
    for connection in opened[:25]:
        connection.settimeout(30)
        with suppress(ConnectionError):
            assert connection.recv(1) == b""
    assert len(server._waiting) + len(server._answering) <= 5
    for connection in opened:
        connection.close()


def test_a_client_that_is_silent_is_left(server: SearchServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_embeddings.search.server._Handler.timeout", 0.05)
    (connection,) = half_sent(server, 1, b"GET / HT")
    connection.settimeout(30)
    assert connection.recv(1) == b""


def test_a_client_that_leaves_is_no_error(server: SearchServer, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(5):
        (connection,) = half_sent(server, 1, b"GET /map HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()  # with a reset
    assert get(server, "/map")[0] == 200
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("host", "url", "asked"),
    [
        ("::1", r"http://\[::1\]:\d+/", "::1"),
        ("[::1]", r"http://\[::1\]:\d+/", "::1"),
        ("::", r"http://\[::\]:\d+/", "127.0.0.1"),
        ("localhost", r"http://localhost:\d+/", "127.0.0.1"),
    ],
)
def test_hosts_of_both_protocols(server: SearchServer, host: str, url: str, asked: str) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with SearchServer(server.index, server.encoder, host=host) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        try:
            assert re.fullmatch(url, other.url)
            for name in (None, f"[::1]:{other.server_port}", f"LOCALHOST:{other.server_port}"):
                connection = http.client.HTTPConnection(asked, other.server_port)
                connection.request("GET", "/map", headers={"Host": name} if name else {})
                assert connection.getresponse().status == 200
        finally:
            other.shutdown()
            thread.join()


def test_the_map_is_the_principal_plane(server: SearchServer) -> None:
    records, vectors = server.index.sample(100)
    _, _, directions = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    expected = np.abs((vectors - vectors.mean(0)) @ directions[:2].T)
    np.testing.assert_allclose(np.abs([[p["x"], p["y"]] for p in draw_map(server.index).points]), expected, atol=1e-5)
    assert [point["id"] for point in server.corpus_map.points] == [record.id for record in records]


def test_in_a_browser(server: SearchServer, texts: list[str], tmp_path: Path) -> None:
    encoded = f"<b>title</b> 17 {texts[17]}"  # as it is encoded, on one line
    document = browse(f"{server.url}?q={quote(encoded)}&where=half%3D1", tmp_path)
    items = re.findall(r"<li><b>(.*?)</b><p>(.*?)</p><small>(.*?)</small>", document)
    assert len(items) == 10 and items[0][:2] == ("&lt;b&gt;title&lt;/b&gt; 17", texts[17])  # text, not markup
    assert items[0][2] == "1.000 · half 1"
    assert re.search(r'role="status"[^>]*>10 results in \d+ ms[:<]', document)
    assert "halve" in browse(f"{server.url}?q=x&where=halve%3D1", tmp_path).split('role="status"')[1][:80]


def test_the_map_is_drawn(server: SearchServer, texts: list[str], tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    browse(f"{server.url}?q={quote(texts[17])}", tmp_path, f"--screenshot={picture}")
    pixels = (imread(picture)[..., :3] * 255).round().astype(int)
    grey = np.abs(pixels - 136).max(-1) < 60
    orange = np.abs(pixels - [194, 65, 12]).max(-1) < 12
    blue = np.abs(pixels - [37, 99, 235]).max(-1) < 12
    right = pixels.shape[1] // 2  # the map is the right column
    assert orange[:, right:].sum() > 100 and blue[:, right:].sum() > 40 and grey[:, right:].sum() > 100
