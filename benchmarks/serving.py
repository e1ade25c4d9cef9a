"""Requests per second and latency of `serve` beside sentence-transformers behind the same HTTP layer, in turns.

Start: python -m benchmarks.serving SOURCE CONVERTED [--clients 1 16 64] [--rounds 5] [--seconds 4] [--output FILE]
Expect: a table for each number of clients: ratios as medians over interleaved rounds; about 8 minutes.

SOURCE is a sentence-transformers directory, CONVERTED the same checkpoint as TriEmbed (`hf-embeddings convert`). Each
contestant is a process with the same application, routes and parsing of `hf_embeddings.serving`; what differs is what
turns texts into vectors. The peer comes twice: `encode()` in a thread behind a lock, a text at a time, as one writes it
first; and the fairer one, which takes what waits, up to 32 texts, and encodes it at once.

Clients are another process: each sends one text, waits for its vector, and sends the next. Texts are paragraphs of
docstrings, so of natural lengths, the same for everybody, in the same order. Before anything is timed, the vectors that
the servers give must be those of sentence-transformers within 1e-5 in fp32.
"""

import argparse
import asyncio
import base64
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil

PEERS = {"sentence-transformers, lock": "locked", "sentence-transformers, batches": "batched"}
FAIR = "sentence-transformers, batches"


class Peer:
    """What the application asks of an engine, by sentence-transformers."""

    def __init__(self, source: str, kind: str) -> None:
        from sentence_transformers import SentenceTransformer

        from hf_embeddings.serving.batcher import Batcher
        from hf_embeddings.serving.limits import Limits

        self.stock = SentenceTransformer(source, device="cpu")
        self.limits, self.model = Limits(), SimpleNamespace()
        self.encoder = SimpleNamespace(dimension=self.stock.get_embedding_dimension())
        self._thread = ThreadPoolExecutor(1)  # a lock, and a thread
        self.batcher: Batcher[Any] = Batcher(
            lambda rows: self.encode([row.text for row in rows]), batch_tokens=32, waiting_tokens=10**6
        )
        self._is_batched = kind == "batched"

    def encode(self, texts: list[str]) -> np.ndarray:
        return self.stock.encode(texts, normalize_embeddings=True, show_progress_bar=False)

    async def aside(self, work: Any, *arguments: object) -> Any:  # noqa: ANN401
        return await asyncio.to_thread(work, *arguments)

    def tokenize(self, texts: Sequence[str], prompt: str | None, **options: object) -> list[Any]:
        return [SimpleNamespace(text=text, ids=()) for text in texts]

    async def run(self, prepare: Any) -> tuple[list[Any], np.ndarray]:  # noqa: ANN401
        rows, loop = prepare(), asyncio.get_running_loop()
        if self._is_batched:
            future = loop.create_future()
            self.batcher.submit(rows, [1] * len(rows), future)
            return rows, await future
        return rows, await loop.run_in_executor(self._thread, self.encode, [row.text for row in rows])

    def close(self) -> None:
        self.batcher.close()


def serve(kind: str, folder: str) -> None:
    """Serve one contestant until the process is ended; the first line on stdout is its URL."""
    from hf_embeddings.search.encoder import Encoder
    from hf_embeddings.serving.app import Served
    from hf_embeddings.serving.engine import Engine, loading_alone
    from hf_embeddings.serving.limits import Limits
    from hf_embeddings.serving.server import Server

    if kind in PEERS.values():
        engine: Any = Peer(folder, kind)
    else:
        with loading_alone():
            encoder = Encoder.load(folder, precision=kind)
        engine = Engine(encoder, Limits())
    server = Server(Served("model", {}, engine))
    print(server.url, flush=True)
    try:
        server.run()
    finally:
        server.close()


