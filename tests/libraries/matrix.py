"""Try every library on every checkpoint, by every route, and write the page that says what came of it.

`make libraries` makes the environments and runs `python -m tests.libraries.matrix PYTHON --pylate PYTHON`. Each library
runs in a process of its own for each route. With names of libraries behind, only these run, and nothing is written.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.libraries.checkpoints import CONTROL, POSITIONS, write_checkpoints

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "libraries.md"
CELL = Path(__file__).parent / "cell.py"
ROUTES = ("package", "remote")
SECONDS = 300  # for one library by one route

# The function in `*_uses.py`, the packages whose versions are named, and what was done.
LIBRARIES = {
    "accelerate": ("accelerate", "train, save and load the state, offload to the disk"),
    "adapters": ("adapters", "train a bottleneck adapter"),
    "bert_score": ("bert-score", "score texts"),
    "bertopic": ("bertopic", "find topics, save, load"),
    "captum": ("captum", "integrated gradients by hooks and by an interpretable embedding"),
    "gliner": ("gliner", "train for entities, save, load"),
    "haystack": ("haystack-ai sentence-transformers-haystack", "embed into a store, search by a pipeline"),
    "keybert": ("keybert", "extract key words"),
    "langchain": ("langchain-core langchain-huggingface", "embed into a store, dump, load, search"),
    "lightning": ("lightning", "train, save, load"),
    "opacus": ("opacus", "gradients of each text, beside a loop over the texts"),
    "openvino": ("openvino", "convert, save, load, run with another shape"),
    "peft": ("peft", "train LoRA on all linear layers, save, load, merge"),
    "pylate": ("pylate transformers", "embed tokens, save, load"),
    "quanto": ("optimum-quanto", "int8, save, load"),
    "sentence_transformers": ("sentence-transformers", "train, save, load"),
    "setfit": ("setfit", "train, save, load"),
    "shap": ("shap", "Shapley values of the words of a text"),
    "skorch": ("skorch", "train behind a tokenizer, save, load"),
    "spacy_transformers": ("spacy spacy-transformers", "the transformer component: embed, save, load"),
    "torchao": ("torchao", "int8, save, load"),
    "txtai": ("txtai", "index, save, load, search"),
}
VERSIONS = """
import json, sys
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


@dataclass(frozen=True)
class Row:
    """A library: its versions, and what each route said of each checkpoint."""

    library: str
    versions: dict[str, str]
    cells: dict[tuple[str, str], dict[str, str]]  # by checkpoint and route

    def routes(self, checkpoint: str) -> dict[str, dict[str, str]]:
        """Return what each route said of a checkpoint; the control has no code of its own, so one route."""
        return {route: cell for (name, route), cell in self.cells.items() if name == checkpoint}

    def mark(self, checkpoint: str) -> str:
        """Return the cell of a checkpoint: whether it works, and by which route where it is one only."""
        routes = self.routes(checkpoint)
        working = [route for route, cell in routes.items() if cell["outcome"] == "works"]
        if len(working) == len(routes):
            return "yes"
        return f"{working[0]} only" if working else "no"

    def notes(self) -> list[str]:
        """Return what was said where something does not work, each sentence once, and of which checkpoints."""
        said: dict[str, list[str]] = {}
        for (checkpoint, route), cell in self.cells.items():
            if cell["outcome"] != "works":
                where = "BERT" if checkpoint == CONTROL else f"{checkpoint} ({route})"
                said.setdefault(cell["figure"], []).append(where)
        remote = [f"{name} (remote)" for name in POSITIONS]
        shorter = {len(self.cells): "all, BERT too", len(remote): "remote code"}
        return [
            f"{shorter[len(where)] if where == remote or len(where) == len(self.cells) else ', '.join(where)}: {words}"
            for words, where in said.items()
        ]


