"""Clients of every kind: many, slow, gone, wrong; the server answers the others, and keeps nothing of them."""

import gc
import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import psutil
import pytest

from hf_embeddings.search.encoder import Encoder
from hf_embeddings.serving.limits import Limits
from hf_embeddings.serving.server import Server
from tests.serving.conftest import ask, get, post, serving

KEEPALIVE = {"Content-Type": "application/json"}


def raw(server: Server, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    connection.sendall(sent)
    return connection


def read_to_end(connection: socket.socket) -> None:
    """Take what the server sends until it closes the connection, one way or the other."""
    with connection, suppress(ConnectionError):
        while connection.recv(65536):
            pass


def request(values: object, length: int | None = None) -> bytes:
    body = json.dumps(values).encode()
    head = "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(body) if length is None else length}\r\n\r\n".encode() + body


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does, by asking the server again and again."""
    deadline = threading.Event()
    for _ in range(3000):
        if condition():
            return
        deadline.wait(0.01)
    raise AssertionError("did not come true")


def test_two_hundred_clients_get_their_own_vectors(encoder: Encoder, texts: list[str]) -> None:
    expected = encoder.encode(texts)
    with serving(encoder) as server:

        def client(number: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
            for step in range(2):
                place = (number + step) % len(texts)
                connection.request("POST", "/v1/embeddings", json.dumps({"input": texts[place]}), KEEPALIVE)
                answer = json.loads(connection.getresponse().read())
                np.testing.assert_allclose(answer["data"][0]["embedding"], expected[place], atol=1e-5)
            connection.close()

        with ThreadPoolExecutor(200) as clients:
            list(clients.map(client, range(200)))
        assert get(server, "/health")[0] == 200


def test_an_answer_is_sent_at_once(encoder: Encoder) -> None:
    """Nagle's algorithm would hold the second part of it back until the client has confirmed the first."""
    with serving(encoder) as server:
        connection = raw(server, b"")
        until(lambda: bool(server.room.open))
        (opened,) = server.room.open
        own = opened.transport.get_extra_info("socket")
        assert own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        connection.close()


def test_a_full_queue_is_told_with_the_time_to_come_again(encoder: Encoder, stalled: Any) -> None:
    with serving(encoder, limits=Limits(waiting_tokens=30)) as server, stalled(server) as holding:
        first = raw(server, request({"input": "the cat"}))
        assert holding.entered.wait(60)
        second = raw(server, request({"input": "the cat " * 15}))
        until(lambda: server.served.engine.batcher.waiting > 0)
        body = json.dumps({"input": "a dog"}).encode()
        status, headers, answer = ask(server, "POST", "/v1/embeddings", body, KEEPALIVE)
        assert status == 429 and int(headers["Retry-After"]) >= 1
        assert json.loads(answer)["error"]["type"] == "rate_limit_error"
        holding.gate.set()
        for connection in (first, second):
            assert connection.recv(12) == b"HTTP/1.1 200"
            connection.close()
        assert post(server, "/v1/embeddings", {"input": "a dog"})[0] == 200


def test_a_client_that_leaves_gives_up_its_place(encoder: Encoder, stalled: Any, capfd: Any) -> None:
    with serving(encoder) as server, stalled(server) as holding:
        first = raw(server, request({"input": "the cat"}))
        assert holding.entered.wait(60)
        gone = raw(server, request({"input": ["the cat sleeps"] * 100}))
        until(lambda: server.served.engine.batcher.waiting == 500)
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()  # with a reset
        until(lambda: server.served.engine.batcher.waiting == 0)
        holding.gate.set()
        assert first.recv(12) == b"HTTP/1.1 200"
        first.close()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("sent", [request({"input": "a"}, length=10**6), request({"input": "a"})[:-3]])
def test_half_a_body_is_told_after_its_time(encoder: Encoder, sent: bytes) -> None:
    with serving(encoder, limits=Limits(body_seconds=0.05)) as server:
        connection = raw(server, sent)
        answer = b""
        while part := connection.recv(65536):  # and the connection is closed
            answer += part
        assert answer.startswith(b"HTTP/1.1 408") and b"did not arrive within 0.05 s" in answer
        connection.close()


def test_headers_without_end_are_cut_off(encoder: Encoder) -> None:
    with serving(encoder, limits=Limits(header_bytes=4096)) as server:
        connection = raw(server, b"GET /health HTTP/1.1\r\n" + b"a: b\r\n" * 2000)
        read_to_end(connection)
        assert get(server, "/health")[0] == 200


def test_a_client_that_does_not_take_its_answer_is_left(encoder: Encoder) -> None:
    """Whatever the system's buffers hold: what it asks for is larger."""
    with serving(encoder, limits=Limits(idle_seconds=0.2)) as server:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect(("127.0.0.1", server.port))
        one = request({"input": ["the cat"] * 2000, "encoding_format": "float"})
        connection.settimeout(60)
        try:
            for _ in range(20):
                connection.sendall(one)
        except OSError:  # the server has closed it
            pass
        until(lambda: not server.room.open)
        connection.close()
        assert get(server, "/health")[0] == 200


@pytest.mark.parametrize(
    "sent",
    [b"\x16\x03\x01\x02\x00\x01\x00", b"GET /health\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", b"\r\n" * 100]
    + [b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"]
    + [b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]
    + [b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"],
)
def test_what_is_no_request_harms_nobody(encoder: Encoder, sent: bytes, capfd: Any, caplog: Any) -> None:
    with serving(encoder, limits=Limits(idle_seconds=0.2)) as server:
        connection = raw(server, sent)
        read_to_end(connection)
        assert get(server, "/health")[0] == 200
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("fault", ["raises", "gives NaN"])
def test_a_fault_of_the_model_is_one_line_and_the_server_lives(encoder: Encoder, fault: str) -> None:
    told: list[dict[str, object]] = []
    with serving(encoder, tell_error=told.append) as server:
        batcher = server.served.engine.batcher
        run = batcher._run

        def fail(rows: list[Any]) -> np.ndarray:
            if fault == "raises":
                raise RuntimeError("no\nmemory")
            return np.full((len(rows), 32), np.nan, np.float32)

        batcher._run = fail
        status, answer = post(server, "/v1/embeddings", {"input": "a cat"})
        assert status == 500 and answer["error"]["type"] == "server_error"
        assert "\n" not in answer["error"]["message"]
        assert len(told) == 1 and "\n" not in str(told[0]["error"])
        batcher._run = run
        assert post(server, "/v1/embeddings", {"input": "a cat"})[0] == 200


def test_requests_that_have_arrived_are_answered_before_the_end(encoder: Encoder, stalled: Any) -> None:
    with serving(encoder) as server, stalled(server) as holding:
        working = raw(server, request({"input": "the cat"}))
        idle, half = raw(server, b""), raw(server, b"GET /heal")
        assert holding.entered.wait(60)
        server.stop()
        for connection in (idle, half):  # nothing waits for these
            assert connection.recv(1) == b""
            connection.close()
        holding.gate.set()
        assert working.recv(12) == b"HTTP/1.1 200"
        working.close()


def test_nothing_of_a_request_is_told_but_what_it_was(encoder: Encoder) -> None:
    told: list[dict[str, object]] = []
    with serving(encoder, tell=told.append) as server:
        post(server, "/v1/embeddings", {"input": "a secret cat"})
        get(server, "/nothing?q=secret")
        text = get(server, "/metrics")[2].decode()
    assert "secret" not in json.dumps(told) and {line["status"] for line in told} == {200, 404}
    assert 'requests_total{route="/v1/embeddings",status="200"} 1' in text and "secret" not in text
    for line in text.splitlines():
        assert line.startswith("# ") or len(line.rsplit(" ", 1)) == 2 and float(line.rsplit(" ", 1)[1]) >= 0


def test_memory_and_descriptors_do_not_grow(encoder: Encoder, times: Callable[[int, int], int], figures: Any) -> None:
    """Whatever clients do: answers, mistakes, connections that are reset, bodies that stop."""
    process, count = psutil.Process(), times(300, 100_000)
    with serving(encoder) as server:

        def client(requests: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            for number in range(requests):
                if number % 50 == 49:
                    gone = raw(server, request({"input": "the cat"}, length=(None, 500)[number % 100 > 50]))
                    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    gone.close()
                given = {"input": "the cat sleeps"} if number % 10 else {"input": []}
                connection.request("POST", "/v1/embeddings", json.dumps(given), KEEPALIVE)
                answer = connection.getresponse()
                assert answer.status == (200 if number % 10 else 400)
                answer.read()
            connection.close()

        def load(requests: int) -> tuple[float, int]:
            with ThreadPoolExecutor(8) as clients:
                list(clients.map(client, [requests // 8] * 8))
            until(lambda: not server.room.open)
            gc.collect()
            return process.memory_info().rss / 1e6, process.num_fds()

        before = load(max(count // 10, 200))
        after = load(count)
    figures(
        "requests to serve", requests=count, MB_before=round(before[0]), MB_after=round(after[0]),
        descriptors_before=before[1], descriptors_after=after[1],
    )  # fmt: skip
    assert after[1] <= before[1] and after[0] <= before[0] * 1.05 + 20
