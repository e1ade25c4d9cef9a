"""A corpus being prepared: its plan, the directory in which it grows, and what of it is done.

It grows in TARGET.partial, which is renamed at the end: a target is whole or absent. A shard is written aside, forced
to the disk, renamed, and only then noted in TARGET.work; after a kill the shards that are noted, and whose SHA-256 sums
are right, are kept.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from hf_embeddings.corpora.document import SourceReader
from hf_embeddings.corpora.options import CorpusOptions, SourceOptions
from hf_embeddings.corpora.sources import parts_of, read_part
from hf_embeddings.corpora.text_files import text_bytes
from hf_embeddings.files.atomic import replace_text
from hf_embeddings.files.manifest import sha256
from hf_embeddings.option_fields import to_dict

PLAN = "plan.json"  # written last of what a preparation begins with
FORMAT = 1
SHARD_TOKENS = 1 << 24  # some 64 MB of English text, 50 MB on the disk
UNIT_BYTES = 64 << 20  # files smaller than this share a unit


class Unit(NamedTuple):
    """Documents that are encoded one after the other, into shards of their own."""

    source: int
    parts: list[str]
    size: int  # bytes of text, guessed; 0 where nobody knows
    stamps: list[list[int]]  # size and time of change of each file


@dataclass(frozen=True)
class PreparationPlan:
    """A plan and its directories; any number of processes may work on different units of it."""

    target: Path
    plan: dict[str, object]

    @classmethod
    def load(cls, target: Path) -> "PreparationPlan":
        """Read the plan of a preparation that has begun.

        Raises:
            ValueError: there is none.
        """
        path = work_of(target) / PLAN
        if not path.is_file():
            raise ValueError(f"{path}: no such file, expected the plan of a corpus that is being prepared; begin anew")
        return cls(target, json.loads(path.read_text(encoding="utf-8")))

    @property
    def folder(self) -> Path:
        """The directory that will become the target."""
        return self.target.with_name(f"{self.target.name}.partial")

    @property
    def work(self) -> Path:
        """The directory of what is needed on the way only."""
        return work_of(self.target)

    @property
    def encoder(self) -> Path:
        """The tokenizer as the worker processes read it."""
        return self.work / "encoder.json"

    @property
    def corpus(self) -> CorpusOptions:
        """The sources and how to read them."""
        values = dict(self.plan["corpus"])  # type: ignore[call-overload]
        return CorpusOptions(**values | {"sources": [SourceOptions(**source) for source in values["sources"]]})

    @property
    def units(self) -> list[Unit]:
        """What is to be encoded, in the order of the corpus."""
        return [Unit(*unit) for unit in self.plan["units"]]  # type: ignore[attr-defined]

    def documents(self, number: int, statistics: Counter[str]) -> Iterator[str]:
        """Yield the texts of a unit; what reading leaves out is counted.

        Raises:
            ValueError: a file has changed since the plan was made.
        """
        unit, corpus = self.units[number], self.corpus
        part = corpus.parts()[unit.source]
        if _stamps(unit.parts) != unit.stamps:
            raise ValueError(
                f"{unit.parts[0]}: it, or a file after it, has changed meanwhile; begin anew (--overwrite)"
            )
        reader = SourceReader(
            text_field=part.text_field or "text",
            hub_split=part.hub_split or "train",
            hub_config=part.hub_config,
            on_invalid_text=corpus.on_invalid_text,
            statistics=statistics,
        )
        texts = (document.text for name in unit.parts for document in read_part(name, reader))
        if corpus.max_documents is None:
            return texts
        earlier = (other for other in range(number) if self.units[other].source == unit.source)
        taken = sum(note["documents"] for other in earlier for note in self.notes(other))
        return islice(texts, max(0, corpus.max_documents - taken))

    def shard(self, number: int, index: int) -> Path:
        """Return the path of a shard of a unit."""
        return self.folder / f"{number:05d}-{index:04d}.safetensors"

    def signatures(self, shard: Path) -> Path:
        """Return the path of the signatures of the documents in a shard."""
        return self.work / f"{shard.stem}.signatures"

    def notes(self, number: int) -> list[dict]:
        """Return what was noted of the finished shards of a unit, up to the first that is missing."""
        notes: list[dict] = []
        while (path := self._note(number, len(notes))).is_file():
            notes.append(json.loads(path.read_text(encoding="utf-8")))
        return notes

    def verified(self, number: int) -> list[dict]:
        """Return the notes of the finished shards of a unit, up to the first that is missing or damaged."""
        notes = self.notes(number)
        for index, note in enumerate(notes):
            shard = self.shard(number, index)
            whole = shard.is_file() and sha256(shard) == note["file"]["sha256"]
            if self.corpus.near_duplicates is not None:
                beside = self.signatures(shard)
                whole &= beside.is_file() and sha256(beside) == note["signatures"]["sha256"]
            if not whole:
                self._note(number, index).unlink()
                return notes[:index]
        return notes

    def note(self, number: int, index: int, facts: dict[str, object]) -> None:
        """Note that a shard is on the disk."""
        replace_text(self._note(number, index), json.dumps(facts))

    def _note(self, number: int, index: int) -> Path:
        return self.work / f"{self.shard(number, index).stem}.json"


def work_of(target: Path) -> Path:
    """Return the directory of what is needed on the way to a target."""
    return target.with_name(f"{target.name}.work")


def new_plan(
    corpus: CorpusOptions, *, max_length: int, tokenizer: dict[str, object], shard_tokens: int, streams: int = 0
) -> dict:
    """Return everything that shards depend on, as JSON has it; with `streams`, one unit for each of them."""
    values = {name: value for name, value in to_dict(corpus).items() if name != "verify_shards"}
    plan = {
        "format": FORMAT,
        "corpus": values,
        "max_length": max_length,
        "tokenizer": tokenizer,
        "shard_tokens": shard_tokens,
        "streams": streams,
        "units": [Unit(0, [], 0, [])] * streams if streams else list(_units(corpus)),
    }
    return json.loads(json.dumps(plan))


def enter(target: Path, plan: dict, *, overwrite: bool) -> bool:
    """Make the directories in which a target grows, or find them with this very plan; return whether they were there.

    Raises:
        ValueError: something else is there.
    """
    made = PreparationPlan(target, plan)
    for path in (target, made.folder, made.work):
        if path.exists() and not path.is_dir():
            raise ValueError(f"{path}: is a file, expected a directory or nothing; choose another target")
    if target.is_dir() and any(target.iterdir()) and not overwrite:
        raise ValueError(
            f"{target}: is not empty, and not what these options make; choose another, or pass --overwrite"
        )
    if (made.work / PLAN).is_file() and not overwrite:
        begun = PreparationPlan.load(target).plan
        if changed := [name for name in plan if begun.get(name) != plan[name]]:
            raise ValueError(
                f"{made.folder}: was begun with other {', '.join(changed)}; give the old ones, choose another target, "
                "or pass --overwrite to begin anew"
            )
        return True
    for folder in (made.work, made.folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    return False


def _units(corpus: CorpusOptions) -> Iterator[Unit]:
    for number, source in enumerate(corpus.parts()):
        group: list[str] = []
        size = 0
        for part in parts_of(source.source):
            length = text_bytes(part)
            if group and size + length > UNIT_BYTES:
                yield Unit(number, group, size, _stamps(group))
                group, size = [], 0
            group, size = [*group, part], size + length
        yield Unit(number, group, size, _stamps(group))


def _stamps(parts: list[str]) -> list[list[int]]:
    """Return size and time of change of each part that is a file."""
    found = [os.stat(part) for part in parts if os.path.isfile(part)]
    return [[entry.st_size, entry.st_mtime_ns] for entry in found]
