"""What the Hub keeps: repositories with branches, commits that are snapshots, and large files by their SHA-256."""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Blob:
    """A file: its content in the repository, or the hash of a large one that is kept outside of it."""

    size: int
    git_oid: str
    content: bytes | None = None
    sha256: str | None = None

    @property
    def oid(self) -> str:
        """What a client compares its own file with, to leave unchanged ones out of a commit."""
        return self.sha256 or self.git_oid


@dataclass(frozen=True)
class Commit:
    """A snapshot of all files."""

    oid: str
    title: str
    date: float
    files: dict[str, Blob]
    parents: tuple["Commit", ...] = ()

    @property
    def history(self) -> list["Commit"]:
        """This commit and those before it, newest first."""
        return [self, *(self.parents[0].history if self.parents else [])]


@dataclass
class Repository:
    """One model, data set or space."""

    id: str
    type: str
    private: bool
    refs: dict[str, Commit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.refs["main"] = make_commit("initial commit", {}, None)

    def find(self, revision: str) -> Commit | None:
        """Return the commit that a branch, tag, pull request or full hash names."""
        if commit := self.refs.get(revision):
            return commit
        return next((c for tip in self.refs.values() for c in tip.history if c.oid == revision), None)

    def commit(self, revision: str, lines: Iterable[bytes], large_exists: Callable[[str], bool]) -> Commit:
        """Apply the operations of a commit request, all or none; KeyError names a large file that never arrived."""
        parent = self.refs[revision]
        files, title = dict(parent.files), ""
        for line in lines:
            operation = json.loads(line)
            value = operation["value"]
            match operation["key"]:
                case "header":
                    title = value["summary"]
                    if value.get("parentCommit", parent.oid) != parent.oid:
                        raise ValueError("A commit has happened since. Please refresh and try again.")
                case "file":
                    content = base64.b64decode(value["content"])
                    files[value["path"]] = Blob(len(content), git_hash(content), content=content)
                case "lfsFile":
                    files[value["path"]] = large_blob(value, large_exists)
                case "deletedFile":
                    del files[value["path"]]
                case "deletedFolder":
                    files = {path: blob for path, blob in files.items() if not path.startswith(value["path"])}
        self.refs[revision] = make_commit(title, files, parent)
        return self.refs[revision]


def large_blob(value: dict, exists: Callable[[str], bool]) -> Blob:
    """Return the pointer to a large file, which must have arrived."""
    if not exists(value["oid"]):
        raise KeyError(value["oid"])
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{value['oid']}\n".encode()
    return Blob(value["size"], git_hash(pointer), sha256=value["oid"])


def make_commit(title: str, files: dict[str, Blob], parent: Commit | None) -> Commit:
    """Return a commit whose hash depends on its files, its title and its parent."""
    names = json.dumps([title, sorted((path, blob.oid) for path, blob in files.items()), parent.oid if parent else ""])
    oid = hashlib.sha1(names.encode()).hexdigest()
    return Commit(oid, title, time.time(), files, (parent,) if parent else ())


def git_hash(content: bytes) -> str:
    """Return the hash that git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
