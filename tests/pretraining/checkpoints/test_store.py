"""Checkpoints on their own: whole or absent, verified, set aside, pruned, counted when they fail."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hf_embeddings.files import lock as lock_module
from hf_embeddings.files import manifest
from hf_embeddings.files.lock import HOLDER, Lock
from hf_embeddings.files.manifest import (
    MANIFEST,
    Damaged,
    FileFacts,
    check_manifest,
    seal_directory,
    sha256,
    write_manifest,
)
from hf_embeddings.pretraining.checkpoints.store import FAILURES_ALLOWED, Checkpoints
from tests.conversion.mutations import write_anew

KINDS = ("flip", "truncate", "zero", "append", "remove", "add")


def write(folder: Path) -> None:
    save_file({"a": torch.arange(300.0), "b": torch.ones(7, 5)}, folder / "model.safetensors")
    (folder / "state.json").write_text('{"step": 1}')


def saved(folder: Path, *steps: int, keep: int | None = None) -> Checkpoints:
    checkpoints = Checkpoints(folder, keep=keep)
    for step in steps:
        assert checkpoints.save(step, write, {"identity": {}}) and checkpoints.settle()
    return checkpoints


def corrupt(folder: Path, kind: str, choice: random.Random) -> str:
    """Change one file of a directory in one way; return what was done."""
    path = choice.choice(sorted(folder.iterdir()))
    data = bytearray(path.read_bytes())
    place = choice.randrange(len(data))
    if kind == "flip":
        data[place] ^= 1 << choice.randrange(8)
    elif kind == "truncate":
        del data[place:]
    elif kind == "zero":
        end = place + choice.randrange(1, 64)
        if not any(data[place:end]):
            data[place] = 255
        else:
            data[place:end] = bytes(len(data[place:end]))
    elif kind == "append":
        data += bytes([choice.randrange(256)])
    elif kind == "remove":
        path.unlink()
        return f"{kind} {path.name}"
    else:
        path = folder / "unknown.bin"
    path.write_bytes(data)
    return f"{kind} {path.name} {place}"


def test_a_checkpoint_is_what_was_written(tmp_path) -> None:
    checkpoints = saved(tmp_path / "c", 5)
    whole = check_manifest(checkpoints.path(5))
    assert whole.facts["step"] == 5 and set(whole.files) == {"model.safetensors", "state.json"}
    assert Checkpoints(tmp_path / "c").newest() == (5, [])
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["step-00000005"]


def test_f4_every_corruption_is_found(tmp_path, figures) -> None:
    """300 random ones, of every file and the manifest itself."""
    checkpoints, choice = saved(tmp_path / "c", 1), random.Random(0)
    for number in range(300):
        copy = tmp_path / "copy"
        shutil.copytree(checkpoints.path(1), copy)
        done = corrupt(copy, KINDS[number % len(KINDS)], choice)
        with pytest.raises(Damaged, match="copy"):
            check_manifest(copy)
            pytest.fail(f"{done} was not found")
        shutil.rmtree(copy)
    figures("F4 corruptions of a checkpoint", made=300, found=300)


def mutated_value(value: object, choice: random.Random) -> object:
    """Return a JSON value with one part of it, at any depth, replaced, removed or renamed."""
    if isinstance(value, dict) and value and choice.random() < 0.9:
        name = choice.choice(sorted(value))
        rest = {key: inner for key, inner in value.items() if key != name}
        kind = choice.randrange(8)
        if kind == 0:
            return rest
        return rest | {f"../{name}" if kind == 1 else name: mutated_value(value[name], choice) if kind > 1 else 0}
    return choice.choice([None, [], {}, -1, 2**70, 1e300, True, "", "\0", "../x", ".", [[]], {"size": 1}, "a" * 64])


def test_f20_mutated_manifests_raise_nothing_else(tmp_path, times, figures) -> None:
    """Bytes at random: damage. Values at random, with a sum that is right again: refused, or the files are the same."""
    checkpoints, choice, count = saved(tmp_path / "c", 1), random.Random(1), times(1000, 100_000)
    path = checkpoints.path(1) / MANIFEST
    text = path.read_bytes()
    body = {name: value for name, value in json.loads(text).items() if name != "sha256"}
    pieces = [b"null", b"[]", b"{}", b"-1", b"1e999", b'"\\ud800"', b"NaN", b"\xff", b"[" * 5000, b'"../x"', b"\0"]
    outcomes, slowest = {"damaged": 0, "of_another_format": 0, "sealed_anew_with_the_same_files": 0}, 0.0
    for number in range(count):
        place, length = choice.randrange(len(text)), choice.randrange(1, 40)
        mutant = text[:place] + choice.choice(pieces) + text[place + length :]
        if number % 2:
            while not isinstance(changed := mutated_value(body, choice), dict):
                pass
            mutant = manifest._text(changed).encode()
        write_anew(path, mutant)
        began = time.process_time()
        try:
            whole = check_manifest(checkpoints.path(1))
        except Damaged:
            outcomes["damaged"] += 1
        except ValueError as error:
            assert "got format" in str(error) and number % 2, mutant
            outcomes["of_another_format"] += 1
        else:
            assert {name: file.to_dict() for name, file in whole.files.items()} == body["files"], mutant
            assert number % 2 or mutant == text, mutant
            outcomes["sealed_anew_with_the_same_files"] += 1
        slowest = max(slowest, time.process_time() - began)
    figures(
        "F20 mutations of a manifest", mutations=count, **outcomes, other_errors=0, slowest_ms=f"{1000 * slowest:.0f}"
    )
    assert slowest < 1 and outcomes["damaged"] > count / 2


def test_f5_the_newest_good_one_is_taken_and_the_damaged_are_set_aside(tmp_path, figures) -> None:
    checkpoints, choice = saved(tmp_path / "c", 1, 2, 3, 10), random.Random(0)
    for step in (2, 3, 10):
        corrupt(checkpoints.path(step), "flip", choice)
    step, damaged = Checkpoints(tmp_path / "c").newest()
    assert step == 1 and len(damaged) == 3 and "step-00000010" in damaged[0]
    names = {path.name for path in (tmp_path / "c").iterdir()}
    assert names == {"step-00000001", *(f"damaged-step-{step:08d}" for step in (2, 3, 10))}
    figures("F5 damaged checkpoints", damaged="3 of 4", resumed_from="the oldest", deleted=0)


def test_f5_all_damaged_is_an_error_now_and_later(tmp_path, figures) -> None:
    checkpoints, choice = saved(tmp_path / "c", 1, 2), random.Random(0)
    for step in (1, 2):
        corrupt(checkpoints.path(step), "truncate", choice)
    for _ in range(2):
        with pytest.raises(ValueError, match="every checkpoint is damaged"):
            Checkpoints(tmp_path / "c").newest()
    assert len(list((tmp_path / "c").iterdir())) == 2  # nothing is deleted
    figures("F5 all checkpoints damaged", refused="always", deleted=0)


def test_only_what_is_old_and_whole_is_pruned(tmp_path) -> None:
    checkpoints = saved(tmp_path / "c", 1, 2, 3, 4, keep=2)
    assert checkpoints.steps() == [4, 3] and checkpoints.good == {4, 3}
    later = Checkpoints(tmp_path / "c", keep=2)  # has seen neither: they do not count, and stay
    later.save(5, write, {})
    later.settle()
    assert later.steps() == [5, 4, 3]
    later.held.add(3)  # still being pushed
    later.save(6, write, {})
    later.settle()
    assert later.steps() == [6, 5, 3]


def test_f14_the_order_is_that_of_the_steps(tmp_path, figures) -> None:
    checkpoints, choice = saved(tmp_path / "c", 2, 30, 100, 9), random.Random(0)
    for step in checkpoints.steps():
        os.utime(checkpoints.path(step), (choice.randrange(10**9), choice.randrange(10**9)))
    assert checkpoints.steps() == [100, 30, 9, 2] and checkpoints.newest() == (100, [])
    figures("F14 times of files at random", order="that of the steps")


def test_a_failing_disk_is_counted_and_leaves_nothing(tmp_path, capsys) -> None:
    checkpoints = saved(tmp_path / "c", 1)

    def full(folder: Path) -> None:
        (folder / "half").write_text("x" * 100)
        raise OSError(errno.ENOSPC, "No space left on device")

    for failures in range(1, FAILURES_ALLOWED + 1):
        assert not checkpoints.save(2, full, {}) and not checkpoints.settle()
        assert checkpoints.failures == failures
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["step-00000001"]
    assert "No space left on device" in capsys.readouterr().err
    assert checkpoints.save(3, write, {}) and checkpoints.settle() and checkpoints.failures == 0
    assert check_manifest(checkpoints.path(1)) and check_manifest(checkpoints.path(3))


def test_too_little_room_is_known_beforehand(tmp_path, monkeypatch) -> None:
    checkpoints = saved(tmp_path / "c", 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    assert not checkpoints.save(2, lambda folder: pytest.fail("it was tried"), {})
    assert "GB free" in checkpoints.last_error


def test_files_in_folders_belong_to_a_checkpoint(tmp_path: Path) -> None:
    """Sums, missing ones and strange ones, as those beside them; a name that leads out is none of it."""
    folder, inner = tmp_path / "c", tmp_path / "c/generator"
    inner.mkdir(parents=True)
    write(folder)
    write(inner)
    (tmp_path / "outside").write_bytes(b"x")
    seal_directory(folder, {})
    names = set(check_manifest(folder).files)
    assert {f"generator/{path.name}" for path in inner.iterdir()} < names
    (inner / "more").write_bytes(b"")
    with pytest.raises(Damaged, match="generator/more: not in the manifest"):
        check_manifest(folder)
    (inner / "more").unlink()
    (inner / "more").mkdir()
    with pytest.raises(Damaged, match="generator/more: not in the manifest"):
        check_manifest(folder)
    (inner / "more").rmdir()
    next(inner.iterdir()).unlink()
    with pytest.raises(Damaged, match="generator/.*: missing"):
        check_manifest(folder)
    for name in ("../outside", str(tmp_path / "outside"), "generator/../../outside"):
        write_manifest(folder, {}, {name: FileFacts(1, sha256(tmp_path / "outside"))})
        with pytest.raises(Damaged, match="missing"):
            check_manifest(folder, exact=False)


def test_a_manifest_from_the_future_is_not_damage(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("hf_embeddings.files.manifest.FORMAT", 2)
    write(tmp_path)
    seal_directory(tmp_path, {})
    monkeypatch.undo()
    with pytest.raises(ValueError, match="update hf-embeddings") as error:
        check_manifest(tmp_path)
    assert not isinstance(error.value, Damaged)


def test_f13_a_second_writer_is_refused_until_the_first_is_gone(tmp_path, figures) -> None:
    """Even one that was killed: the lock is the system's, not the file's."""
    line = (
        "import runpy, sys; from pathlib import Path; Lock = runpy.run_path(sys.argv[1])['Lock']\n"
        "lock = Lock(Path(sys.argv[2])); print('locked', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", line, lock_module.__file__, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "locked\n"
    began = time.process_time()
    with pytest.raises(ValueError, match=f"by process {other.pid}"):
        Lock(tmp_path)
    refused = time.process_time() - began
    other.kill()
    other.communicate()
    lock = Lock(tmp_path)
    assert json.loads((tmp_path / HOLDER).read_text())["process"] == os.getpid()
    lock.release()
    assert not list(tmp_path.iterdir())
    figures("F13 a second writer", refused_after=f"{1000 * refused:.1f} ms", let_in_when_the_first_was_killed=True)
    assert refused < 1


def test_what_a_killed_run_has_forked_does_not_hold_its_place(tmp_path) -> None:
    """Processes that make batches outlive a run that is killed, by seconds or, where they hang, for good."""
    line = (
        "import os, runpy, signal, sys; from pathlib import Path\n"
        "lock = runpy.run_path(sys.argv[1])['Lock'](Path(sys.argv[2]))\n"
        "os.fork() or print(os.getpid(), flush=True)\n"
        "signal.pause()"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", line, lock_module.__file__, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    child = int(run.stdout.readline())
    try:
        with pytest.raises(ValueError, match=f"by process {run.pid}"):
            Lock(tmp_path)
        run.kill()
        run.wait()
        os.kill(child, 0)  # it lives
        Lock(tmp_path).release()
    finally:
        os.kill(child, signal.SIGKILL)


def test_one_process_cannot_lock_twice(tmp_path) -> None:
    lock = Lock(tmp_path)
    with pytest.raises(ValueError, match=f"by process {os.getpid()}"):
        Lock(tmp_path)
    lock.release()
    Lock(tmp_path).release()
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_under_the_name_of_another_step_is_refused(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 20)
    checkpoints.path(20).rename(checkpoints.path(40))
    with pytest.raises(ValueError, match="step-00000040: its manifest says step 20; rename it to step-00000020"):
        Checkpoints(tmp_path).newest()
    assert Checkpoints(tmp_path).steps() == [40]
