"""Whatever reads a user's value, under damage: it is read, or refused in one line, in bounded memory and time.

About 50 mutations for each reader in `make test`, 10,000 in `make faults`.
"""

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil
import pytest

from hf_embeddings.cli.main import main
from hf_embeddings.search.records import Condition
from tests.conversion.mutations import json_mutations, mutations, read_mutations, write_anew
from tests.readers import READERS

FEW, FULL = 50, 10_000
SLOWEST = 2.0  # seconds of CPU time for one input
PATIENCE = 20  # seconds until a reader is taken to wait for a pipe
MOST_BYTES = 512 << 20  # that reading may add to the memory of the process
OURS = (ValueError, OSError)


@pytest.fixture
def survives(times, figures) -> Callable[..., None]:
    """Return a check of a reader, which also writes the figures."""

    def check(what: str, inputs: Callable[[int], Iterable[bytes]], read: Callable[[bytes], object]) -> None:
        memory, count = psutil.Process().memory_info().rss, times(FEW, FULL)
        outcomes, longest = read_mutations(inputs(count), read, OURS, slowest=SLOWEST)
        assert outcomes["read"] + outcomes["refused"] == count
        grown = psutil.Process().memory_info().rss - memory
        assert grown < MOST_BYTES
        figures(
            f"F40 mutations of {what}", mutations=count, **outcomes, other_errors=0, slowest_ms=round(1000 * longest)
        )

    return check


def of_bytes(data: bytes) -> Callable[[int], Iterable[bytes]]:
    """Return what makes mutations of bytes."""
    return lambda count: mutations(data, count)


@pytest.mark.parametrize("name", READERS)
def test_f40_files(name: str, tmp_path: Path, survives) -> None:
    reader = READERS[name](tmp_path)
    reader.read()
    inputs = (lambda count: json_mutations(reader.mutated, count)) if reader.mutated else None

    def read(data: bytes) -> None:
        write_anew(reader.path, data)
        reader.read()

    survives(name, inputs or of_bytes(reader.path.read_bytes()), read)


def test_f40_conditions(survives) -> None:
    def read(data: bytes) -> None:
        condition = Condition.parse(data.decode("utf-8", "surrogateescape"))
        for value in (None, 2020, 2**70, 1.5, "text", [1, {"a": None}], True):
            condition.holds({condition.field: value})

    survives("a condition", of_bytes(b"year>=2020.5"), read)


ARGUMENTS = {
    "search": ["index", "a query", "-k", "3", "--where", "year>=2000", "--precision", "fp32"],
    "index": ["texts.jsonl", "index", "--model", "model", "--id-field", "id", "--precision", "int8"],
    "reposition": [
        "model",
        "other",
        "--to",
        "rope",
        "--rope-parameters",
        '{"rope_theta": 9}',
        "--learning-rate",
        "1e-4",
    ],
    "vocabulary": ["add", "model", "other", "--token", "word", "--rank", "4"],
    "prepare": ["options.yaml", "corpus", "training.max_steps=3", "--processes", "1"],
    "publish": ["model", "me/model", "--include", "*.txt", "--card", "local", "--dry-run"],
    "evaluate": ["model", "--similarity", "pairs.tsv", "--k", "3", "--json"],
}


@pytest.mark.parametrize("verb", ARGUMENTS)
def test_f40_arguments(verb: str, tmp_path: Path, monkeypatch, survives) -> None:
    monkeypatch.chdir(tmp_path)

    def read(data: bytes) -> None:
        words = data.decode("utf-8", "surrogateescape").split("\0")
        monkeypatch.setattr("sys.argv", ["hf-embeddings", verb, *words])
        with contextlib.redirect_stderr(None), contextlib.redirect_stdout(None):
            try:
                main()  # the files are not there
            except SystemExit as left:
                if left.code == 2:  # and not 0, of --help
                    raise ValueError("refused") from None
                assert not left.code, left.code

    survives(f"the arguments of {verb}", of_bytes("\0".join(ARGUMENTS[verb]).encode()), read)


@contextlib.contextmanager
def no_waiting(what: str) -> Iterator[None]:
    """Fail where the block takes longer than `PATIENCE`, as where it waits for the writer of a pipe."""

    def stop(*_: object) -> None:
        raise AssertionError(f"{what}: waits")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def listening(path: Path) -> None:
    """Make a socket."""
    folder = os.open(path.parent, os.O_RDONLY)  # the name of a socket may have a hundred characters
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


NO_FILES: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo if hasattr(os, "mkfifo") else lambda path: None,
    "a socket": listening,
    "a directory": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
}
ODD_FILES: dict[str, bytes] = {
    "nothing in it": b"",
    "UTF-16": '{"a": "b"}'.encode("utf-16"),
    "a million brackets": b"[" * 1_000_000,
    "a million braces": b'{"a":' * 1_000_000,
    "a long number": b"9" * 100_000,
    "NULs": b"\0" * 1000,
    "a pointer of git-lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
}


@pytest.mark.skipif(os.name == "nt", reason="no pipes, sockets and devices in folders")
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_is_refused_in_one_line_and_never_waited_for(name: str, tmp_path: Path) -> None:
    reader = READERS[name](tmp_path)
    for what, make in NO_FILES.items():
        reader.path.unlink(missing_ok=True)
        make(reader.path)
        with no_waiting(f"{name}, {what}"):
            assert_refused(reader.read, what, unless=reader.optional)
        reader.path.rmdir() if reader.path.is_dir() else reader.path.unlink()


@pytest.mark.parametrize("name", READERS)
def test_odd_files_are_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    reader = READERS[name](tmp_path)
    for what, content in ODD_FILES.items():
        write_anew(reader.path, content)
        assert_refused(reader.read, what, unless=True)


def assert_refused(read: Callable[[], object], what: str, *, unless: bool) -> None:
    """Check that a reader refuses a file in a line of its own; or, where it may, that it reads it."""
    try:
        read()
    except OURS as error:
        assert str(error) and "\n" not in str(error), what
    except BaseException as error:
        raise AssertionError(f"{what}: {error!r}") from error
    else:
        assert unless, f"{what}: was read"


def test_aliases_of_yaml_do_not_stand_for_a_value_without_end(tmp_path: Path) -> None:
    """A few lines, each ten times the one before it: whoever walks through the value never ends."""
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    for name in ("the options beside a card", "a model card", "a published citation"):
        (tmp_path / name).mkdir()
        reader = READERS[name](tmp_path / name)
        write_anew(reader.path, (f"---\n{bomb}---\n" if reader.path.suffix == ".md" else bomb).encode())
        with no_waiting(name), pytest.raises(OURS):
            reader.read()


def test_what_is_nested_deeper_than_any_value_is_refused_before_something_walks_through_it(tmp_path: Path) -> None:
    deep = b'{"text": "a", "a": ' + b"[" * 400 + b"]" * 400 + b"}"
    for name in ("a corpus of JSON lines", "the figures of a run", "a published config", "config.json of an index"):
        (tmp_path / name).mkdir()
        reader = READERS[name](tmp_path / name)
        write_anew(reader.path, deep)
        with pytest.raises(ValueError, match="nested brackets|refused"):
            reader.read()
