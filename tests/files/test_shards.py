"""Laws of shards: what was written is read, of many as of one, and damage is an error with a name."""

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from hf_embeddings.files import shards
from hf_embeddings.files.manifest import sha256
from hf_embeddings.files.shards import Joined, Shard, ShardError, mapped_zeros, open_shard, write_shard

TYPES = (np.bool_, np.uint8, np.uint16, np.int32, np.uint32, np.int64, np.uint64)


@pytest.fixture
def parts(tmp_path: Path) -> tuple[list[Path], list[np.ndarray]]:
    """Shards of different lengths, one of them empty, whose rows count from zero."""
    lengths = (5, 0, 9000, 1, 30)
    arrays = [np.arange(2 * length, dtype=np.uint32).reshape(length, 2) for length in lengths]
    paths = [tmp_path / f"{number}.safetensors" for number in range(len(lengths))]
    for path, array in zip(paths, arrays, strict=True):
        write_shard(path, {"rows": array, "column": array[:, 0]})
    return paths, arrays


@pytest.mark.parametrize("dtype", TYPES)
def test_arrays_come_back_and_other_readers_read_them(tmp_path: Path, dtype: type) -> None:
    arrays = {
        "b": np.arange(12).reshape(4, 3).astype(dtype),
        "a": np.zeros(0, dtype=dtype),
        "odd": np.ones(3, np.bool_),
    }
    facts = write_shard(tmp_path / "x.safetensors", arrays)
    assert facts.to_dict() == {
        "size": os.stat(tmp_path / "x.safetensors").st_size,
        "sha256": sha256(tmp_path / "x.safetensors"),
    }
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]
    shard, theirs = Shard(tmp_path / "x.safetensors"), load_file(tmp_path / "x.safetensors")
    for name, array in arrays.items():
        for found in (shard[name], shard.rows(name, 0, len(array)), theirs[name]):
            assert found.dtype == array.dtype and np.array_equal(found, array)
    assert np.array_equal(shard.rows("b", 1, 3), arrays["b"][1:3])


@pytest.mark.parametrize("open_at_once", [1, 512])
def test_joined_arrays_read_as_one_array(
    parts: tuple[list[Path], list[np.ndarray]], monkeypatch: pytest.MonkeyPatch, open_at_once: int
) -> None:
    cached = shards.lru_cache(maxsize=open_at_once)(Shard)
    monkeypatch.setattr(shards, "open_shard", cached)
    paths, arrays = parts
    counts = np.array([len(array) for array in arrays])
    shifts = np.arange(10).reshape(5, 2) * 1_000_000
    whole = np.concatenate([array + shift for array, shift in zip(arrays, shifts, strict=True)])
    joined = Joined(paths, "rows", counts, shifts)
    column = Joined(paths, "column", counts)
    assert len(joined) == len(whole)
    random = np.random.default_rng(0)
    for index in (
        np.array([], dtype=np.int64),
        np.array([4, 5, 4, 9035, 0]),
        np.arange(len(whole))[::-1],
        random.integers(0, len(whole), size=500),
        np.arange(10, 8000, 7),
    ):
        assert np.array_equal(joined[index], whole[index])
    for piece in (slice(None), slice(3, 7), slice(5, 5), slice(9004, None), slice(0, 9036, 100), slice(-3, None)):
        assert np.array_equal(joined[piece], whole[piece])
    assert np.array_equal(joined[9004], whole[9004]) and column[5] == 0 and column[4] == 8


def test_other_and_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_shard(path, {"a": np.arange(100)})
    content = path.read_bytes()
    for damaged in (
        b"",
        b"text",
        content[:-1],
        content + b"x",
        b"\xff" * 8 + content[8:],
        content[:8] + b"[" + content[9:],
    ):
        path.write_bytes(damaged)
        with pytest.raises(ShardError, match=r"x\.safetensors: cannot be read as a shard \(.*\); prepare"):
            Shard(path)
    path.write_bytes(content)
    shard = Shard(path)
    os.truncate(path, len(content) - 8)
    with pytest.raises(ShardError, match="it has become shorter"):
        shard.rows("a", 90, 100)
    path.unlink()
    with pytest.raises(ShardError, match="No such file"):
        open_shard(path)


@pytest.mark.skipif(os.name == "nt", reason="counts the blocks of a file")
def test_a_new_array_has_its_space_before_it_is_written_to(tmp_path: Path) -> None:
    array = mapped_zeros(tmp_path / "array", 3_000_000)
    assert array.shape == (3_000_000,) and not array.any()
    assert (tmp_path / "array").stat().st_blocks * 512 >= 3_000_000
    array[-1] = 1
    del array
    assert (tmp_path / "array").read_bytes()[-2:] == b"\0\1"
