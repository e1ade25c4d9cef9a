"""Every verb that writes, in odd surroundings: it does its work, or tells in one line what keeps it from it."""

import errno
import os
import resource
import tempfile

import pytest

from tests.faults.calls import Hook, judged, obey_modes
from tests.faults.columns import column
from tests.faults.place import Place
from tests.faults.system_calls import LET, POSSIBLE, Fate
from tests.faults.test_matrix import spread

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="forks, and judges system calls of Linux on x86-64")
ERRORS = (errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES)


def failing_from(place: int, error: int) -> Fate:
    """Let each call fail from this one on, those that remove something, too: nothing can be put in order."""
    return lambda number, name, path: error if number >= place and name != "end" else LET


def closed(*streams: int) -> Hook:
    """Return a hook that closes streams, as `>&-` does."""

    def close() -> None:
        for stream in streams:
            os.close(stream)

    return close


def full_stdout() -> None:
    """Lead what is printed onto a full disk."""
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def without_home() -> None:
    """Take the home directory away, and that of temporary files."""
    del os.environ["HOME"]
    os.environ["TMPDIR"], tempfile.tempdir = "/nonexistent", None


def few_files(number: int) -> Hook:
    """Return a hook that lets so many more files be open at once."""

    def limit() -> None:
        last = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (last + number, last + number))

    return limit


SURROUNDINGS: dict[str, Hook] = {
    "stdin and stdout closed": closed(0, 1),
    "stdout full": full_stdout,
    "no home, no directory of temporary files": without_home,
    "two more open files": few_files(2),
    "eight more open files": few_files(8),
}


@pytest.mark.faults
@column("errors")
def test_an_error_of_the_system_is_told_and_the_next_run_finishes(name: str, place: Place, times, figures) -> None:
    new = place.fill()
    calls = place.count_calls()
    places = spread(times(1, 8), calls)
    for error in ERRORS[: times(2, len(ERRORS))]:
        for at in places:
            ended = place.run(judged(place.work, failing_from(at, error)))
            assert ended.is_one_line or (ended.code == 0 and place.verb.read(place.out) == new), ended.said
            place.check(new)
    place.finish(new)
    figures(
        f"quota, read-only, defect and forbidden disk under {name}", calls=calls, errors=4, from_each_of=len(places)
    )


@column("surroundings")
def test_odd_surroundings(name: str, place: Place) -> None:
    new = place.fill()
    for words, hook in SURROUNDINGS.items():
        ended = place.run(hook)
        if words.endswith("open files"):  # where even to remove something takes one: the next run does it
            assert ended.is_one_line or (ended.code == 0 and place.verb.read(place.out) == new), ended.said
            place.check(new)
        else:
            place.check_told(ended, new)
        place.restore()
    place.finish(new)


@column("unreadable")
def test_a_source_that_must_not_be_read(name: str, place: Place) -> None:
    place.fill()
    if not place.verb.source:
        return
    files = [path for path in (place.source, *place.source.rglob("*")) if path.is_file()]
    for path in files:
        path.chmod(0)
    ended = place.run(obey_modes)
    assert ended.is_one_line and ended.code == 2 and place.is_old(), ended.said
    place.check_tidy()


@column("long_name")
def test_a_name_too_long_for_the_disk(name: str, place: Place) -> None:
    place.fill()
    for length in (256, 250):  # the name itself; and that of the work beside it
        ended = place.run(out=place.work / ("n" * length))
        assert ended.is_one_line or (length == 250 and ended.code == 0), ended.said
        assert place.is_old()
