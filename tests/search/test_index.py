"""The index keeps what was committed, through additions, removals, other processes, and death at any instant."""

import os
import signal
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest

from hf_embeddings.search import records as table
from hf_embeddings.search.index import Index
from hf_embeddings.search.records import Condition, Record

WIDTH = 16


def records(start: int, count: int, **metadata: object) -> list[Record]:
    return [Record(f"d{i}", f"text {i}", {"number": i, **metadata}) for i in range(start, start + count)]


def vectors(start: int, count: int) -> np.ndarray:
    return np.stack([np.random.default_rng(i).standard_normal(WIDTH) for i in range(start, start + count)]).astype("f4")


@pytest.fixture
def index(tmp_path: Path) -> Index:
    index = Index.create(tmp_path / "index", WIDTH)
    index.add(records(0, 50), vectors(0, 50))
    return index


def found(index: Index, number: int, **options: object) -> list[str]:
    return [hit.id for hit in index.search(vectors(number, 1), **options)[0]]


def test_search_returns_records_and_scores(index: Index) -> None:
    (hits,) = index.search(vectors(7, 1), k=3)
    scores = vectors(0, 50).astype("f8") @ vectors(7, 1)[0].astype("f8")
    assert [hit.id for hit in hits] == [f"d{i}" for i in np.argsort(-scores)[:3]]
    assert hits[0].score == pytest.approx(scores[7]) and hits[0].metadata == {"number": 7} and hits[0].text == "text 7"
    assert [len(hits) for hits in index.search(vectors(0, 4), k=60)] == [50] * 4


def test_a_document_is_found_once_by_its_best_passage(index: Index) -> None:
    near = vectors(7, 1).repeat(30, axis=0) * np.linspace(1.1, 1.2, 30, dtype="f4")[:, None]
    index.add([Record("long", f"passage {i}", {}, i) for i in range(30)], near)
    (hits,) = index.search(vectors(7, 1), k=5)
    assert [hit.id for hit in hits][:2] == ["long", "d7"] and len({hit.id for hit in hits}) == 5
    assert (hits[0].passage, hits[0].text) == (29, "passage 29")


def test_filters(index: Index) -> None:
    index.add(records(50, 10, kind="new"), vectors(50, 10))
    assert found(index, 7, k=5, where=[Condition("number", ">=", 8)])[0] != "d7"
    assert set(found(index, 7, k=99, where=[Condition("kind", "=", "new")])) == {f"d{i}" for i in range(50, 60)}
    assert found(index, 7, where=[Condition("kind", "=", "old")]) == []
    with pytest.raises(ValueError, match="no record has it, expected one of kind, number"):
        found(index, 7, where=[Condition("color", "=", "red")])


def test_add_replaces_and_remove_removes(index: Index) -> None:
    assert index.add([Record("d7", "changed")], vectors(99, 1)) == 1
    assert len(index) == 50 and "d7" not in found(index, 7, k=1) and found(index, 99, k=1) == ["d7"]
    assert index.remove(["d7", "d8"]) == 2 and index.remove(where=[Condition("number", "<", 5)]) == 5
    assert not {"d7", "d8", "d0", "d4"} & set(found(index, 99, k=60)) and len(index) == 43
    index.verify()


def test_compacting_changes_no_result(index: Index) -> None:
    index.remove([f"d{i}" for i in range(0, 50, 3)])
    before = [found(index, number, k=60) for number in range(5)]
    assert index.compact() == 17 and index.rows == len(index) == 33
    assert [found(index, number, k=60) for number in range(5)] == before
    index.verify()
    assert sorted(path.name for path in index.folder.glob("*-*")) == ["codes-2.i8", "scales-2.f32", "vectors-2.f32"]
    index.add(records(100, 3), vectors(100, 3))
    assert found(Index(index.folder), 101, k=1) == ["d101"]


def test_readers_follow_a_writer(index: Index) -> None:
    reader = Index(index.folder)
    assert found(reader, 60, k=1) != ["d60"]
    index.add(records(60, 1), vectors(60, 1))
    assert found(reader, 60, k=1) == ["d60"]
    index.remove(["d60"])
    assert found(reader, 60, k=1) != ["d60"]
    index.compact()
    assert len(found(reader, 60, k=99)) == 50


def test_iterating_and_sampling(index: Index) -> None:
    index.remove(["d3"])
    parts = list(index.iterate(size=20))
    assert [record.id for part, _ in parts for record in part] == [f"d{i}" for i in range(50) if i != 3]
    np.testing.assert_array_equal(parts[0][1][4], vectors(5, 1)[0])
    sampled, rows = index.sample(10)
    assert len(sampled) == len(rows) == 10 and sampled[0].id == "d0" and sampled[-1].id == "d49"
    assert len(index.sample(100)[0]) == 49


