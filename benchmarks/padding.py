"""What padding costs: TriEmbed beside stock BERT, by `Trainer` and by sentence-transformers alone, on real reviews.

Start: python -m benchmarks.padding MINILM --reviews en=FOLDER zh=FOLDER [--rounds 5] [--threads 1] [--output FILE]
Expect: a table of ratios, medians over rounds in turns; about 25 minutes on 2 quiet cores.

MINILM is a BERT with its pooling for sentence-transformers, as `hf-embeddings example minilm` writes it; TriEmbed has
the same weights, converted. FOLDER is that of `hf-embeddings example reviews-en` or `reviews-zh`. Both models get the
same padded batches of 32 from `Trainer` or from `SentenceTransformer.encode`: as the reviews come, or sorted by length
as `group_by_length` and `encode` sort them. Each works in a process of its own, in turns, on the clock of its own
processor time, which other programs lengthen little. Losses and vectors must agree before anything is timed. The memory
is the peak beyond what the process held before it made a model.
"""

import argparse
import csv
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sentence_transformers
import torch
import transformers
from sentence_transformers import SentenceTransformer
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

import hf_embeddings  # noqa: F401  registers TriEmbed
from benchmarks.processes import workers
from hf_embeddings.conversion import convert
from hf_embeddings.hardware import describe

BATCH = 32  # rows
STEPS, SORTED = 1, 4  # batches of a round: by `Trainer`, and by a call of `encode`
POOL = 50 * BATCH  # rows that are sorted together, as `group_by_length` of transformers does
MODELS = ("BERT", "TriEmbed")
Work = Callable[[int], float]  # does a round and returns its seconds of processor time


class Case(NamedTuple):
    """What is measured."""

    task: str  # a key of TASKS
    reviews: str
    order: str  # "as they come" or "sorted"
    folder: Path  # of the reviews
    checkpoints: dict[str, Path]
    max_length: int
    threads: int


def read_rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "train.csv", encoding="utf-8", newline="") as file:
        return [row for row, _ in zip(csv.DictReader(file), range(POOL), strict=False)]


def batches(case: Case, lengths: list[int]) -> list[list[int]]:
    """Return the rows of all batches of a case, in the order in which rounds take them."""
    order = np.arange(len(lengths)) if case.order == "as they come" else np.argsort(lengths, kind="stable")
    rows = [order[i : i + BATCH].tolist() for i in range(0, len(order), BATCH)]
    return [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]


def classifier(folder: Path) -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    with torch.no_grad():
        model.classifier.weight.copy_(torch.linspace(-0.1, 0.1, model.classifier.weight.numel()).view(2, -1))
    return model


def features(case: Case, tokenizer: PreTrainedTokenizerBase) -> list[dict[str, object]]:
    rows = read_rows(case.folder)
    ids = tokenizer([row["text"] for row in rows], truncation=True, max_length=case.max_length)
    return [
        {"input_ids": own, "token_type_ids": [0] * len(own), "label": int(row["label"] == "positive")}
        for own, row in zip(ids["input_ids"], rows, strict=True)
    ]


class Clock(TrainerCallback):
    """Time the steps of `Trainer`, its start-up left out."""

    def on_step_begin(self, args: object, state: transformers.TrainerState, control: object, **kwargs: object) -> None:
        if state.global_step == 0:
            self.began = time.process_time()

    def on_step_end(self, args: object, state: object, control: object, **kwargs: object) -> None:
        self.ended = time.process_time()


def training(case: Case, name: str) -> Work:
    tokenizer = AutoTokenizer.from_pretrained(case.checkpoints["BERT"])
    model, rows = classifier(case.checkpoints[name]), features(case, tokenizer)
    plan = batches(case, [len(row["input_ids"]) for row in rows])

    def work(number: int) -> float:
        chosen = [rows[i] for batch in plan[number * STEPS : (number + 1) * STEPS] for i in batch]
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder, per_device_train_batch_size=BATCH, num_train_epochs=1, logging_strategy="no",
                save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True, learning_rate=1e-5,
                train_sampling_strategy="sequential",
            )  # fmt: skip
            collator = DataCollatorWithPadding(tokenizer)
            Trainer(model, arguments, train_dataset=chosen, data_collator=collator, callbacks=[clock]).train()
        return clock.ended - clock.began

    return work


def encoding(case: Case, name: str) -> Work:
    """Encode one batch in a call, or several, which `encode` sorts."""
    model = SentenceTransformer(str(case.checkpoints[name]), device="cpu")
    model.max_seq_length = case.max_length
    texts = [row["text"] for row in read_rows(case.folder)]
    count = BATCH if case.order == "as they come" else SORTED * BATCH

    def work(number: int) -> float:
        chosen = texts[number * SORTED * BATCH : number * SORTED * BATCH + count]
        began = time.process_time()
        model.encode(chosen, batch_size=BATCH, show_progress_bar=False)
        return time.process_time() - began

    return work


