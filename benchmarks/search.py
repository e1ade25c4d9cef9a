"""Exact search in an index of a million vectors: milliseconds for a query, beside one matrix product over all of them.

Start: python -m benchmarks.search [--rows 1000000] [--width 384] [--queries 20] [--threads 1]
Expect: two lines of milliseconds; about a minute, and 2 GB of disk in the temporary folder.

Vectors lie around 2,000 centres, as texts do around subjects; queries lie near one of them. The files are mapped into
memory and have been read once. The clock is the processor time of the process: see `encoding.py`. Each result is
compared with that of the matrix product.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from hf_embeddings.search import scan

_BLOCK = 50_000


def make(folder: Path, rows: int, width: int) -> tuple[np.ndarray, scan.Codes]:
    """Write vectors (N, D) and their codes into mapped files."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((2000, width), dtype=np.float32)
    vectors = np.memmap(folder / "vectors", np.float32, "w+", shape=(rows, width))
    codes = np.memmap(folder / "codes", np.int8, "w+", shape=(rows, width))
    scales = np.memmap(folder / "scales", np.float32, "w+", shape=(rows, 3))
    for start in range(0, rows, _BLOCK):
        part = slice(start, min(start + _BLOCK, rows))
        size = part.stop - part.start
        block = centres[rng.integers(0, 2000, size)] + rng.standard_normal((size, width), dtype=np.float32)
        vectors[part] = block / np.linalg.norm(block, axis=1, keepdims=True)
        quantized = scan.quantize(vectors[part])
        codes[part], scales[part] = quantized.codes, quantized.scales
    return vectors, scan.Codes(codes, scales)


def timed(action: Callable[[], object]) -> tuple[float, object]:
    """Return the processor milliseconds of an action, and its result."""
    start = time.process_time()
    result = action()
    return 1000 * (time.process_time() - start), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rng = np.random.default_rng(1)
    ours, plain = [], []
    with tempfile.TemporaryDirectory() as folder:
        vectors, codes = make(Path(folder), options.rows, options.width)
        for number in range(options.queries + 1):
            near = vectors[rng.integers(0, options.rows)] + 0.03 * rng.standard_normal(options.width)
            query = near.astype(np.float32)
            own, ((rows, _),) = timed(lambda query=query: scan.search(query[None], vectors, codes, 10))
            other, scores = timed(lambda query=query: torch.from_numpy(np.asarray(vectors)) @ torch.from_numpy(query))
            if set(scores.topk(10).indices.tolist()) != set(rows.tolist()):
                raise SystemExit("the ten best differ from those of the matrix product")
            if number:  # the first reads the files
                ours.append(own)
                plain.append(other)
    for name, times in (("top 10 by codes, exact", ours), ("fp32 product, without sorting", plain)):
        print(f"{name}: median {statistics.median(times):.1f} ms, slowest {max(times):.1f} ms", flush=True)


if __name__ == "__main__":
    main()
