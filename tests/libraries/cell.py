"""Try libraries on checkpoints, and write what came of it: one line of JSON for each of both.

Run by path, with the Python of the environment that holds them: `python cell.py LIBRARY,LIBRARY ROUTE FOLDER...`. The
route is `package` (hf_embeddings is imported) or `remote` (it is not, and code beside the checkpoint is trusted).
"""

import importlib
import json
import os
import re
import sys
import tempfile
import traceback
import warnings
from itertools import product
from pathlib import Path

import embedding_uses
import training_uses
import weight_uses
from inputs import NotOffered

PLACE = re.compile(r" \(/[^)]*\)|(?<!\S)/\S+")  # of a file on this machine


def find(library: str):
    """Return the function that uses a library."""
    return next(
        getattr(room, library) for room in (training_uses, weight_uses, embedding_uses) if library in vars(room)
    )


def first_line(error: BaseException) -> str:
    """Return an error in one line, without paths of this machine."""
    line = next((line for line in str(error).splitlines() if line.strip()), "").strip()
    return f"{type(error).__name__}: {PLACE.sub('', line)}"[:200]


def attempt(library: str, route: str, folder: str) -> dict[str, str]:
    """Use a library on one checkpoint, in a folder of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        try:
            return {"outcome": "works", "figure": find(library)(folder, route == "remote")}
        except NotOffered as error:
            return {"outcome": "not offered", "figure": str(error)}
        except Exception as error:
            traceback.print_exc()
            return {"outcome": "fails", "figure": first_line(error)}
        finally:
            os.chdir("/")


def main(libraries: str, route: str, *folders: str) -> None:
    warnings.simplefilter("ignore")
    records = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no record
    if route == "package":
        importlib.import_module("hf_embeddings")
    for library, folder in product(libraries.split(","), folders):
        record = {"library": library, "checkpoint": Path(folder).name, **attempt(library, route, folder)}
        print(json.dumps(record), file=records, flush=True)
    assert route == "package" or "hf_embeddings" not in sys.modules


if __name__ == "__main__":
    main(*sys.argv[1:])
