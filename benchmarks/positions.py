"""What each position type costs: time and memory of forward and backward, as ratios to `learned`.

    python benchmarks/positions.py                         # every type at 128, 512 and 2048 tokens
    python benchmarks/positions.py --types rope,alibi --lengths 512 --rounds 7 --json figures.json

The encoder has BERT-base's layers (768 wide, 12 heads), two of them, and no head, so that nothing dilutes the
differences; every length gets as many rows as make 2048 tokens, none of them padding. Types are interleaved in one
process; a ratio is the median over rounds of the time divided by that of `learned` in the same round. On CPU it is
processor time in fp32, which other work on the machine disturbs less than wall time; on CUDA it is wall time under bf16
autocast. Memory is the peak of one step above what stood before it, in a process of its own each.
"""

import argparse
import json
import math
import os
import platform
import resource
import statistics
import sys
import time

import torch
import transformers

from hf_embeddings import POSITION_TYPES, TriEmbedConfig, TriEmbedModel

BASELINE = "learned"
TOKENS = 2048


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--types", default=",".join(POSITION_TYPES), help="types, separated by commas")
    parser.add_argument("--lengths", default="128,512,2048", help="tokens in a row, separated by commas")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds; 0 measures memory only")
    parser.add_argument("--threads", type=int, default=1, help="threads on CPU")
    parser.add_argument("--json", metavar="FILE", help="write the figures here as well")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    types = [BASELINE, *(name for name in options.types.split(",") if name != BASELINE)]
    lengths = [int(length) for length in options.lengths.split(",")]
    figures = {"machine": machine(options.threads), "rounds": options.rounds, "types": {name: {} for name in types}}
    # Memory first: what timing leaves in the allocator would hide what a step needs.
    for length in lengths:
        peaks = {name: peak_memory(name, length) for name in types}
        for name, peak in peaks.items():
            figures["types"][name][str(length)] = {"memory": round(peak / peaks[BASELINE], 2)}
        print(f"memory at {length} tokens measured", file=sys.stderr)
    for length in lengths if options.rounds else []:
        for name, ratio in time_ratios(types, length, options.rounds).items():
            figures["types"][name][str(length)]["time"] = round(ratio, 2)
        print(f"time at {length} tokens measured", file=sys.stderr)
    print(table(figures, lengths))
    if options.json:
        with open(options.json, "w", encoding="utf-8", newline="\n") as file:
            json.dump(figures, file, indent=2)
            file.write("\n")


def build(position: str, length: int) -> tuple[TriEmbedModel, torch.Tensor]:
    """Return a training model and (B, S) token ids."""
    torch.manual_seed(0)
    config = TriEmbedConfig(
        num_hidden_layers=2,
        max_position_embeddings=length,
        position_embedding_type=position,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = TriEmbedModel(config, add_pooling_layer=False).to(device()).train()
    return model, torch.randint(5, config.vocab_size, (max(1, TOKENS // length), length), device=device())


def step(model: TriEmbedModel, ids: torch.Tensor) -> None:
    """Run forward and backward."""
    with torch.autocast("cuda", dtype=torch.bfloat16, enabled=device() == "cuda"):
        hidden = model(ids).last_hidden_state
    hidden.float().square().mean().backward()
    model.zero_grad(set_to_none=True)


def time_ratios(types: list[str], length: int, rounds: int) -> dict[str, float]:
    """Return the median ratio of time to `learned` for each type."""
    setups = {name: build(name, length) for name in types}
    for model, ids in setups.values():
        step(model, ids)
    seconds: dict[str, list[float]] = {name: [] for name in types}
    for _ in range(rounds):
        for name, (model, ids) in setups.items():
            start = clock()
            step(model, ids)
            seconds[name].append(clock() - start)
    return {
        name: statistics.median(own / base for own, base in zip(times, seconds[BASELINE], strict=True))
        for name, times in seconds.items()
    }


def clock() -> float:
    """Return seconds: of this process on CPU, of the wall once the queue of the GPU is empty."""
    if device() == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def peak_memory(position: str, length: int) -> int:
    """Return the bytes that one step needs at its peak, above the model."""
    if device() == "cuda":
        model, ids = build(position, length)
        step(model, ids)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(model, ids)
        return torch.cuda.max_memory_allocated() - before
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        model, ids = build(position, length)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        step(model, ids)
        os.write(writer, str((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        return int(pipe.read())


def device() -> str:
    """Return the GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def machine(threads: int) -> dict[str, object]:
    """Say on what, and with which versions."""
    names = [
        line.split(":", 1)[1].strip()
        for line in open("/proc/cpuinfo", encoding="utf-8")
        if line.startswith("model name")
    ]
    return {
        "device": torch.cuda.get_device_name() if device() == "cuda" else f"{names[0]}, {len(names)} cores",
        "threads": threads,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }


def table(figures: dict, lengths: list[int]) -> str:
    """Write the figures as a table, the cheapest at 512 tokens (or the first length) first."""
    order = "512" if 512 in lengths else str(lengths[0])
    rows = sorted(figures["types"].items(), key=lambda row: row[1][order].get("time", 0.0))
    lines = [
        "| type | " + " | ".join(f"time {length} | memory {length}" for length in lengths) + " |",
        "|---|" + "---|" * (2 * len(lengths)),
    ]
    for name, by_length in rows:
        cells = [f"{by_length[str(n)].get(what, math.nan):.2f}" for n in lengths for what in ("time", "memory")]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    machine_line = ", ".join(f"{key} {value}" for key, value in figures["machine"].items())
    return "\n".join([*lines, "", f"{machine_line}; {figures['rounds']} rounds"])


if __name__ == "__main__":
    main()
