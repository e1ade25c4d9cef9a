"""Make the folder of an index: its database is there whole, or the next creation finds the mark and starts again."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from hf_embeddings.files.atomic import STAGED, replacing
from hf_embeddings.files.lock import LOCK_FILES
from hf_embeddings.files.ownership import MARK
from hf_embeddings.files.staging import refuse_file_name
from hf_embeddings.search.records import DATABASE, SCHEMA

_NEW = f".{DATABASE}{STAGED}"  # the database on its way
_REST = {MARK, _NEW, f"{_NEW}-journal"}  # of a creation that was killed


def check_new(folder: Path) -> None:
    """Refuse to make an index in a folder that holds anything but the rest of an interrupted creation.

    Raises:
        ValueError: it does, or the name is that of a file.
    """
    refuse_file_name(folder)
    if not folder.exists() and not folder.is_symlink():
        return
    there = {path.name for path in folder.iterdir()} - set(LOCK_FILES) if folder.is_dir() else {""}
    if there and not (MARK in there and there <= _REST):
        raise ValueError(f"{folder}: exists, expected a new or empty folder; choose another, or remove it")


def create_database(folder: Path, facts: dict[str, object]) -> None:
    """Make a folder with a database of no records; `facts` are its settings, as JSON."""
    check_new(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()  # what is killed from here on is known as ours by the next one
    try:
        for name in _REST - {MARK}:
            (folder / name).unlink(missing_ok=True)
        with replacing(folder / DATABASE) as staged:
            _write(staged, facts)
    except sqlite3.OperationalError as error:
        raise OSError(f"{folder}: no index can be made ({error}); nothing of it is left") from None
    finally:
        (folder / f"{_NEW}-journal").unlink(missing_ok=True)
        (folder / MARK).unlink(missing_ok=True)


def sweep_creation(folder: Path) -> None:
    """Remove the mark from an index whose creation was killed when its database was whole."""
    if (folder / DATABASE).is_file():
        (folder / MARK).unlink(missing_ok=True)


def _write(file: Path, facts: dict[str, object]) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(SCHEMA)
        rows = ((name, json.dumps(value)) for name, value in facts.items())
        connection.executemany("INSERT INTO settings VALUES (?, ?)", rows)
