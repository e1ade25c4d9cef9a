"""The command in odd surroundings, with streams closed, full or unread: it works, or says in one line what is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="what a shell of Linux does with streams")
# A verb that prints, and that opens a file and prints again: without the care, into that file.
PROGRAM = """
import sys
from hf_embeddings.cli import main
def verb(**options):
    print("begun")
    with open(sys.argv[1], "wb") as file:
        print("in between", flush=True)
        file.write(b"mine")
    print("told", file=sys.stderr)
    print("done")
    sys.exit(0)
main.app = verb
main.main()
"""


def run(place: Path, redirect: str) -> tuple[int, str, str]:
    words = f'"$0" -c "$1" "$2" {redirect}'
    ended = subprocess.run(
        ["sh", "-c", words, sys.executable, PROGRAM, str(place)], capture_output=True, text=True, check=False
    )
    assert place.read_bytes() == b"mine"
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize("redirect", [">&-", "<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_fault_and_no_file_takes_its_place(tmp_path: Path, redirect: str) -> None:
    code, _, said = run(tmp_path / "file", redirect)
    assert code == 0 and said.strip() in ("told", "")


def test_a_working_directory_that_is_gone_is_told_in_one_line(tmp_path: Path) -> None:
    program = "from hf_embeddings.cli.main import main; main()"
    words = 'mkdir gone && cd gone && rmdir ../gone && "$0" -c "$1" --version'
    ended = subprocess.run(
        ["sh", "-c", words, sys.executable, program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2 and ended.stderr.startswith("error: the working directory is gone"), ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_what_cannot_be_printed_is_told_in_one_line() -> None:
    program = "from hf_embeddings.cli.main import main; main()"
    ended = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" --version > /dev/full', sys.executable, program],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 2 and ended.stderr.startswith("error: ") and "No space left" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_an_answer_that_nobody_reads_any_more_is_no_traceback() -> None:
    program = "from hf_embeddings.cli.main import main; main()"
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as unread:
        ended = subprocess.run(
            [sys.executable, "-c", program, "--version"], stdout=unread, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (ended.returncode, ended.stderr) == (1, "")
