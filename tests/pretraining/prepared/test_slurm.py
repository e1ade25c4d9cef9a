"""The Slurm script of the documentation, run by stand-ins for Slurm's commands."""

import os
import re
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs/how-to/resume-a-run.md"
SRUN = """#!/bin/bash
shift 2  # options
for task in 0 1; do SLURM_PROCID=$task SLURM_LOCALID=$task SLURM_NTASKS=2 "$@" || code=$?; done
exit ${code:-0}
"""
SCONTROL = """#!/bin/bash
if [ "$1" = show ]; then printf 'first\\nsecond\\n'; else echo "$@" >> requeued; fi
"""
COMMAND = """#!/bin/bash
echo "$RANK $LOCAL_RANK $WORLD_SIZE $MASTER_ADDR $MASTER_PORT $@" >> started
exit $CODE
"""


@pytest.mark.parametrize("code, requeued", [(0, False), (1, False), (75, True)])
def test_the_script_starts_every_process_and_requeues_what_was_preempted(tmp_path, code, requeued) -> None:
    script = re.search(r"```slurm\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)[1]
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL), ("hf-embeddings", COMMAND), ("job", script)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environment = os.environ | {"SLURM_JOB_NODELIST": "n[1-2]"} | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "CODE": str(code), "SLURM_JOB_ID": "7"
    }  # fmt: skip
    assert subprocess.run(["bash", "job"], cwd=tmp_path, env=environment).returncode == code
    started = (tmp_path / "started").read_text().splitlines()
    arguments = "pretrain configs/pretraining/demo.yaml"
    assert started == [f"{rank} {rank} 2 first 29500 {arguments}" for rank in (0, 1)]
    assert (tmp_path / "requeued").exists() == requeued
