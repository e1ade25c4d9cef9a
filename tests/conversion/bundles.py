"""Write checkpoints in the bytes of TensorFlow's Saver V2, as an independent check of the reader."""

import struct
from pathlib import Path

import google_crc32c
import numpy as np

KINDS = {"float32": 1, "float64": 2, "int64": 9, "float16": 19}


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value) if value else b""


def message(field: int, value: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(value)) + value


def masked(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def entry(array: np.ndarray, shard: int, offset: int, data: bytes, slices: bool = False) -> bytes:
    shape = b"".join(message(2, number(1, size)) for size in array.shape)
    where = number(3, shard) + number(4, offset) + number(5, len(data))
    checksum = varint(6 << 3 | 5) + struct.pack("<I", masked(data))
    kind = number(1, KINDS[str(array.dtype)]) + message(2, shape)
    return kind + where + checksum + (message(7, b"") if slices else b"")


def block(records: list[tuple[bytes, bytes]], restart_every: int = 16) -> bytes:
    out, restarts, last = b"", [], b""
    for index, (key, value) in enumerate(records):
        shared = 0
        if index % restart_every:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        else:
            restarts.append(len(out))
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    restarts = restarts or [0]
    return out + b"".join(struct.pack("<I", place) for place in restarts) + struct.pack("<I", len(restarts))


def table(records: list[tuple[bytes, bytes]], per_block: int = 20) -> bytes:
    out, handles = b"", []

    def add(data: bytes) -> bytes:
        nonlocal out
        place = len(out)
        out += data + b"\0" + struct.pack("<I", masked(data + b"\0"))
        return varint(place) + varint(len(data))

    for start in range(0, len(records), per_block):
        part = records[start : start + per_block]
        handles.append((part[-1][0] + b"\xff", add(block(part))))
    meta, index = add(block([])), add(block(handles, 1))
    return out + (meta + index).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def write_bundle(
    prefix: Path, variables: dict[str, np.ndarray], *, shards: int = 1, endian: int = 0, sliced: str = ""
) -> None:
    """Write `PREFIX.index` and its data files."""
    data = [b""] * shards
    records = [(b"", number(1, shards) + number(2, endian) + message(3, number(1, 1)))]
    for place, name in enumerate(sorted(variables)):
        raw = variables[name].tobytes()
        shard = place % shards
        records.append((name.encode(), entry(variables[name], shard, len(data[shard]), raw, name == sliced)))
        data[shard] += raw
    prefix.with_name(prefix.name + ".index").write_bytes(table(records))
    for shard in range(shards):
        prefix.with_name(f"{prefix.name}.data-{shard:05}-of-{shards:05}").write_bytes(data[shard])