class Load:
    """Clients that send one request after another, with little work: they share the cores with the server."""

    def __init__(self, url: str, texts: Sequence[str]) -> None:
        address = urlsplit(url)
        self.host, self.port = address.hostname or "", address.port or 0
        self.requests = [request(text, f"{self.host}:{self.port}") for text in texts]
        self.seconds: list[float] = []
        self.next = 0

    async def client(self, until: float) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        while (began := time.perf_counter()) < until:
            self.next += 1
            writer.write(self.requests[self.next % len(self.requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{head!r}: expected 200")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
            self.seconds.append(time.perf_counter() - began)
        writer.close()

    async def run(self, clients: int, seconds: float) -> dict[str, float]:
        began = time.perf_counter()
        await asyncio.gather(*(self.client(began + seconds) for _ in range(clients)))
        taken = time.perf_counter() - began
        p50, p99 = np.percentile(self.seconds, [50, 99])
        return {
            "requests": len(self.seconds),
            "rate": len(self.seconds) / taken,
            "p50": float(p50) * 1e3,
            "p99": float(p99) * 1e3,
        }


def request(text: str, host: str) -> bytes:
    """Return a request as OpenAI's Python client sends it, with a vector in base64."""
    body = json.dumps({"input": text, "model": "model", "encoding_format": "base64", "truncate": True}).encode()
    head = f"POST /v1/embeddings HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def fetch(url: str, texts: Sequence[str]) -> np.ndarray:
    """Return the vectors that a server gives for texts, each asked for by itself."""
    import http.client

    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    vectors = []
    for text in texts:
        body = json.dumps({"input": text, "encoding_format": "base64", "truncate": True})
        connection.request("POST", "/v1/embeddings", body, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        vectors.append(np.frombuffer(base64.b64decode(answer["data"][0]["embedding"]), "<f4"))
    return np.stack(vectors)


def start(kind: str, folder: str) -> tuple[subprocess.Popen[str], str]:
    """Start the process of a contestant, and return it with its URL."""
    line = [sys.executable, "-m", "benchmarks.serving", "--serve", kind, folder, folder]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None, "as asked for"
    return process, process.stdout.readline().strip()


def measure(process: int, url: str, clients: int, seconds: float, texts: Path) -> dict[str, float]:
    """Return the figures of one turn, which a process of clients has measured, and the CPU time of the server."""
    before = sum(psutil.Process(process).cpu_times()[:2])
    line = [sys.executable, "-m", "benchmarks.serving", "--load", url, str(clients), str(seconds), str(texts), "-", "-"]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    return found | {"cpu": (sum(psutil.Process(process).cpu_times()[:2]) - before) * 1e3 / found["requests"]}


def table(clients: int, figures: dict[str, list[dict[str, float]]]) -> list[str]:
    """Write the figures of one number of clients as Markdown."""
    lines = [f"### {clients} client{'s' * (clients > 1)}", ""]
    lines += [
        "| | requests/s | beside the fairer peer | rounds | p50 ms | p99 ms | p99 lower in | CPU ms a request |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, own in figures.items():
        ratios = [mine["rate"] / theirs["rate"] for theirs, mine in zip(figures[FAIR], own, strict=True)]
        lower = sum(mine["p99"] < theirs["p99"] for theirs, mine in zip(figures[FAIR], own, strict=True))
        rate, p50, p99, cpu = (statistics.median(one[key] for one in own) for key in ("rate", "p50", "p99", "cpu"))
        share = "" if name == FAIR else f"{lower} of {len(own)}"
        lines.append(
            f"| {name} | {rate:,.0f} | {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} | "
            f"{p50:.1f} | {p99:.1f} | {share} | {cpu:.1f} |"
        )
    return [*lines, ""]


def compare(options: argparse.Namespace) -> None:
    from benchmarks.encoding import read_texts
    from hf_embeddings.hardware import bf16_is_fast

    texts = read_texts(options.packages, 2000)
    contestants = dict(PEERS) | {"ours, fp32": "fp32"} | ({"ours, bf16": "bf16"} if bf16_is_fast() else {})
    file = Path(tempfile.mkdtemp()) / "texts.json"
    file.write_text(json.dumps(texts), encoding="utf-8", newline="\n")
    servers = {}
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # or the servers would stay
    try:
        for name, kind in contestants.items():
            servers[name] = start(kind, options.source if kind in PEERS.values() else options.converted)
        vectors = {name: fetch(url, texts[:64]) for name, (_, url) in servers.items()}  # warms up, too
        largest = np.abs(vectors["ours, fp32"] - vectors[FAIR]).max()
        if not largest <= 1e-5:  # nor NaN
            raise SystemExit(f"fp32 differs from sentence-transformers by {largest}: not measured")
        report(servers, largest, file, options)
    finally:
        for process, _ in servers.values():
            process.terminate()
            process.wait()


def report(servers: dict[str, Any], largest: float, texts: Path, options: argparse.Namespace) -> None:
    """Measure everybody in turns, and write the tables as they come."""
    from benchmarks.encoding import _machine

    lines = ["# Serving", "", _machine(options.threads), ""] + ([options.remark, ""] if options.remark else [])
    lines += [f"Largest difference of ours in fp32 from sentence-transformers: {largest:.1e}.", ""]
    for clients in options.clients:
        figures: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
        for number in range(-1, options.rounds):  # the first one warms up
            names = list(servers)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                process, url = servers[name]
                found = measure(process.pid, url, clients, options.seconds, texts)
                if number >= 0:
                    figures[name].append(found)
        lines += table(clients, figures)
        print("\n".join(lines), flush=True)
        if options.output:
            options.output.write_text("\n".join(lines), encoding="utf-8", newline="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("converted")
    parser.add_argument("--packages", default="pydoc:torch,transformers,numpy")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--remark", default="")
    parser.add_argument("--output", type=Path)
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:4])
    elif sys.argv[1:2] == ["--load"]:
        url, clients, seconds, texts = sys.argv[2:6]
        load = Load(url, json.loads(Path(texts).read_text(encoding="utf-8")))
        print(json.dumps(asyncio.run(load.run(int(clients), float(seconds)))))
    else:
        compare(parser.parse_args())


if __name__ == "__main__":
    main()