def killed_during(index: Index, step: int, action) -> bool:
    """Run an action in a process that dies at the given one of its calls to fsync or SQL; return whether it died."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sync = os.fsync
    os.fsync = lambda handle: (count(), sync(handle), count())
    own = Index(index.folder)
    own._connection.set_trace_callback(count)
    action(own)
    os._exit(0)


@pytest.mark.parametrize(
    ("action", "after"),
    [
        (lambda index: index.add(records(48, 4), vectors(48, 4)), 52),
        (lambda index: index.remove(["d0", "d9"]), 48),
        (lambda index: index.compact(), 48),
    ],
)
def test_death_at_any_step_leaves_the_state_before_or_after(index: Index, action, after: int) -> None:
    if action.__code__.co_names[0] == "compact":
        index.remove(["d45", "d47"])
    before, expected = len(index), [found(index, number, k=99) for number in range(3)]
    step = 0
    while killed_during(index, step := step + 1, action):
        reopened = Index(index.folder)
        reopened.verify()
        assert len(reopened) in (before, after)
        if len(reopened) == before:
            assert [found(reopened, number, k=99) for number in range(3)] == expected
        else:
            break  # the commit is done: later steps only tidy
        reopened.close()
    assert step > 5
    finished = Index(index.folder)
    if len(finished) != after:
        action(finished)
    assert len(finished) == after
    finished.verify()


def test_damage_is_found(index: Index) -> None:
    index.close()
    path = index.folder / "vectors-1.f32"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="rows 0 to 49 are damaged"):
        Index(index.folder).verify()
    path.write_bytes(content[:-1])
    with pytest.raises(ValueError, match="expected 3200 or more"):
        Index(index.folder)


def test_mistakes_are_refused(index: Index, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no index there"):
        Index(tmp_path)
    with pytest.raises(ValueError, match="exists, expected a new or empty folder"):
        Index.create(index.folder, WIDTH)
    with pytest.raises(ValueError, match=r"vectors \(2, 16\): expected \(3, 16\)"):
        index.add(records(0, 3), vectors(0, 2))
    with pytest.raises(ValueError, match="'d1' is not finite"):
        index.add(records(0, 2), np.array([[0.0] * WIDTH, [np.nan] * WIDTH]))
    with pytest.raises(ValueError, match="id 'd99': not in"):
        index.remove(["d1", "d99"])
    with pytest.raises(ValueError, match="queries of 3 features: expected 16"):
        index.search(np.ones(3))
    with pytest.raises(ValueError, match="k 0"):
        index.search(np.ones(WIDTH), k=0)
    assert len(index) == 50
    with sqlite3.connect(index.folder / "records.sqlite") as connection:
        connection.execute("UPDATE settings SET value = '9' WHERE key = 'format'")
    with pytest.raises(ValueError, match="index format 9, expected 2"):
        Index(index.folder)
    (index.folder / "records.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(ValueError, match="records.sqlite: damaged .*not a database"):
        Index(index.folder)


def test_a_creation_that_was_killed_is_started_again(tmp_path: Path) -> None:
    for step in range(1, 100):
        folder = tmp_path / str(step)
        child = os.fork()
        if not child:
            calls = 0

            def count(*_: object, step: int = step) -> None:
                nonlocal calls
                calls += 1
                if calls == step:
                    os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(
                lambda event, _: count() if event in ("open", "os.rename", "os.mkdir", "os.remove") else None
            )
            Index.create(folder, WIDTH)
            os._exit(0)
        died = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if not (folder / "records.sqlite").is_file():
            Index.create(folder, WIDTH)
        assert len(Index(folder)) == 0
        if not died:
            break
    assert step > 5
    (folder / "records.sqlite").rename(folder / ".records.sqlite.staged")  # the same names without the mark
    with pytest.raises(ValueError, match="exists, expected a new or empty folder"):
        Index.create(folder, WIDTH)


def test_a_full_disk_changes_nothing_and_is_told_in_one_line(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.remove(["d3"])
    before, writer = found(index, 7, k=99), Index(index.folder)
    pages = writer._connection.execute("PRAGMA page_count").fetchone()[0]
    writer._connection.execute(f"PRAGMA max_page_count = {pages}")  # what a full disk is to SQLite

    def remove_and_need_room(*_: object) -> None:
        writer._connection.execute("DELETE FROM records")
        writer._connection.execute("CREATE TABLE filler AS SELECT zeroblob(1000000)")

    with monkeypatch.context() as patched:
        patched.setattr(table, "remove_rows", remove_and_need_room)
        with pytest.raises(OSError, match=r"index: cannot be written \(database or disk is full\); it is as it was"):
            writer.remove(["d7"])
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space left on device"):
            writer.compact()
    assert found(index, 7, k=99) == before and not list(index.folder.glob("*-2.*"))
    index.verify()


def test_a_search_shows_one_state_while_others_write(index: Index) -> None:
    """Each text belongs to its vector, while documents are replaced, removed and compacted by another process."""
    writer = os.fork()
    if not writer:
        own = Index(index.folder)
        for turn in range(12):
            chosen = range(turn, 50, 3)
            own.add([records(i, 1)[0] for i in chosen], np.concatenate([vectors(i, 1) for i in chosen]))
            own.remove([f"d{turn}"])
            own.compact()
            own.add(records(turn, 1), vectors(turn, 1))
        os._exit(0)
    answers = 0
    while not os.waitpid(writer, os.WNOHANG)[0]:
        with index.reading():
            (hits,) = index.search(vectors(7, 1), k=50)
            rows = index.vectors_of([hit.row for hit in hits])
        for hit, row in zip(hits, rows, strict=True):
            assert hit.text == f"text {hit.metadata['number']}" and (row == vectors(int(hit.id[1:]), 1)[0]).all()
        answers += 1
    assert answers
