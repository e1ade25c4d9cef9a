"""TriEmbed on one GPU: first whether every kernel gives what eager fp32 gives, then tokens per second beside peers.

Start: python -m benchmarks.gpu [--output FILE]; without a GPU: python -m benchmarks.gpu --device cpu --small
Expect: a table of parity and one of speed at base size, in under 8 minutes on one device (`--minutes`).

Parity (`gpu_parity.py`): varlen, flash, folded biases, compiled layers and bf16 against eager attention in fp32 on the
device, outputs and gradients, for all position types. If one differs, nothing is timed. One that cannot be run is
named, and the exit code is 1.

Speed (`gpu_speed.py`): training in bf16 with fused AdamW and clipping, real tokens, medians over rounds in turns.
TriEmbed runs our loop: planning, packing and masking stand inside the timing. The peers get a bare loop without those:
batches that were masked, sorted by length and padded before, so that they are flattered. The last columns are the
useful floating-point operations as a share of the device's best matrix product in the same number format, and the peak
memory.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import torch
import transformers
from accelerate import Accelerator

from benchmarks import gpu_parity
from benchmarks.gpu_speed import BASE, SMALL, measure, tell
from hf_embeddings.hardware import bf16_is_fast, describe


def choose_device(name: str) -> torch.device:
    """Return the device; say in words where there is no GPU."""
    if name == "cuda" and not torch.cuda.is_available():
        raise SystemExit(
            f"benchmarks.gpu: no GPU is here (torch {torch.__version__}), expected one; run it on a machine with a "
            "GPU, or try its code by --device cpu --small"
        )
    return torch.device(name)


def main(words: list[str] | None = None) -> None:
    """Check, measure, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--small", action="store_true", help="toy sizes, to try the code; its figures mean nothing")
    parser.add_argument("--types", nargs="+", default=list(gpu_parity.TYPES), help="position types of the parity")
    parser.add_argument("--no-compile", action="store_true", help="leave out what torch.compile makes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=7.5, help="no round begins after")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args(words)
    until, device = time.monotonic() + 60 * arguments.minutes, choose_device(arguments.device)
    transformers.utils.logging.set_verbosity_error()
    torch.set_float32_matmul_precision("highest")  # no TF32 in what is called fp32
    ways = {name: way for name, way in gpu_parity.WAYS.items() if not (arguments.no_compile and way.compiled)}
    findings = []
    for finding in gpu_parity.check(arguments.types, device=device, small=arguments.small, ways=ways):
        findings.append(finding)
        if not finding.allowed:
            tell(
                f"{finding.position}: {finding.way} differs by {finding.outputs:.1e}, gradients {finding.gradients:.1e}"
            )
    lines = ["# On a GPU" if device.type == "cuda" else "# On a CPU, to try the code", ""]
    lines += gpu_parity.table(findings, device)
    if wrong := [f"{finding.position} ({finding.way})" for finding in findings if not finding.allowed]:
        print("\n".join(lines))
        raise SystemExit(f"benchmarks.gpu: {len(wrong)} differ from eager fp32: {', '.join(wrong)}; nothing was timed")
    bf16 = bf16_is_fast(device) and not arguments.small
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="bf16" if bf16 else "no")
    compiled = not arguments.no_compile
    size = SMALL if arguments.small else BASE
    lines += measure(accelerator, size, rounds=arguments.rounds, compiled=compiled, small=arguments.small, until=until)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "cuda": torch.version.cuda}
    machine = {"python": platform.python_version(), "device": describe(device), "rounds": arguments.rounds}
    text = "\n".join([*lines, json.dumps(versions | machine), ""])
    print(text)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8", newline="\n")
    if failed := [f"{f.position} ({f.way})" for f in findings if f.skipped.startswith(gpu_parity.FAILED)]:
        raise SystemExit(f"benchmarks.gpu: {len(failed)} could not be run: {', '.join(failed)}; see the table")


if __name__ == "__main__":
    main()