def environment(route: str, scratch: str) -> dict[str, str]:
    """Return the environment variables of a child: offline, one thread, and the package on its path or not."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    quiet = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "DO_NOT_TRACK": "1"}
    path = {"PYTHONPATH": str(ROOT)} if route == "package" else {}
    return {**kept, **quiet, **path, "HF_MODULES_CACHE": f"{scratch}/modules", "PYTHONDONTWRITEBYTECODE": "1"}


def try_route(python: str, library: str, route: str, folders: list[Path]) -> dict[str, dict[str, str]]:
    """Run a library on all checkpoints in one process; a checkpoint that it did not come to has died with it."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [python, str(CELL), library, route, *map(str, folders)]
        try:
            run = subprocess.run(
                command, env=environment(route, scratch), cwd=scratch, timeout=SECONDS, capture_output=True, text=True,
                stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
            output, end = run.stdout, f"the process ended with code {run.returncode}"
        except subprocess.TimeoutExpired as error:
            output, end = (error.stdout or b"").decode(), f"not done after {SECONDS} seconds"
    records = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    found = {record.pop("checkpoint"): record for record in records}
    return {folder.name: found.get(folder.name, {"outcome": "fails", "figure": end}) for folder in folders}


def versions(python: str, packages: Iterable[str]) -> dict[str, str]:
    command = [python, "-c", VERSIONS, *packages]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def try_library(python: str, library: str, folders: list[Path]) -> Row:
    """Try a library on all checkpoints by both routes."""
    cells = {}
    for route in ROUTES:
        tried = [folder for folder in folders if route == "package" or folder.name != CONTROL]
        found = try_route(python, library, route, tried)
        cells |= {(name, route): cell for name, cell in found.items()}
    return Row(library, versions(python, LIBRARIES[library][0].split()), cells)


def page(rows: list[Row], base: dict[str, str]) -> str:
    """Return the page of the documentation."""
    names = (CONTROL, *POSITIONS)
    working = sum(cell["outcome"] == "works" for row in rows for cell in row.cells.values())
    total = sum(len(row.cells) for row in rows)
    lines = [
        "# Libraries",
        "",
        "<!-- Written by `make libraries`. -->",
        "",
        "Tried with " + ", ".join(f"{name} {version}" for name, version in base.items()) + ". Each library is used as",
        "its own documentation shows, on stock BERT and on TriEmbed with five position types, once with the package",
        "imported and once with the code beside the checkpoint (`trust_remote_code=True`). Training is three steps.",
        "*yes*: it works both ways, and what was saved and loaded gives the same output.",
        f"{working} of {total} trials work.",
        "",
        "| library | tried | " + " | ".join("BERT" if name == CONTROL else f"`{name}`" for name in names) + " |",
        "|---|---|" + "---|" * len(names),
    ]
    for row in rows:
        title = ", ".join(f"{name} {version}" for name, version in row.versions.items())
        marks = " | ".join(row.mark(name) for name in names)
        lines.append(f"| {title} | {LIBRARIES[row.library][1]} | {marks} |")
    lines += ["", "## What does not work", ""]
    for row in rows:
        lines += [f"- **{row.library}**: {note}" for note in row.notes()]
    return "\n".join(lines) + "\n" + REMARKS


REMARKS = """
## Remarks

- **opacus**: freeze what belongs to positions (`parameter.requires_grad_("position" not in name)`). What a model reads
  once for all texts of a batch, such as a table of distances, has no gradient of each text, and the optimizer of opacus
  stops with "stack expects each tensor to be equal size". Stock BERT needs the same for its position table. `learned`
  does not: it looks positions up for each text.
- **openvino** computes in bf16 where the processor has it; the trial sets `INFERENCE_PRECISION_HINT` to `f32`.
- **pylate** asks for transformers 5.3 or older and has an environment of its own. **gliner** and
  **langchain-huggingface** ask for older releases of transformers or huggingface-hub than they need, and were installed
  with `--no-deps`.
- **adapters** asks for transformers 4.57 and **spacy-transformers** for one below 4.53; this package needs 5.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", type=os.path.abspath)
    parser.add_argument(
        "--pylate", type=os.path.abspath, help="Python of the environment for PyLate, which needs other versions"
    )
    parser.add_argument("libraries", nargs="*", help="only these")
    given = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory() as scratch:
        folders, rows = write_checkpoints(Path(scratch)), []
        for library in given.libraries or LIBRARIES:
            python = given.pylate if library == "pylate" and given.pylate else given.python
            rows.append(try_library(python, library, folders))
            marks = " ".join(rows[-1].mark(folder.name).replace(" ", "-") for folder in folders)
            print(f"{library:24} {marks}", *rows[-1].notes(), sep="\n    ", flush=True)
    text = page(rows, versions(given.python, ["torch", "transformers", "huggingface-hub"]))
    if given.libraries:
        sys.stdout.write(text)
    else:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
