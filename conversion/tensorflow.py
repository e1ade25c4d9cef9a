"""Read TensorFlow checkpoints (Saver V2) without TensorFlow.

`PREFIX.index` is a LevelDB table from variable names to entries; an entry says in which `PREFIX.data-SSSSS-of-NNNNN`,
from which byte on, in which type and shape a variable lies. See `tensor_bundle.proto` and `table_format.txt` in the
sources of TensorFlow and LevelDB. Every read is bounds-checked: damaged bytes raise ConversionError and nothing else.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch

from hf_embeddings.conversion.checkpoints import TensorHeader, refuse_pointer
from hf_embeddings.conversion.rules import ConversionError
from hf_embeddings.files.reading import open_file, read_bytes

MAGIC = 0xDB4775248B80FB57
FOOTER = 48  # bytes
LARGEST_INDEX = 256 << 20  # bytes; BERT-large's has 30 kB
TYPES = {1: torch.float32, 2: torch.float64, 14: torch.bfloat16, 19: torch.float16}
OTHER_TYPES = {3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string", 9: "int64", 10: "bool"}


@dataclass(frozen=True)
class Entry:
    """Where a variable lies."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int  # masked CRC32C of its bytes


class Tensorflow:
    """The variables behind a checkpoint prefix, such as `bert_model.ckpt`."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        path = prefix.with_name(f"{prefix.name}.index")
        if not path.is_file():
            raise ConversionError(f"{path}: no such file; expected the prefix of a checkpoint, such as bert_model.ckpt")
        refuse_pointer(path)
        if path.stat().st_size > LARGEST_INDEX:
            raise ConversionError(f"{path}: {path.stat().st_size:,} bytes, expected at most {LARGEST_INDEX:,}")
        try:
            self.entries, self.num_shards = read_index(read_bytes(path, most=LARGEST_INDEX))
        except ConversionError as error:
            raise ConversionError(f"{path}: {error}") from None
        self._check_shards()
        self.tensors = {
            name: TensorHeader(e.shape, TYPES.get(e.dtype), OTHER_TYPES.get(e.dtype, f"type {e.dtype}"))
            for name, e in self.entries.items()
        }
        self.checksum = _fast_checksum()

    def shard(self, number: int) -> Path:
        """Return the path of a data file."""
        return self.prefix.with_name(f"{self.prefix.name}.data-{number:05}-of-{self.num_shards:05}")

    def read(self, name: str) -> torch.Tensor:
        """Read one variable, and compare its checksum where a fast CRC32C is installed."""
        entry = self.entries[name]
        with open_file(self.shard(entry.shard)) as file:
            file.seek(entry.offset)
            data = bytearray(file.read(entry.size))
        if self.checksum and _mask(self.checksum(bytes(data))) != entry.checksum:
            raise ConversionError(f"{self.shard(entry.shard)}: the checksum of {name} is wrong; the file is damaged")
        if not data:
            return torch.empty(entry.shape, dtype=TYPES[entry.dtype])
        return torch.frombuffer(data, dtype=TYPES[entry.dtype]).reshape(entry.shape)

    def _check_shards(self) -> None:
        """Raise unless every variable lies inside an existing data file and has the bytes that its shape says."""
        sizes: dict[int, int] = {}
        for name, entry in self.entries.items():
            path = self.shard(entry.shard)
            if entry.shard not in sizes:
                refuse_pointer(path)
                sizes[entry.shard] = path.stat().st_size
            if not 0 <= entry.offset <= entry.offset + entry.size <= sizes[entry.shard]:
                raise ConversionError(f"{path}: truncated; {name} ends at byte {entry.offset + entry.size:,}")
            dtype = TYPES.get(entry.dtype)
            if dtype is not None and prod(entry.shape) * dtype.itemsize != entry.size:
                raise ConversionError(f"{self.prefix}.index: {name} of shape {entry.shape} has {entry.size:,} bytes")


def read_index(data: bytes) -> tuple[dict[str, Entry], int]:
    """Return the entries of an index by variable name, and the number of data files.

    Raises:
        ConversionError: the bytes are no index, or hold what is not supported; their meaning is in the message.
    """
    try:
        return _read_index(data)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise ConversionError(f"damaged: no readable index ({error})") from None


def _read_index(data: bytes) -> tuple[dict[str, Entry], int]:
    if len(data) < FOOTER or struct.unpack("<Q", data[-8:])[0] != MAGIC:
        raise ConversionError("no checkpoint index: the last bytes are not those of a table")
    place = _varint(data, _varint(data, len(data) - FOOTER)[1])[1]  # the handle of the metaindex is not needed
    table = _block(data, *_handle(data, place))
    entries: dict[str, Entry] = {}
    num_shards = None
    for _, handle in table:
        for key, value in _block(data, *_handle(handle, 0)):
            if key == b"":
                num_shards = _header(value)
            else:
                entries[key.decode()] = _entry(key.decode(), value)
    if num_shards is None or not entries:
        raise ConversionError("no checkpoint index: it has no header, or no variables")
    if beyond := [name for name, entry in entries.items() if not 0 <= entry.shard < num_shards]:
        raise ConversionError(f"{beyond[0]} lies in data file {entries[beyond[0]].shard} of {num_shards}")
    return entries, num_shards


def _block(data: bytes, offset: int, size: int) -> list[tuple[bytes, bytes]]:
    """Return the keys and values of one block of a LevelDB table."""
    if offset < 0 or size < 4 or offset + size + 5 > len(data):
        raise ConversionError("damaged: a block reaches beyond the end of the file")
    block, kind = data[offset : offset + size], data[offset + size]
    if kind != 0:
        raise ConversionError("compressed blocks, which TensorFlow does not write; expected plain ones")
    if _mask(_slow_checksum(data[offset : offset + size + 1])) != struct.unpack_from("<I", data, offset + size + 1)[0]:
        raise ConversionError("damaged: the checksum of a block is wrong")
    return list(_records(block))


def _records(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Undo the prefix compression: each key repeats the first `shared` bytes of the one before."""
    end = len(block) - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    place, key = 0, b""
    while place < end:
        prefix_length, place = _varint(block, place)
        fresh, place = _varint(block, place)
        length, place = _varint(block, place)
        if prefix_length > len(key) or place + fresh + length > end:
            raise ConversionError("damaged: a record reaches beyond its block")
        key = key[:prefix_length] + block[place : place + fresh]
        yield key, block[place + fresh : place + fresh + length]
        place += fresh + length


