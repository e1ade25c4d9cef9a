"""What a server takes of its clients, and what it refuses. The default values are those of the documentation."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of requests, of the queue and of connections."""

    body_bytes: int = 8 << 20  # of a request
    inputs: int = 2048  # texts of a request, as OpenAI has it
    request_tokens: int = 300_000  # of all texts of a request, as OpenAI has it
    waiting_tokens: int = 600_000  # of all requests that wait; one more is answered by 429
    batch_tokens: int = 1024  # that the model is given at once; see benchmarks/results/serving.md
    connections: int = 512  # at once; one more closes the one that waits longest for its client
    header_bytes: int = 64 << 10  # of a request's first line and headers
    idle_seconds: float = 10.0  # for a request to arrive, between two requests, and for a client to take an answer
    body_seconds: float = 30.0  # for a body to arrive
    stop_seconds: float = 30.0  # for requests to be answered once the server is told to stop
