"""A small run as `torchrun` starts it: python -m tests.faults.launched FOLDER MAX_STEPS."""

import os
import sys
from pathlib import Path

from tests.faults.small_run import child, settings

if __name__ == "__main__":
    folder, steps, rank = Path(sys.argv[1]), int(sys.argv[2]), os.environ["RANK"]
    (folder.parent / f"process{rank}").write_text(str(os.getpid()))
    options = settings(folder, rank=rank, training__max_steps=steps)
    child(options, folder.parent / f"{folder.name}.log", None, {})
