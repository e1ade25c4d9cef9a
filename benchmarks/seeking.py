"""Seek in a corpus of 10^9 examples: time and memory from a step's number to its batch, in a process of its own.

    python -m benchmarks.seeking FOLDER [--examples 1000000000]

FOLDER receives one real shard of 10^6 examples (300 MB), and links to it under the names of the others: the indices,
the files that are opened and the pages that are read are those of the whole corpus, their contents repeat.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

from hf_embeddings.corpora.tokenized_corpus import TokenizedCorpus
from hf_embeddings.files.shards import Joined, open_shard, write_shard
from hf_embeddings.pretraining.examples.batches import Vocabulary, make_batch
from hf_embeddings.pretraining.examples.chunks import Chunks, cut_table
from hf_embeddings.pretraining.examples.sampling import SampleSource, order_pages, page_size
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.options import ExampleOptions

PER_SHARD = 1_000_000  # examples
MAX_TOKENS, TOKENS_PER_BATCH, STEPS = 125, 2048, 15
VOCABULARY = Vocabulary(pad=0, cls=2, sep=3, mask=4, ordinary=np.arange(5, 30_000))


def main() -> None:
    """Make the corpus where it is not there, and seek in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--examples", type=int, default=10**9)
    parser.add_argument("--seek", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.seek is not None:
        print(json.dumps(seek(options.folder, options.examples, options.seek)))
        return
    make(options.folder, options.examples)
    steps = np.random.default_rng(0).integers(0, 10 * options.examples // 20, size=STEPS)
    results = [_elsewhere(options.folder, options.examples, int(step)) for step in steps]
    for name in results[0]:
        values = [figures[name] for figures in results]
        print(f"{name}: median {statistics.median(values):.1f}, worst {max(values):.1f}")


def make(folder: Path, examples: int) -> None:
    """Write the shard, the links and the order of the pages."""
    folder.mkdir(parents=True, exist_ok=True)
    first = folder / "tokens-0.safetensors"
    if not first.exists():
        random = np.random.default_rng(0)
        sentences = np.clip(random.lognormal(3, 0.7, size=5 * PER_SHARD), 2, 400).astype(np.int64)
        starts = np.concatenate(([0], np.cumsum(sentences)))
        documents = np.concatenate(([0], np.cumsum(random.geometric(0.1, size=len(sentences) // 10))))
        corpus = TokenizedCorpus(
            tokens=random.integers(5, 30_000, size=starts[-1]).astype(np.uint16),
            continues=random.random(starts[-1]) < 0.2,
            sentence_starts=starts,
            document_starts=documents[documents < len(starts)],
            empty_sentences=0,
        )
        table, _ = cut_table(corpus, np.arange(len(corpus.document_starts) - 1), MAX_TOKENS)
        table = table[:PER_SHARD]
        end = int(table[-1, 1]) + 1
        arrays = {"tokens": corpus.tokens[:end], "continues": corpus.continues[:end]}
        marks = starts[: int(table[-1, 4]) + 1].astype(np.uint32)
        write_shard(folder / "chunks-0.safetensors", {"training": table.astype(np.uint32)})
        write_shard(first, arrays | {"sentence_starts": marks})
    shards = examples // len(open_shard(folder / "chunks-0.safetensors")["training"])
    for number in range(1, shards):
        for name in ("tokens", "chunks"):
            path = folder / f"{name}-{number}.safetensors"
            if not path.is_symlink():
                path.symlink_to(f"{name}-0.safetensors")
    table = open_shard(folder / "chunks-0.safetensors")["training"]
    lengths = (table[:, 1] - table[:, 0]).astype(np.int64)
    pages = order_pages((lengths for _ in range(shards)), page_size(len(table) * shards))
    write_shard(folder / f"index-{examples}.safetensors", {"pages": pages})


def open_corpus(folder: Path, examples: int) -> Chunks:
    """Open it as a prepared corpus is opened."""
    shard, table = open_shard(folder / "tokens-0.safetensors"), open_shard(folder / "chunks-0.safetensors")["training"]
    lengths = {name: len(shard[name]) for name in ("tokens", "continues", "sentence_starts")}
    shards = examples // len(table)
    counts = {name: np.full(shards, length) for name, length in lengths.items()}
    before = {name: np.arange(shards) * length for name, length in lengths.items()}
    files = {kind: [folder / f"{kind}-{n}.safetensors" for n in range(shards)] for kind in ("tokens", "chunks")}
    arrays = {name: Joined(files["tokens"], name, counts[name]) for name in ("tokens", "continues")}
    marks = Joined(files["tokens"], "sentence_starts", counts["sentence_starts"], before["tokens"])
    corpus = TokenizedCorpus(
        **arrays,
        sentence_starts=marks,
        document_starts=np.zeros(1),
        empty_sentences=0,  # type: ignore[arg-type]
    )
    documents = np.arange(shards) * (int(table[-1, 2]) + 1)
    shifts = [before["tokens"], before["tokens"], documents, before["sentence_starts"], before["sentence_starts"]]
    rows = Joined(files["chunks"], "training", np.full(shards, len(table)), np.stack(shifts, axis=1))
    pages = open_shard(folder / f"index-{examples}.safetensors")["pages"]
    source = SampleSource("all", 1.0, 0, len(table) * shards, 0, pages)
    return Chunks(corpus, rows, MAX_TOKENS, 0, (source,), partial(open_corpus, folder, examples))  # type: ignore[arg-type]


def seek(folder: Path, examples: int, step: int) -> dict[str, float]:
    """Open the corpus, and return what it takes to plan a run, to the batch of a step, and to the one after it."""
    before = _memory("VmHWM")
    start = time.perf_counter()
    schedule = Schedule.plan(open_corpus(folder, examples), tokens_per_batch=TOKENS_PER_BATCH, seed=0, relation="nsp")
    plan_end, memory = time.perf_counter(), _memory("VmRSS")
    open_shard.cache_clear()
    seek_start, work_start = time.perf_counter(), time.process_time()
    epoch, pairs = schedule.batch(step)
    make_batch(schedule, epoch, pairs, VOCABULARY, ExampleOptions(max_length=MAX_TOKENS + 3))
    seek_end, work = time.perf_counter(), time.process_time() - work_start
    epoch, pairs = schedule.batch(step + 1)
    make_batch(schedule, epoch, pairs, VOCABULARY, ExampleOptions(max_length=MAX_TOKENS + 3))
    after = time.perf_counter()
    first = step // schedule.batches_per_block * schedule.batches_per_block
    loads = [schedule.batch(number)[1] for number in range(first, first + schedule.batches_per_block)]
    fill = sum(int(p.lengths.sum()) + 3 * len(p) for p in loads) / len(loads) / TOKENS_PER_BATCH
    peak = _memory("VmHWM")
    return {
        "opening and planning a run (ms)": 1000 * (plan_end - start),
        "seeking (ms)": 1000 * (seek_end - seek_start),
        "of it on the processor (ms)": 1000 * work,
        "the next batch (ms)": 1000 * (after - seek_end),
        "peak memory above that of the imports (MB)": peak - before,
        "of it while seeking (MB)": max(0.0, peak - memory),
        "fill (%)": 100 * fill,
    }


def _memory(name: str) -> float:
    """Return a figure of this process in MB: VmRSS, now, or VmHWM, at the peak, which is not its parent's."""
    return int(Path("/proc/self/status").read_text(encoding="utf-8").split(f"{name}:")[1].split()[0]) / 1024


def _elsewhere(folder: Path, examples: int, step: int) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.seeking",
        str(folder),
        "--examples",
        str(examples),
        "--seek",
        str(step),
    ]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
