"""GET /metrics: what the server has done, in the text form of Prometheus."""

from collections import Counter, defaultdict
from collections.abc import Iterator

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
PREFIX = "hf_embeddings_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counts of requests by route."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()  # by route and status
        self.tokens: Counter[str] = Counter()  # that the model read, by route
        self._seconds: dict[str, float] = defaultdict(float)
        self._buckets: dict[str, list[int]] = defaultdict(lambda: [0] * len(BOUNDS))

    def count(self, route: str, status: int, seconds: float, tokens: int) -> None:
        """Take note of a request that was answered."""
        self.requests[route, status] += 1
        self.tokens[route] += tokens
        self._seconds[route] += seconds
        for place, bound in enumerate(BOUNDS):
            if seconds <= bound:
                self._buckets[route][place] += 1

    def write(self, values: dict[str, tuple[str, str, float]]) -> str:
        """Return all of it; `values` are further ones: name to kind, what it is, and the value."""
        lines = [*self._requests(), *self._durations(), *self._tokens()]
        for name, (kind, meaning, value) in values.items():
            lines += [f"# HELP {PREFIX}{name} {meaning}", f"# TYPE {PREFIX}{name} {kind}", f"{PREFIX}{name} {value:g}"]
        return "\n".join(lines) + "\n"

    def _requests(self) -> Iterator[str]:
        yield f"# HELP {PREFIX}requests_total Requests that were answered."
        yield f"# TYPE {PREFIX}requests_total counter"
        for (route, status), count in sorted(self.requests.items()):
            yield f'{PREFIX}requests_total{{route="{route}",status="{status}"}} {count}'

    def _durations(self) -> Iterator[str]:
        name = f"{PREFIX}request_seconds"
        yield f"# HELP {name} Seconds from the headers of a request to its answer."
        yield f"# TYPE {name} histogram"
        for route, buckets in sorted(self._buckets.items()):
            total = sum(count for (other, _), count in self.requests.items() if other == route)
            for bound, count in zip(BOUNDS, buckets, strict=True):
                yield f'{name}_bucket{{route="{route}",le="{bound:g}"}} {count}'
            yield f'{name}_bucket{{route="{route}",le="+Inf"}} {total}'
            yield f'{name}_sum{{route="{route}"}} {self._seconds[route]:g}'
            yield f'{name}_count{{route="{route}"}} {total}'

    def _tokens(self) -> Iterator[str]:
        yield f"# HELP {PREFIX}tokens_total Tokens that the model read for answered requests."
        yield f"# TYPE {PREFIX}tokens_total counter"
        for route, count in sorted(self.tokens.items()):
            yield f'{PREFIX}tokens_total{{route="{route}"}} {count}'