TASKS = {"Trainer": training, "encode": encoding}


def check_parity(case: Case) -> float:
    """Return the largest difference of a loss or a vector between the models, on the first batch."""
    tokenizer = AutoTokenizer.from_pretrained(case.checkpoints["BERT"])
    rows = features(case, tokenizer)
    batch = DataCollatorWithPadding(tokenizer)([rows[i] for i in batches(case, [len(r["input_ids"]) for r in rows])[0]])
    texts, results = [row["text"] for row in read_rows(case.folder)[:BATCH]], []
    for name in MODELS:
        with torch.no_grad():
            loss = classifier(case.checkpoints[name]).eval()(**batch).loss
        results.append((loss, SentenceTransformer(str(case.checkpoints[name]), device="cpu").encode(texts)))
    (loss, vectors), (other_loss, other_vectors) = results
    return max(abs(float(loss - other_loss)), float(np.abs(vectors - other_vectors).max()))


def serve(connection: Connection, case: Case, name: str) -> None:
    """Answer each number of a round with its seconds and the peak memory so far in MB."""
    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(case.threads)
    before = memory("VmRSS")
    work = TASKS[case.task](case, name)
    while (number := connection.recv()) is not None:
        seconds = work(number)
        connection.send((seconds, memory("VmHWM") - before))


def memory(name: str) -> float:
    """Return a memory figure of this process in MB (Linux): VmRSS, resident now, or VmHWM, at the peak."""
    return int(Path("/proc/self/status").read_text(encoding="utf-8").split(f"{name}:")[1].split()[0]) / 1024


def padding(case: Case) -> float:
    """Return the share of padding in the batches of `Trainer`."""
    lengths = [len(row["input_ids"]) for row in features(case, AutoTokenizer.from_pretrained(case.checkpoints["BERT"]))]
    rows = [[lengths[i] for i in batch] for batch in batches(case, lengths)]
    return 1 - sum(map(sum, rows)) / sum(len(row) * max(row) for row in rows)


def measure(case: Case, rounds: int) -> str:
    gap = check_parity(case)
    if not gap <= 1e-5:  # nor NaN
        raise SystemExit(f"{case.task}, {case.reviews}: the models differ by {gap}; nothing was measured")
    seconds: dict[str, list[float]] = {name: [] for name in MODELS}
    peaks: dict[str, float] = {}
    with workers(list(MODELS), serve, case) as connections:
        for number in range(rounds + 1):
            for name in MODELS if number % 2 else MODELS[::-1]:
                connections[name].send(number)
                spent, peaks[name] = connections[name].recv()
                if number:  # the first warms up
                    seconds[name].append(spent)
            print(f"{case.task} {case.reviews} {case.order} {number}: {seconds}", file=sys.stderr, flush=True)
    ratios = [b / o for b, o in zip(seconds["BERT"], seconds["TriEmbed"], strict=True)]
    share = f"{padding(case):.0%}" if case.task == "Trainer" else ""
    return (
        f"| {case.task} | {case.reviews} | {case.order} | {share} | {statistics.median(seconds['BERT']):.2f} | "
        f"{statistics.median(seconds['TriEmbed']):.2f} | **{statistics.median(ratios):.2f}x** | "
        f"{peaks['BERT']:,.0f} | {peaks['TriEmbed']:,.0f} | {peaks['TriEmbed'] / peaks['BERT']:.2f} |"
    )


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("minilm", type=Path)
    parser.add_argument("--reviews", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--orders", nargs="+", default=["as they come", "sorted"])
    parser.add_argument("--max-length", type=int, default=512, help="tokens of a review")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(arguments.threads)
    lines = [
        "| by | reviews | batches | padding | BERT, s | TriEmbed, s | ratio | BERT, MB | TriEmbed, MB | memory |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = {"BERT": arguments.minilm, "TriEmbed": Path(folder) / "triembed"}
        convert(checkpoints["BERT"], checkpoints["TriEmbed"])
        for task in arguments.tasks:
            for name, reviews in (entry.split("=", 1) for entry in arguments.reviews):
                for order in arguments.orders:
                    options = (Path(reviews), checkpoints, arguments.max_length, arguments.threads)
                    lines.append(measure(Case(task, name, order, *options), arguments.rounds))
                    print(lines[-1], file=sys.stderr, flush=True)
    packages = (torch, transformers, sentence_transformers)
    versions = {package.__name__: package.__version__ for package in packages}
    hardware = {"python": platform.python_version(), "processor": describe(), "threads": arguments.threads}
    text = "\n".join(lines) + f"\n\n{json.dumps(versions | hardware | {'rounds': arguments.rounds})}\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
