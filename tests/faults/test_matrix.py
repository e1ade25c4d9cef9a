"""Every verb that writes, under every fault: what was there is intact or the new is whole, and a rerun succeeds."""

import shutil
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hf_embeddings.cli import main as command
from hf_embeddings.files.lock import LOCK_FILES
from hf_embeddings.files.ownership import MARK
from tests.faults.calls import Call, Ended, Hook, judged, limit_files, obey_modes
from tests.faults.system_calls import POSSIBLE, disk_full_from, kill_at, no_directory_fsync, no_fault
from tests.faults.writing_verbs import EVERYTHING, READERS, VERBS, Result, Verb, read_all, write_inputs

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="forks, and judges system calls of Linux on x86-64")
COLUMNS: list[str] = []
ABSENT = object()


def column(title: str) -> pytest.MarkDecorator:
    """Return the rows of a column of the matrix: all verbs; one for which it means nothing is skipped, and says why."""
    COLUMNS.append(title)

    def row(name: str, verb: Verb) -> object:
        marks = [pytest.mark.faults] if verb.slow else []
        if title in verb.without:
            marks.append(pytest.mark.skip(reason=f"{title} means nothing for {name}: {verb.without[title]}"))
        return pytest.param(name, marks=marks)

    return pytest.mark.parametrize("name", [row(name, verb) for name, verb in VERBS.items()])


class Place:
    """A directory of a user's: what is read in `inputs`, what is made in `work/out`, and a thesis beside it."""

    def __init__(self, inputs: Path, folder: Path, verb: Verb) -> None:
        self.inputs, self.folder, self.verb = inputs, folder, verb
        self.work = folder / "work"
        self.out = self.work / "out"
        self.old: Result = {}
        self.largest = 0  # bytes of a file
        (self.work / "thesis").mkdir(parents=True)
        (self.work / "thesis/thesis.tex").write_text("mine")

    @property
    def source(self) -> Path:
        """The directory that is read."""
        return Path(self.verb.source.replace("{in}", str(self.inputs)))

    def call(self, before: Hook = lambda: None, *, out: str | Path = "", source: Path | None = None) -> Call:
        """Start the verb; `before` comes last of what is done before."""

        def prepare() -> object:
            self.verb.setup()
            return before()

        return Call(self.verb.line(self.inputs, out or self.out, source=source), cwd=self.folder, before=prepare)

    def run(self, before: Hook = lambda: None, **given: str | Path) -> Ended:
        """Run the verb to its end, whatever that is."""
        return self.call(before, **given).end()

    def fill(self) -> Result:
        """Make it once, undisturbed; then let an older one, or what else belongs there, be in its place again."""
        if self.verb.before is not None:
            self.stand()
            self.keep()
        ended = self.run()
        assert ended.code == 0, ended.said
        new, self.largest = self.verb.read(self.out), max(map(len, read_all(self.out).values()))
        assert new
        if self.verb.before is None:
            for name in read_all(self.out):
                (self.out / name).write_bytes(b"old " + name.encode())
            self.keep()
        self.restore()
        assert self.old != new
        return new

    def stand(self, out: Path | None = None) -> None:
        """Put there what the verb expects to be there."""
        out = out or self.out
        for text in self.verb.before or ():
            line = text.replace("{in}", str(self.inputs)).replace("{out}", str(out)).split(" ")
            if line[0] == "copy":
                shutil.copytree(line[1], line[2])
            else:
                ended = Call(line, cwd=self.folder, before=self.verb.setup).end()
                assert ended.code == 0, ended.said

    def keep(self) -> None:
        """Remember what is there as the old."""
        self.old = self.verb.read(self.out)
        if self.out.exists():
            shutil.copytree(self.out, self.folder / "old")

    def restore(self) -> None:
        """Let the old be there again."""
        shutil.rmtree(self.out, ignore_errors=True)
        if (self.folder / "old").exists():
            shutil.copytree(self.folder / "old", self.out)

    def is_old(self) -> bool:
        """Tell whether each file is the old one."""
        return read_all(self.out) == read_all(self.folder / "old")

    def count_calls(self) -> int:
        """Return how many system calls of the verb change a file, when the old is there."""
        ended = self.run(judged(self.work, no_fault))
        assert ended.code == 0, ended.said
        self.restore()
        return ended.calls

    def check(self, new: Result) -> None:
        """What is there is the old or the new: of a directory as a whole, of files each for itself."""
        found = {name: value for name, value in self.verb.read(self.out).items() if ".staged" not in name}
        kinds = {name: self.kinds(name, found, new) for name in {*self.old, *new, *found}}
        if self.verb.makes == "files":
            assert all(kinds.values()), kinds
        elif self.verb.makes == "directory":
            assert set.intersection(*kinds.values()), kinds
        assert (self.work / "thesis/thesis.tex").read_text() == "mine"

    def kinds(self, name: str, found: Result, new: Result) -> set[str]:
        value = found.get(name, ABSENT)
        return {kind for kind, all_ in (("old", self.old), ("new", new)) if all_.get(name, ABSENT) == value}

    def check_told(self, ended: Ended, new: Result) -> None:
        """What could not be done is told in a line and leaves the old, and nothing beside it."""
        assert ended.is_one_line or (ended.code == 0 and self.verb.read(self.out) == new), ended.said
        self.check(new)
        if not self.verb.kept:
            self.check_tidy()

    def finish(self, new: Result) -> None:
        """Run it again: it does what it would have done."""
        ended = self.run()
        assert ended.code == 0, ended.said
        assert self.verb.read(self.out) == new
        self.check(new)
        self.check_tidy()

    def check_tidy(self) -> None:
        """Nothing of ours is left beside."""
        assert {path.name for path in self.work.iterdir()} <= {"out", "thesis"}
        names = [Path(name).name for name in read_all(self.out)]
        assert not [name for name in names if ".staged" in name or name in (MARK, *LOCK_FILES)]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    CliRunner().invoke(command.app, ["verify", "nothing"])  # Typer imports at its first call
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def place(name: str, inputs: Path, tmp_path: Path) -> Place:
    own = tmp_path / "inputs"
    shutil.copytree(inputs, own)
    for module in VERBS[name].imports.split():
        import_module(module)
    return Place(own, tmp_path, VERBS[name])


