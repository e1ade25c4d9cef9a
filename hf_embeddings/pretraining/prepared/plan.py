"""A corpus being prepared: its plan, the directory in which it grows, and what of it is done.

It grows in TARGET.partial, which is renamed at the end: a target is whole or absent. A shard is written aside, forced
to the disk, renamed, and only then noted in TARGET.work; after a kill the shards that are noted, and whose SHA-256 sums
are right, are kept.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hf_embeddings.corpora.corpus import reader_of
from hf_embeddings.corpora.options import CorpusOptions
from hf_embeddings.corpora.sources import parts_of, read_part
from hf_embeddings.corpora.text_files import text_bytes
from hf_embeddings.corpora.text_rules import RULES
from hf_embeddings.corpora.word_pairs import read_word_pairs
from hf_embeddings.files.atomic import replace_text
from hf_embeddings.files.directory import try_directory
from hf_embeddings.files.manifest import MANIFEST, read_manifest, sha256
from hf_embeddings.files.ownership import claim, clear, refuse_inside, refuse_link, refuse_within
from hf_embeddings.pretraining.prepared.facts import CorpusPlan, ShardNote, Unit, planned_options

PLAN = "plan.json"  # written last of what a preparation begins with
SHARD_TOKENS = 1 << 24  # some 64 MB of English text, 50 MB on the disk
UNIT_BYTES = 64 << 20  # files smaller than this share a unit


@dataclass(frozen=True)
class PreparationPlan:
    """A plan and its directories; any number of processes may work on different units of it."""

    target: Path
    plan: CorpusPlan

    @classmethod
    def load(cls, target: Path) -> "PreparationPlan":
        """Read the plan of a preparation that has begun.

        Raises:
            ValueError: there is none.
        """
        path = work_of(target) / PLAN
        if not path.is_file():
            raise ValueError(f"{path}: no such file, expected the plan of a corpus that is being prepared; start over")
        return cls(target, CorpusPlan.load(path))

    @property
    def folder(self) -> Path:
        """The directory that will become the target."""
        return partial_of(self.target)

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
        return self.plan.options

    @property
    def units(self) -> list[Unit]:
        """What is to be encoded, in the order of the corpus."""
        return self.plan.units

    def documents(self, number: int, statistics: Counter[str]) -> Iterator[str]:
        """Yield the texts of a unit; what reading leaves out is counted.

        Raises:
            ValueError: a file has changed since the plan was made.
        """
        unit, corpus = self.units[number], self.corpus
        part = corpus.parts()[unit.source]
        if _stamps(unit.parts) != unit.stamps:
            raise ValueError(
                f"{unit.parts[0]}: it, or a file after it, has changed meanwhile; start over (--overwrite)"
            )
        reader = reader_of(part, corpus, statistics)
        texts = (document.text for name in unit.parts for document in read_part(name, reader))
        if corpus.max_documents is None:
            return texts
        earlier = (other for other in range(number) if self.units[other].source == unit.source)
        earlier_count = sum(note.read for other in earlier for note in self.notes(other))
        return islice(texts, max(0, corpus.max_documents - earlier_count))

    def shard(self, number: int, index: int) -> Path:
        """Return the path of a shard of a unit."""
        return self.folder / f"{number:05d}-{index:04d}.safetensors"

    def signatures(self, shard: Path) -> Path:
        """Return the path of the signatures of the documents in a shard."""
        return self.work / f"{shard.stem}.signatures"

    def notes(self, number: int) -> list[ShardNote]:
        """Return what was noted of the finished shards of a unit, up to the first that is missing."""
        notes: list[ShardNote] = []
        while (path := self._note(number, len(notes))).is_file():
            notes.append(ShardNote.load(path))
        return notes

    def verified(self, number: int) -> list[ShardNote]:
        """Return the notes of the finished shards of a unit, up to the first that is missing or damaged."""
        notes = self.notes(number)
        for index, note in enumerate(notes):
            shard = self.shard(number, index)
            whole = shard.is_file() and sha256(shard) == note.file.sha256
            if note.signatures is not None:
                beside = self.signatures(shard)
                whole &= beside.is_file() and sha256(beside) == note.signatures.sha256
            if not whole:
                self._note(number, index).unlink()
                return notes[:index]
        return notes

    def note(self, number: int, index: int, note: ShardNote) -> None:
        """Note that a shard is on the disk."""
        replace_text(self._note(number, index), json.dumps(note.to_dict()))

    def _note(self, number: int, index: int) -> Path:
        return self.work / f"{self.shard(number, index).stem}.json"


def partial_of(target: Path) -> Path:
    """Return the directory in which a target grows."""
    return target.with_name(f"{target.name}.partial")


def work_of(target: Path) -> Path:
    """Return the directory of what is needed on the way to a target."""
    return target.with_name(f"{target.name}.work")


def new_plan(
    corpus: CorpusOptions,
    *,
    max_length: int,
    tokenizer: dict[str, object],
    shard_tokens: int,
    streams: int = 0,
    rules: int = RULES,
) -> CorpusPlan:
    """Return everything that shards depend on; with `streams`, one unit for each of them."""
    return CorpusPlan(
        format=rules,
        corpus=planned_options(corpus),
        max_length=max_length,
        tokenizer=tokenizer,
        shard_tokens=shard_tokens,
        streams=streams,
        units=[Unit(0, [], 0, [])] * streams if streams else list(_units(corpus)),
        word_pairs=read_word_pairs(corpus.counterfactual) or None,
    )


def encoding_rules(target: Path, *, overwrite: bool) -> int:
    """Return the rules by which a target encodes text: of what is there, which an earlier version may have begun."""
    if overwrite:
        return RULES
    if (target / MANIFEST).is_file():
        return int(read_manifest(target).facts.get("plan", {}).get("format", RULES))
    path = work_of(target) / PLAN
    return CorpusPlan.load(path).format if path.is_file() else RULES


def _refuse_overlap(target: Path, plan: CorpusPlan, *, overwrite: bool) -> None:
    """Refuse to replace a source, or to begin in one."""
    inputs = plan.options.paths()
    if not target.exists():
        refuse_within(target, inputs)
    elif overwrite:
        refuse_link(target)
        refuse_inside(target, inputs)


def enter(target: Path, plan: CorpusPlan, *, overwrite: bool) -> bool:
    """Make the directories in which a target grows, or find them with this very plan; return whether they were there.

    Raises:
        ValueError: something else is there.
    """
    draft = PreparationPlan(target, plan)
    if target.exists() and not target.is_dir():
        raise ValueError(f"{target}: is a file, expected a directory or nothing; choose another target")
    _refuse_overlap(target, plan, overwrite=overwrite)
    try_directory(target.parent, str(target))
    if target.is_dir() and any(target.iterdir()) and not overwrite:
        raise ValueError(
            f"{target}: is not empty, and not what these options make; choose another, or pass --overwrite"
        )
    if (draft.work / PLAN).is_file() and not overwrite:
        before, now = PreparationPlan.load(target).plan.to_dict(), plan.to_dict()
        if changes := [name for name in now if before[name] != now[name]]:
            raise ValueError(
                f"{draft.folder}: was begun with other {', '.join(changes)}; give the old ones, choose another target, "
                "or pass --overwrite to start over"
            )
        return True
    for folder in (draft.folder, draft.work):
        claim(folder)
    for folder in (draft.folder, draft.work):
        clear(folder)
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
    """Return size and time of change of each part that is a file or folder."""
    entries = [os.stat(part) for part in parts if os.path.exists(part)]
    return [[entry.st_size, entry.st_mtime_ns] for entry in entries]
