"""Every verb that writes, under every fault: what was there is intact or the new is whole, and a rerun succeeds."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.system_calls import POSSIBLE, summon, tell
from tests.faults.writing_verbs import (
    ELSEWHERE,
    EVERYTHING,
    READERS,
    VERBS,
    Call,
    Ended,
    Verb,
    limit_files,
    obey_modes,
    read_all,
    write_inputs,
)
from tests.structure import ROOT

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="forks, and judges system calls of Linux on x86-64")
VOLATILE = {"repositioning.json", "vocabulary.json", "origin.json", "README.md", "model.onnx"}  # they name seconds
each_verb = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.faults) if verb.slow else name for name, verb in VERBS.items()]
)
each_directory = pytest.mark.parametrize("name", [name for name, verb in VERBS.items() if verb.makes == "directory"])


class Place:
    """A directory of a user's: what is read in `inputs`, what is made in `work/out`, and a thesis beside it."""

    def __init__(self, inputs: Path, folder: Path, verb: Verb) -> None:
        self.inputs, self.folder, self.verb = inputs, folder, verb
        self.work = folder / "work"
        self.out = self.work / "out"
        (self.work / "thesis").mkdir(parents=True)
        (self.work / "thesis/thesis.tex").write_text("mine")

    def call(self, before: Callable[[], object] = lambda: None, **given: str | Path) -> Call:
        return Call(self.verb.line(self.inputs, given.pop("out", self.out), **given), cwd=self.folder, before=before)

    def fill(self) -> dict[str, bytes]:
        """Make it once, undisturbed; then let it be an older one, of other words."""
        ended = self.call().end()
        assert ended.code == 0, ended.said
        new = read_all(self.out)
        for name in new:
            (self.out / name).write_bytes(b"old " + name.encode())
        assert new
        return new

    def is_old(self) -> bool:
        found = read_all(self.out)
        return bool(found) and all(content == b"old " + name.encode() for name, content in found.items())

    def check(self, new: dict[str, bytes]) -> None:
        """What is there is the old or the new: of a directory as a whole, of files each for itself."""
        found = read_all(self.out)
        own = {name: content for name, content in found.items() if not self.is_leftover(name)}
        assert own.keys() == new.keys()
        kinds = {self.kind(name, content, new[name]) for name, content in own.items()}
        assert "damaged" not in kinds and (self.verb.makes == "files" or len(kinds) == 1), kinds
        self.check_others()

    def is_leftover(self, name: str) -> bool:
        return self.verb.makes == "files" and ".staged" in name

    def kind(self, name: str, content: bytes, new: bytes) -> str:
        if content == b"old " + name.encode():
            return "old"
        volatile = name in VOLATILE and len(content) > len(new) * 0.9
        return "new" if content == new or volatile else "damaged"

    def check_others(self) -> None:
        assert (self.work / "thesis/thesis.tex").read_text() == "mine"

    def check_tidy(self) -> None:
        """Nothing of ours is left beside."""
        assert sorted(path.name for path in self.work.iterdir()) == ["out", "thesis"]
        assert not [name for name in read_all(self.out) if ".staged" in name]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def place(name: str, inputs: Path, tmp_path: Path) -> Place:
    own = tmp_path / "inputs"
    shutil.copytree(inputs, own)
    return Place(own, tmp_path, VERBS[name])


def test_every_verb_is_in_the_matrix() -> None:
    assert EVERYTHING == VERBS.keys() | READERS | ELSEWHERE.keys()
    assert all((ROOT / file).is_file() for file in ELSEWHERE.values())


