"""Every verb that writes, as the matrix of faults calls it: what it reads, what it makes, and how it is run."""

import contextlib
import ctypes
import os
import signal
import struct
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import BertConfig, BertForMaskedLM, BertTokenizer

from hf_embeddings import TriEmbedConfig, TriEmbedForPreTraining
from hf_embeddings.cli import main as command
from hf_embeddings.cli.plot import PICTURES

SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog", "the", "runs", "sleeps", *"abcdefghij", "."]
EVERYTHING = {*command.VERBS, *(f"plot {name}" for name in PICTURES)}
READERS = {"inspect", "search", "serve", "verify"}  # they write nothing
# Verbs that keep the state of long work between their starts; their laws stand with the rest of what they keep.
ELSEWHERE = {
    "pretrain": "tests/faults/test_kills.py",
    "position-lab": "tests/cli/test_position_lab.py",
    "plot training": "tests/cli/test_plot.py",
    "publish": "tests/hub/test_publish.py",
    "prepare": "tests/faults/test_prepare.py",
    "index": "tests/search/test_build.py",
    "remove": "tests/search/test_build.py",
}


@dataclass(frozen=True)
class Verb:
    """How to call a verb; `{out}` is what it makes, `{in}` the directory of what it reads."""

    arguments: str
    makes: str  # a directory, replaced as a whole; or files, each of them replaced
    overwrite: bool = False  # asks before it replaces
    slow: bool = False  # some seconds a call: for `make faults`

    def line(self, inputs: Path, out: str | Path, *, source: str | Path | None = None) -> list[str]:
        """Return the arguments of a call that may replace what is there."""
        text = self.arguments + (" --overwrite" if self.overwrite else "")
        line = [part.replace("{out}", str(out)).replace("{in}", str(inputs)) for part in text.split(" ")]
        return [str(source) if part == self.source(inputs) else part for part in line] if source else line

    def source(self, inputs: Path) -> str:
        """Return the path of the model that is read."""
        return next(part for part in self.arguments.replace("{in}", str(inputs)).split(" ") if part[:1] == "/")


VERBS = {
    "convert": Verb("convert {in}/bert {out}", "directory", overwrite=True),
    "reposition": Verb("reposition {in}/ours {out} --to rope", "directory", overwrite=True),
    "vocabulary": Verb("vocabulary add {in}/ours {out} --token tiger", "directory", overwrite=True),
    "export": Verb("export {in}/ours {out}/model.onnx", "files", overwrite=True, slow=True),
    "example": Verb("example translations {out}", "files"),
    "evaluate": Verb(
        "evaluate {in}/ours --text {in}/texts.txt --sentences 20 --plot {out}/picture.png", "files", slow=True
    ),
    "positions": Verb("positions {in}/ours --length 8 --plot {out}", "files", slow=True),
    "plot words": Verb("plot words {in}/ours cat dog the runs --out {out}/w --export parquet", "files", slow=True),
    "plot positions": Verb("plot positions {in}/ours --length 8 --out {out}", "files", slow=True),
    "plot sum": Verb("plot sum {in}/ours cat --out {out}/s", "files"),
    "plot attention": Verb("plot attention {in}/ours cat --out {out}/a", "files", slow=True),
}


def write_inputs(folder: Path) -> Path:
    """Write what the verbs read: `bert`, `ours` and `texts.txt`."""
    torch.manual_seed(0)
    tokenizer = BertTokenizer(vocab={word: row for row, word in enumerate(WORDS)})
    sizes = {**SIZES, "vocab_size": len(WORDS), "max_position_embeddings": 16}
    TriEmbedForPreTraining(TriEmbedConfig(**sizes)).save_pretrained(folder / "ours")
    BertForMaskedLM(BertConfig(**sizes)).save_pretrained(folder / "bert")
    for name in ("ours", "bert"):
        tokenizer.save_pretrained(folder / name)
    sentences = [f"The {a} {b} the {c} of {number}." for number in range(5) for a, b, c in ("abc", "def", "ghi", "jab")]
    (folder / "texts.txt").write_text("\n\n".join(sentences), encoding="utf-8")
    return folder


@dataclass
class Ended:
    """How a call ended."""

    code: int  # of the process; negative where a signal ended it
    said: str  # on both of its outputs

    @property
    def is_one_line(self) -> bool:
        """Whether a mistake was told as one."""
        last = self.said.strip().splitlines()[-1:]
        return self.code == 2 and "Traceback" not in self.said and bool(last) and last[0].startswith("error: ")


class Call:
    """A verb in a process of its own, forked from this one, which has imported everything."""

    def __init__(self, line: list[str], *, cwd: Path, before: Callable[[], object] = lambda: None) -> None:
        self._pipe, told = os.pipe()
        sys.stdout.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads: none of them holds a lock that the child needs
            self.process = os.fork()
        if self.process == 0:
            code = 1
            try:
                os.dup2(told, 1), os.dup2(told, 2)
                sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
                os.chdir(cwd)
                os.environ["HOME"] = str(cwd / "home")
                code = _run(line, before)
            finally:
                for stream in (sys.stdout, sys.stderr):
                    with contextlib.suppress(OSError, ValueError):
                        stream.flush()
                os._exit(code)
        os.close(told)

    def end(self) -> Ended:
        """Wait for it."""
        with os.fdopen(self._pipe, encoding="utf-8", errors="replace") as told:
            said = told.read()
        return Ended(os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1]), said)


def _run(line: list[str], before: Callable[[], object]) -> int:
    import traceback

    sys.argv = ["hf-embeddings", *line]
    after = before()
    try:
        command.main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    else:
        code = 0
    if callable(after):
        sys.stdout.flush()
        after()
    return code


def read_all(folder: Path) -> dict[str, bytes]:
    """Return the files below a directory."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def limit_files(size: int) -> Callable[[], object]:
    """Return a hook: no file grows beyond a size, as on a disk that is full."""

    def limit() -> None:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def obey_modes() -> None:
    """Take from root the right to write where the modes of files and directories forbid it."""
    if os.geteuid() == 0:
        header, none = ctypes.create_string_buffer(struct.pack("=II", 0x20080522, 0)), bytes(24)
        if ctypes.CDLL(None, use_errno=True).capset(header, ctypes.create_string_buffer(none)):
            raise OSError(ctypes.get_errno(), "capset")