def spread(number: int, over: int) -> list[int]:
    """Return so many numbers below another, evenly spread, with the first and the last."""
    return sorted({*(over * part // number for part in range(number)), over - 1})


def test_every_verb_is_in_the_matrix() -> None:
    assert {name.partition(",")[0] for name in VERBS} == EVERYTHING - READERS


def test_an_exception_names_its_column_and_says_why() -> None:
    assert all(title in COLUMNS and why for verb in VERBS.values() for title, why in verb.without.items())


@column("killed")
def test_killed_at_a_call_that_changes_a_file(name: str, place: Place, times, figures) -> None:
    new = place.fill()
    calls = place.count_calls()
    kills = spread(times(2, 60), calls)
    for turn, number in enumerate(kills):
        ended = place.run(judged(place.work, kill_at(number)))
        assert ended.code == -9, ended.said
        place.check(new)
        if turn % 2 or number == kills[-1]:  # else the next one finds what this one left
            place.finish(new)
            place.restore()
    figures(f"SIGKILL of {name} at calls that change a file", calls=calls, kills=len(kills))


@column("disk_full")
def test_a_full_disk(name: str, place: Place, times, figures) -> None:
    new = place.fill()
    calls = place.count_calls()
    sizes = spread(times(1, 12), place.largest)
    places = spread(times(1, 30), calls)
    for fault in [limit_files(size) for size in sizes] + [judged(place.work, disk_full_from(at)) for at in places]:
        ended = place.run(fault)
        place.check_told(ended, new)
        if ended.code == 0:
            place.restore()
    place.finish(new)
    figures(f"a full disk under {name}", calls=calls, full_from=len(places), limits=len(sizes))


@column("twice")
def test_run_twice_at_once(name: str, place: Place) -> None:
    new = place.fill()
    both: list[Ended] = [call.end() for call in [place.call(), place.call()]]
    assert any(ended.code == 0 for ended in both), both
    assert all(ended.code == 0 or ended.is_one_line for ended in both), both
    assert place.verb.read(place.out) == new
    place.check(new)
    place.check_tidy()


@column("source_in_target")
def test_a_source_inside_the_target_stays(name: str, place: Place) -> None:
    place.stand()
    source = place.out / "source"
    shutil.copytree(place.source, source)
    before, read = read_all(place.out), read_all(source)
    ended = place.run(source=source)
    assert read_all(source) == read and (ended.code == 0 or ended.is_one_line), ended.said
    assert ended.code == 0 or read_all(place.out) == before, ended.said
    place.check_tidy()


@column("target_in_source")
def test_the_target_inside_the_source_leaves_the_source_as_it_is(name: str, place: Place) -> None:
    before, target = read_all(place.source), place.source / "made"
    place.stand(target)
    ended = place.run(out=target)
    assert ended.code == 0 or ended.is_one_line, ended.said
    assert {path: text for path, text in read_all(place.source).items() if not path.startswith("made/")} == before


@column("link")
def test_a_link_at_the_target_is_never_followed_to_replace_what_is_there(name: str, place: Place) -> None:
    new = place.fill()
    others = place.folder / "others"
    if place.out.exists():
        place.out.rename(others)
    others.mkdir(exist_ok=True)
    if place.verb.makes == "files" and place.old:  # each file is a link
        for path in new:
            (place.out / path).parent.mkdir(parents=True, exist_ok=True)
            (place.out / path).symlink_to(others / path)
    else:
        place.out.symlink_to(others)
    before = read_all(others)
    ended = place.run()
    assert ended.code == 0 or ended.is_one_line, ended.said
    assert read_all(others).items() >= before.items()


@column("others_folder")
def test_a_folder_of_somebody_elses_under_the_name_of_the_work_stays(name: str, place: Place) -> None:
    new = place.fill()
    beside = [place.work / title for title in place.verb.work]
    inside = [(place.out / path).with_name(f".{Path(path).name}.staged") for path in read_all(place.out)]
    for others in beside if place.verb.makes == "directory" else inside:
        others.mkdir()
        (others / "thesis.tex").write_text("mine")
        ended = place.run()
        assert ended.is_one_line or place.verb.read(place.out).items() >= new.items(), ended.said
        assert read_all(others) == {"thesis.tex": b"mine"}
        shutil.rmtree(others)
        place.check(new)
        place.check_tidy()
        place.restore()


@column("no_fsync")
def test_a_file_system_without_fsync_of_directories_is_told_once(name: str, place: Place) -> None:
    new = place.fill()
    ended = place.run(judged(place.work, no_directory_fsync))
    assert ended.code == 0 and ended.said.count("no fsync of directories") <= 1, ended.said
    assert place.verb.read(place.out) == new
    place.check_tidy()


@column("tilde")
def test_a_tilde_is_the_home_directory(name: str, place: Place) -> None:
    home = place.folder / "home/out"
    place.stand(home)
    ended = place.run(out="~/out")
    assert ended.code == 0 and home.is_dir() and not (place.folder / "~").exists(), ended.said


@column("read_only")
def test_a_read_only_target(name: str, place: Place) -> None:
    new = place.fill()
    folders = [folder for folder in (place.out, place.work) if folder.exists()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        ended = place.run(obey_modes)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert ended.is_one_line and place.is_old(), ended.said
    place.check(new)
    place.check_tidy()