@each_verb
def test_killed_at_a_call_that_changes_a_file(name: str, place: Place, times, figures) -> None:
    new = place.fill()
    calls = count_calls(place)
    kills = [calls * number // times(2, 60) for number in range(times(2, 60))] if calls > times(2, 60) else range(calls)
    for number in (*kills, calls - 1):
        ended = place.call(before=lambda number=number: judged(place.work, number)).end()
        assert ended.code == -9, ended.said
        place.check(new)
    ended = place.call().end()
    assert ended.code == 0, ended.said
    place.check(new)
    place.check_tidy()
    figures(f"SIGKILL of {name} at calls that change a file", calls=calls, kills=len(kills) + 1)


def judged(folder: Path, number: int | None) -> Callable[[], None]:
    judge = summon(str(folder), number)
    tell(judge, "begin")
    return lambda: tell(judge, "end")


def count_calls(place: Place) -> int:
    ended = place.call(before=lambda: judged(place.work, None)).end()
    assert ended.code == 0, ended.said
    calls = sum(json.loads(ended.said.rsplit("calls ", 1)[1].splitlines()[0]).values())
    for path in place.out.rglob("*"):
        if path.is_file():
            path.write_bytes(b"old " + path.relative_to(place.out).as_posix().encode())
    return calls


@each_verb
def test_a_full_disk(name: str, place: Place, times) -> None:
    new = place.fill()
    largest = max(map(len, new.values()))
    for size in dict.fromkeys((1, largest - 1, *(largest * part // times(1, 12) for part in range(1, times(1, 12))))):
        ended = place.call(before=limit_files(size)).end()
        assert ended.is_one_line, ended.said
        place.check(new)
        place.check_tidy()
    assert place.call().end().code == 0
    place.check(new)


@each_verb
def test_run_twice_at_once(name: str, place: Place) -> None:
    new = place.fill()
    both: list[Ended] = [call.end() for call in [place.call(), place.call()]]
    assert any(ended.code == 0 for ended in both), both
    assert all(ended.code == 0 or ended.is_one_line for ended in both), both
    place.check(new)
    place.check_tidy()


@each_directory
def test_the_source_inside_the_target_is_refused_before_anything_is_changed(name: str, place: Place) -> None:
    source = place.out / "model"
    shutil.copytree(place.verb.source(place.inputs), source)
    before = read_all(place.out)
    ended = place.call(source=source).end()
    assert ended.is_one_line and "lies in" in ended.said and read_all(place.out) == before
    place.check_tidy()


@each_directory
def test_the_target_inside_the_source_leaves_the_source_as_it_is(name: str, place: Place) -> None:
    source = Path(place.verb.source(place.inputs))
    before = read_all(source)
    ended = place.call(out=source / "made").end()
    assert ended.code == 0 or ended.is_one_line, ended.said
    assert {path: content for path, content in read_all(source).items() if not path.startswith("made/")} == before


@each_verb
def test_a_link_at_the_target_is_never_followed_to_replace_what_is_there(name: str, place: Place) -> None:
    new = place.fill()
    others = place.folder / "others"
    place.out.rename(others)
    if place.verb.makes == "directory":
        place.out.symlink_to(others)
    else:  # each file is a link
        for path in new:
            (place.out / path).parent.mkdir(parents=True, exist_ok=True)
            (place.out / path).symlink_to(others / path)
    before = read_all(others)
    ended = place.call().end()
    assert ended.code == 0 or ended.is_one_line, ended.said
    assert read_all(others) == before


@each_directory
def test_a_folder_of_somebody_elses_under_the_name_of_the_work_stays(name: str, place: Place) -> None:
    others = place.work / ".out.staged"
    others.mkdir()
    (others / "thesis.tex").write_text("mine")
    ended = place.call().end()
    assert ended.is_one_line and read_all(others) == {"thesis.tex": b"mine"} and not place.out.exists()


@each_verb
def test_a_tilde_makes_no_directory_of_that_name(name: str, place: Place) -> None:
    ended = place.call(out="~/out").end()
    assert not (place.folder / "~").exists()
    assert ended.is_one_line or (ended.code == 0 and (place.folder / "home/out").is_dir()), ended.said


@each_verb
def test_a_read_only_target(name: str, place: Place) -> None:
    new = place.fill()
    for folder in (place.out, place.work):
        folder.chmod(0o555)
    try:
        ended = place.call(before=obey_modes).end()
    finally:
        for folder in (place.out, place.work):
            folder.chmod(0o755)
    assert ended.is_one_line and place.is_old(), ended.said
    place.check(new)
    place.check_tidy()