def _handle(data: bytes, place: int) -> tuple[int, int]:
    offset, place = _varint(data, place)
    return offset, _varint(data, place)[0]


def _header(message: bytes) -> int:
    fields = {number: value for number, value in _fields(message) if isinstance(value, int)}
    if fields.get(2, 0) != 0:
        raise ConversionError("big-endian numbers; expected little-endian ones")
    if not 1 <= fields.get(1, 0) <= 99999:
        raise ConversionError(f"{fields.get(1, 0)} data files, expected 1 to 99999")
    return fields[1]


def _entry(name: str, message: bytes) -> Entry:
    fields: dict[int, int] = {}
    shape: list[int] = []
    for number, value in _fields(message):
        if number == 7:
            raise ConversionError(f"{name} is partitioned over several entries; save the checkpoint without partitions")
        if number == 2 and isinstance(value, bytes):
            shape = [_size(name, dim) for n, dim in _fields(value) if n == 2 and isinstance(dim, bytes)]
        elif isinstance(value, int):
            fields[number] = value
    return Entry(fields.get(1, 0), tuple(shape), fields.get(3, 0), fields.get(4, 0), fields.get(5, 0), fields.get(6, 0))


def _size(name: str, message: bytes) -> int:
    size = next((value for number, value in _fields(message) if number == 1 and isinstance(value, int)), 0)
    if size >= 1 << 62:
        raise ConversionError(f"{name}: a dimension of unknown or impossible size")
    return size


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a protocol buffer: integers, and bytes for whatever has a length."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield number, value
        elif kind in (1, 5):
            width = 8 if kind == 1 else 4
            if place + width > len(message):
                raise ConversionError("damaged: a number reaches beyond its message")
            yield number, int.from_bytes(message[place : place + width], "little")
            place += width
        elif kind == 2:
            length, place = _varint(message, place)
            if place + length > len(message):
                raise ConversionError("damaged: a field reaches beyond its message")
            yield number, message[place : place + length]
            place += length
        else:
            raise ConversionError(f"damaged: a field of the unknown kind {kind}")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return an integer of seven bits a byte, and the place after it."""
    result = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, place
    raise ConversionError("damaged: an integer of more than ten bytes")


def _mask(checksum: int) -> int:
    """Return the form in which LevelDB stores a CRC, so that a CRC of data with CRCs in it stays useful."""
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _fast_checksum() -> Callable[[bytes], int] | None:
    """Return a CRC32C in native code, None where none is installed (`pip install google-crc32c`)."""
    try:
        from google_crc32c import value
    except ImportError:
        return None
    return value


def _slow_checksum(data: bytes) -> int:
    """CRC32C in plain Python: fast enough for an index, not for weights."""
    checksum = 0xFFFFFFFF
    for byte in data:
        checksum = CRC_TABLE[(checksum ^ byte) & 0xFF] ^ (checksum >> 8)
    return checksum ^ 0xFFFFFFFF


def _crc_row(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    return byte


CRC_TABLE = tuple(_crc_row(byte) for byte in range(256))
