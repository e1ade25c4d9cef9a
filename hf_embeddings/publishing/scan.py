"""What must not leave the machine with a checkpoint: pickles, which run code when loaded, secrets, and waste."""

import re
import zipfile
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from hf_embeddings.file_names import OF_A_RUN

ALWAYS_LEFT_OUT = (".git/*", ".cache/*", "*__pycache__/*", ".DS_Store", "*/.DS_Store")  # as huggingface_hub does
STRAY = {  # left by training runs: of no use to anybody who loads the model
    "checkpoint-*/*": "a checkpoint of a training run",
    "optimizer.*": "the state of an optimizer",
    "scheduler.*": "the state of a scheduler",
    "rng_state*": "the state of a random generator",
}
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill")
SECRET_FILES = (".env", ".netrc", ".pypirc", "id_rsa", "id_ed25519", "credentials", "*.pem", "*.p12", "*.pfx")
SECRETS = {
    "a Hugging Face token": rb"\bhf_[A-Za-z0-9]{30,}\b",
    "a GitHub token": rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})\b",
    "an AWS key": rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a Google key": rb"\bAIza[A-Za-z0-9_-]{35}\b",
    "a Slack token": rb"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "an OpenAI or Anthropic key": rb"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}",
    "a private key": rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a password in an address": rb"\b[a-z][a-z0-9+]{2,9}://[^\s/:@'\"]{1,64}:[^\s/:@'\"]{3,64}@[\w.-]+",
}
WEIGHTS = (".safetensors", ".onnx", ".data", ".gguf")  # numbers: not searched for text


class Finding(NamedTuple):
    """A file that must not be published, and why."""

    path: str
    reason: str


def files_to_publish(folder: Path, exclude: Iterable[str] = ()) -> list[str]:
    """Return the paths below a folder, but for those that match a pattern."""
    left_out = (*ALWAYS_LEFT_OUT, *OF_A_RUN, *exclude)
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return [path for path in paths if not any(fnmatch(path, pattern) for pattern in left_out)]


def scan(folder: Path, paths: Iterable[str]) -> list[Finding]:
    """Return what must not be published, at most one finding for each file."""
    return [Finding(path, reason) for path in paths if (reason := _reason(folder, path))]


def _reason(folder: Path, path: str) -> str | None:
    file, name = folder / path, path.rsplit("/", 1)[-1]
    if file.is_symlink() and not file.resolve().is_relative_to(folder.resolve()):
        return "a link to a file outside of the directory"
    if stray := next((what for pattern, what in STRAY.items() if fnmatch(path, pattern)), None):
        return stray
    if any(fnmatch(name, pattern) for pattern in SECRET_FILES):
        return "a file for secrets"
    if name.endswith(PICKLES) or _is_pickle(file):
        return "a pickle, which can run code when it is loaded"
    if name.endswith(WEIGHTS):
        return None
    content = file.read_bytes()
    return next((f"it holds {what}" for what, pattern in SECRETS.items() if re.search(pattern, content)), None)


def _is_pickle(file: Path) -> bool:
    """Tell a pickle by its bytes: protocol 2 to 5 at the start and the stop code at the end, alone or in a zip."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            return any(name.endswith(".pkl") for name in archive.namelist())
    with file.open("rb") as opened:
        start = opened.read(2)
        if len(start) < 2 or start[0] != 0x80 or not 2 <= start[1] <= 5:
            return False
        opened.seek(-1, 2)
        return opened.read(1) == b"."
