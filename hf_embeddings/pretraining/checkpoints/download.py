"""Checkpoints that a run has pushed to the Hub, brought back to go on from: `--resume hub:USER/NAME[@REVISION]`."""

import re
from pathlib import Path

from hf_embeddings.pretraining.checkpoints.push import LAST

PREFIX = "hub:"


def fetch_checkpoint(name: str) -> tuple[Path, str]:
    """Download what a run resumes from, as one commit has it, into the cache of the Hub's client.

    Args:
        name: `hub:USER/NAME`, or `hub:USER/NAME@REVISION` with a branch, tag or commit.

    Returns:
        Its directory, not yet verified; and the commit.

    Raises:
        ValueError: there is none, or it cannot be reached.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HTTPError  # httpx's; those of the Hub are OSErrors too

    repository, _, revision = name.removeprefix(PREFIX).partition("@")
    try:
        commit = HfApi().model_info(repository, revision=revision or None).sha or ""
        folders = {path.split("/")[0] for path in HfApi().list_repo_files(repository, revision=commit) if "/" in path}
        steps = sorted((f for f in folders if re.fullmatch(r"step-\d{8,}", f)), key=lambda f: int(f[5:]))
        candidates = [*steps, *folders & {LAST}]
        if not candidates:
            raise ValueError(
                f"--resume {name}: commit {commit[:8]} holds no {LAST}/ and no step-*/, expected what hub.hub_strategy "
                "checkpoint or all_checkpoints pushes"
            )
        return Path(snapshot_download(repository, revision=commit, allow_patterns=f"{candidates[-1]}/*")) / candidates[
            -1
        ], commit
    except (OSError, HTTPError) as error:
        raise ValueError(f"--resume {name}: {' '.join(str(error).split())}") from None
