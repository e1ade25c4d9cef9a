"""Exact search in an index of a million vectors: milliseconds for a query, beside one matrix product over all of them.

Start: python -m benchmarks.search [--rows 1000000] [--width 384] [--queries 20] [--threads 1]
Expect: three lines of milliseconds; two to four minutes, and 2.5 GB of disk in the temporary folder.

Vectors lie around 2,000 centres, as texts do around subjects; queries lie near one of them. The index is the one that
`hf-embeddings index` makes, with a record for each vector; its files are mapped into memory and have been read once.
Times are those of the wall, and of the processor beside them: on a machine that others use too, these say what the work
costs. Each result is compared with that of the matrix product.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from hf_embeddings.search.index import Index
from hf_embeddings.search.records import Record

_BLOCK = 50_000
_K = 10


def make(folder: Path, rows: int, width: int) -> Index:
    """Write an index of N vectors of D features."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((2000, width), dtype=np.float32)
    index = Index.create(folder, width)
    for start in range(0, rows, _BLOCK):
        size = min(_BLOCK, rows - start)
        block = centres[rng.integers(0, 2000, size)] + rng.standard_normal((size, width), dtype=np.float32)
        records = [Record(str(row), f"text {row}", {"number": row}) for row in range(start, start + size)]
        index.add(records, block / np.linalg.norm(block, axis=1, keepdims=True))
    return index


def timed(action: Callable[[], object]) -> tuple[tuple[float, float], object]:
    """Return the milliseconds of an action on the wall and on the processor, and its result."""
    wall, processor = time.perf_counter(), time.process_time()
    result = action()
    return (1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - processor)), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rng = np.random.default_rng(1)
    times: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, make(Path(folder) / "index", options.rows, options.width) as index:
        index.refresh()
        vectors = index.maps["vectors"]
        for number in range(options.queries + 1):
            near = vectors[rng.integers(0, options.rows)] + 0.03 * rng.standard_normal(options.width)
            query = near.astype(np.float32)
            actions = {
                "Index.search: records of the top 10, exact": lambda query=query: index.search(query, _K),
                "of it the scan by codes": lambda query=query: index.nearest(query, _K, None),
                "fp32 product, without sorting": lambda query=query: (
                    torch.from_numpy(vectors) @ torch.from_numpy(query)
                ),
            }
            results = {}
            for name, action in actions.items():
                durations, results[name] = timed(action)
                if number:  # the first reads the files
                    times.setdefault(name, []).append(durations)
            ((hits,), (rows, _), scores) = results.values()
            best = set(scores.topk(_K).indices.tolist())
            if best != set(rows.tolist()) or best != {int(hit.id) for hit in hits}:
                raise SystemExit("the ten best differ from those of the matrix product")
    print(f"{options.rows:,} x {options.width}, {options.threads} thread(s), {options.queries} queries")
    for name, durations in times.items():
        wall, processor = (sorted(part) for part in zip(*durations, strict=True))
        print(
            f"{name}: median {statistics.median(wall):.1f} ms, slowest {wall[-1]:.1f} ms on the wall; "
            f"median {statistics.median(processor):.1f} ms of the processor",
            flush=True,
        )


if __name__ == "__main__":
    main()
