"""The place in which a verb of the matrix runs: what it reads, what it makes, what was there, and a thesis beside."""

import shutil
from pathlib import Path

from hf_embeddings.files.lock import LOCK_FILES
from hf_embeddings.files.ownership import MARK
from tests.faults.calls import Call, Ended, Hook, judged
from tests.faults.system_calls import no_fault
from tests.faults.writing_verbs import Result, Verb, read_all

ABSENT = object()


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
        assert self.verb.source, "it reads none"  # the working directory is not meant
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
        modes = self.modes()
        ended = self.run()
        assert ended.code == 0, ended.said
        new, self.largest = self.verb.read(self.out), max(map(len, read_all(self.out).values()))
        assert new
        self.check_modes(but=modes)
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

    def modes(self) -> dict[str, int]:
        """Return who may read which file."""
        return {str(path): path.stat().st_mode for path in self.out.rglob("*") if path.is_file()}

    def check_modes(self, *, but: dict[str, int]) -> None:
        """Who may read what was made is as the umask says: the thesis was made under the same one."""
        usual = (self.work / "thesis/thesis.tex").stat().st_mode
        others = {path: mode for path, mode in self.modes().items() if mode != usual}
        assert others.items() <= but.items(), others

    def check_tidy(self) -> None:
        """Nothing of ours is left beside."""
        names = {path.name for path in self.work.iterdir()}
        assert names <= {"out", "thesis"}, names
        names = [Path(name).name for name in read_all(self.out)]
        assert not [name for name in names if ".staged" in name or name in (MARK, *LOCK_FILES)]
