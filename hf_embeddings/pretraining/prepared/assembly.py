"""The end of a preparation: which documents stay, where their chunks are, and the manifest of it all.

Shapes: D documents, P shards, V vocabulary.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Set
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hf_embeddings.corpora.corpus import LEFT_OUT, source_names
from hf_embeddings.corpora.selection import HELD_OUT, TRAINING, select
from hf_embeddings.corpora.sources import folder_counts, no_documents
from hf_embeddings.corpora.text_sample import TextSample
from hf_embeddings.corpora.tokenized_corpus import token_counts
from hf_embeddings.corpora.tokenizer import load_tokenizer, row_count, tokenizer_fingerprint
from hf_embeddings.files.manifest import MANIFEST, FileFacts, file_facts, write_manifest
from hf_embeddings.files.ownership import MARK, clear
from hf_embeddings.files.shards import Joined, Shard, mapped_zeros, open_shard, write_shard
from hf_embeddings.files.staging import take_place
from hf_embeddings.pretraining.examples.chunks import SPECIAL_TOKENS_PER_PAIR, cut_table
from hf_embeddings.pretraining.examples.sampling import order_pages, page_size
from hf_embeddings.pretraining.prepared.facts import CorpusFacts, ShardFacts, ShardNote, SourceFacts
from hf_embeddings.pretraining.prepared.layout import INDEX, ROLES, chunks_of, shard_corpus
from hf_embeddings.pretraining.prepared.plan import PreparationPlan
from hf_embeddings.worker_pool import WorkerPool


class Written(NamedTuple):
    """A shard of tokens, and what was noted when it was written."""

    path: Path
    source: int
    note: ShardNote


class Cut(NamedTuple):
    """What came of cutting a shard."""

    file: FileFacts
    counts: dict[str, int]  # of examples, as ShardFacts has them
    statistics: dict[str, int]  # documents and characters of each role
    frequencies: np.ndarray  # (V,) of the tokens in training documents


def assemble(preparation: PreparationPlan, *, pool: WorkerPool, advance: Callable[[float], None]) -> CorpusFacts:
    """Select the documents, cut them, write the manifest, and give the directory its name; return its facts.

    Raises:
        ValueError: a unit has not been encoded, or there are too few documents.
    """
    folder, corpus = preparation.folder, preparation.corpus
    written_shards, tokenizer = list(_written(preparation)), load_tokenizer(folder)
    roles, statistics = _select(preparation, written_shards)

    shards: list[ShardFacts] = []
    files: dict[str, FileFacts] = {}
    longest, size = preparation.plan.max_length - SPECIAL_TOKENS_PER_PAIR, row_count(tokenizer)
    frequencies = np.zeros(size, dtype=np.int64)
    cut_one = partial(cut_shard, max_tokens=longest, size=size)
    documents = [shard.note.documents for shard in written_shards]
    pieces = np.split(roles, np.cumsum(documents)[:-1])
    tasks = ((shard.path, np.array(piece)) for shard, piece in zip(written_shards, pieces, strict=True))
    for shard, result in zip(written_shards, pool.map(cut_one, tasks), strict=True):
        frequencies += result.frequencies
        statistics.update(result.statistics)
        shards.append(_shard_facts(shard, result))
        files |= {shard.path.name: shard.note.file, chunks_of(shard.path).name: result.file}
        advance(1)

    files[INDEX] = write_shard(folder / INDEX, {"frequencies": frequencies} | dict(_pages(written_shards, shards)))
    files |= _other_files(folder, files.keys())
    samples = [shard.note.text_sample for shard in written_shards if shard.note.text_sample is not None]
    facts = CorpusFacts(
        plan=preparation.plan,
        tokenizer=tokenizer_fingerprint(tokenizer, rules=preparation.plan.format),
        max_length=preparation.plan.max_length,
        sources=[
            SourceFacts.of(part, (shard for shard in shards if shard.source == number))
            for number, part in enumerate(corpus.parts())
        ],
        shards=shards,
        statistics=dict(statistics),
        # Unless some were noted by a version that took none.
        text_sample=sum(samples, TextSample()) if len(samples) == len(written_shards) else None,
    )
    write_manifest(folder, facts.to_dict(), files)
    del roles, pieces, tasks
    _name(preparation)
    return facts


def _other_files(folder: Path, known_names: Set[str]) -> dict[str, FileFacts]:
    """Return size and sum of each file of the tokenizer; remove what a killed writer left, its manifest too."""
    files = {}
    for path in folder.iterdir():
        if path.name not in (*known_names, MANIFEST) and path.suffix in (".json", ".txt"):
            files[path.name] = file_facts(path)
        elif path.name not in (*known_names, MARK):
            path.unlink()
    return files


def _name(preparation: PreparationPlan) -> None:
    """Give the directory its name, and remove what was needed on the way."""
    open_shard.cache_clear()  # Windows renames and removes nothing that is open
    folder, target = preparation.folder, preparation.target
    if target.is_dir() and any(target.iterdir()):
        folder = folder.rename(preparation.work / "made")  # what is replaced is among our own then, and known as ours
    elif target.is_dir():
        target.rmdir()
    take_place(folder, target)
    (target / MARK).unlink(missing_ok=True)  # from here on its manifest says whose it is
    clear(preparation.work)


def cut_shard(task: tuple[Path, np.ndarray], *, max_tokens: int, size: int) -> Cut:
    """Cut the documents of a shard, whose roles (D,) say what for; this runs in the worker processes."""
    path, roles = task
    arrays = Shard(path)
    corpus = shard_corpus(arrays)
    tables = {name: cut_table(corpus, np.flatnonzero(roles == role), max_tokens) for name, role in ROLES.items()}
    file = write_shard(
        chunks_of(path), {"roles": roles} | {name: table.astype(np.uint32) for name, (table, _) in tables.items()}
    )
    counts = {name: len(table) for name, (table, _) in tables.items()}
    counts |= {f"{name}_skipped": too_short for name, (_, too_short) in tables.items()}
    counts |= {f"{name}_tokens": int((table[:, 1] - table[:, 0]).sum()) for name, (table, _) in tables.items()}
    statistics = {}
    for name, role in (("training", TRAINING), ("evaluation", HELD_OUT)):
        statistics[f"{name}_documents"] = int((roles == role).sum())
        statistics[f"{name}_characters"] = int(arrays["characters"][roles == role].sum())
    return Cut(file, counts, statistics, token_counts(corpus, roles == TRAINING, size))


def _shard_facts(shard: Written, result: Cut) -> ShardFacts:
    note = shard.note
    return ShardFacts(
        name=shard.path.name,
        source=shard.source,
        documents=note.documents,
        sentences=note.sentences,
        tokens=note.tokens,
        largest_id=note.largest_id,
        **result.counts,
    )


def _written(preparation: PreparationPlan) -> Iterator[Written]:
    for number, unit in enumerate(preparation.units):
        notes = preparation.notes(number)
        if not notes or not notes[-1].ended:
            raise ValueError(f"{preparation.folder}: unit {number} is not encoded yet; encode it first")
        for index, note in enumerate(notes):
            yield Written(preparation.shard(number, index), unit.source, note)


def _select(preparation: PreparationPlan, written_shards: list[Written]) -> tuple[np.ndarray, Counter[str]]:
    """Return the role of each document (D,), in a file that is mapped, and the count of what was read and dropped."""
    corpus, paths = preparation.corpus, [shard.path for shard in written_shards]
    documents = np.array([shard.note.documents for shard in written_shards], dtype=np.int64)
    names = ("documents_read", "duplicates", "near_duplicates", *LEFT_OUT)
    statistics: Counter[str] = Counter(dict.fromkeys(names, 0))
    statistics["documents_read"] = sum(shard.note.read for shard in written_shards)
    for shard in written_shards:
        statistics.update(shard.note.statistics)
    for number, part in enumerate(corpus.parts()):
        statistics.update(folder_counts(part.source))
        if not sum(shard.note.documents for shard in written_shards if shard.source == number):
            raise no_documents(part.source, statistics)
    roles = mapped_zeros(preparation.work / "roles", int(documents.sum()))
    signatures = None
    if corpus.near_duplicates is not None:
        signatures = Joined([preparation.signatures(path) for path in paths], "signatures", documents)
    marks = Joined(paths, "marks", documents) if preparation.plan.word_pairs else None
    drop_counts = select(
        Joined(paths, "digests", documents),
        roles,
        fraction=corpus.evaluation_fraction,
        signatures=signatures,
        threshold=corpus.near_duplicates,
        marks=marks,
        place=source_names(corpus),
    )
    statistics.update(drop_counts)
    return roles, statistics


def _pages(written_shards: list[Written], shards: list[ShardFacts]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and array of the pages of every source, for training and for what is held out."""
    for role in ROLES:
        size = page_size(sum(shard.examples(role) for shard in shards))
        for source in sorted({shard.source for shard in shards}):
            tables = (Shard(chunks_of(shard.path))[role] for shard in written_shards if shard.source == source)
            yield f"{role} {source}", order_pages((table[:, 1] - table[:, 0] for table in tables), size)
