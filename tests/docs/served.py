"""The servers that pages start: each runs while its page is followed, on a free port instead of the one printed."""

import os
import shlex
import subprocess
import sys

from tests.docs.pages import ROOT

PRINTED = "127.0.0.1:8765"


class Servers:
    """`with Servers() as servers:` the last one that was started runs until the next, or the end of the block."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.address = PRINTED

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process:
            self.process.terminate()
            self.process.communicate()

    def start(self, command: str) -> None:
        """Start the server of a command, and wait until it says where it is."""
        self.__exit__()
        line = [sys.executable, "-m", "hf_embeddings", *shlex.split(command)[1:], "--port", "0"]
        environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None, "as asked for"
        first = self.process.stdout.readline()
        assert " at http://127.0.0.1:" in first, f"{command} said {first!r}"
        self.address = first.split(" at http://")[1].split("/")[0]

    def here(self, text: str) -> str:
        """Return the text of a block with the address that the server has here."""
        return text.replace(PRINTED, self.address)


def run_curl(command: str) -> None:
    """Run curl as a page prints it; any answer but of success fails."""
    done = subprocess.run([*shlex.split(command), "--fail-with-body"], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    print(done.stdout)
