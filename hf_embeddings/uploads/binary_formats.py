"""Parsers of binary files, as far as it takes to know that they are what their names say, to the last byte."""

import mmap
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open

Buffer = bytes | mmap.mmap
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers
_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"sPLT")  # chunks of PNG that hold text, or have a name
_CHUNKS = {*_TEXTS, *b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP sBIT bKGD hIST pHYs sPLT tIME".split()}
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9  # fields of ONNX: of a model, a graph, a tensor
_LARGEST = 1 << 28  # bytes of a file that is read whole: text, pictures, events
_LARGEST_TEXT = 1 << 20  # bytes of a text in a picture


def read_safetensors(path: Path) -> list[Buffer]:
    """Return the header of a file of weights, where its strings are.

    Raises:
        ValueError: it is none, or holds more or less than the header lists.
    """
    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        raise ValueError(f"not safetensors ({error})") from None
    with path.open("rb") as file:
        return [file.read(int.from_bytes(file.read(8), "little"))]


def read_onnx(path: Path) -> list[Buffer]:
    """Return the bytes of an ONNX model, but for its weights.

    Raises:
        ValueError: it is none, or it names the files of the machine that exported it.
    """
    content = mapped(path)
    entries = list(fields(content))
    if not {1, _GRAPH} <= {number for number, *_ in entries} <= {1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26}:
        raise ValueError("not an ONNX model")
    parts, place = [], 0
    for graph in (field for field in entries if field[0] == _GRAPH):
        for weights in (field for field in fields(content, *graph[2:]) if field[0] == _INITIALIZER):
            for number, _, start, end in fields(content, *weights[2:]):
                if number == _RAW_DATA:
                    parts.append(content[place:start])
                    place = end
    text = b"".join([*parts, content[place:]])
    if b'File "/' in text:
        raise ValueError('it holds paths of the machine that exported it (File "/...); export it again')
    return [text]


def read_sentencepiece(path: Path) -> list[Buffer]:
    """Return the bytes of a SentencePiece model.

    Raises:
        ValueError: it is none, or it names files of the machine that it was trained on.
    """
    content = content_of(path)
    entries = list(fields(content))
    if not {1, 2} <= {number for number, *_ in entries} <= {1, 2, 3, 4, 5}:
        raise ValueError("not a SentencePiece model")
    for number, _, start, end in entries:
        if number == 2:  # what it was trained with: 1 is the list of files, 2 the prefix of what was written
            trainer = content[start:end]
            names = [trainer[a:b] for part, wire, a, b in fields(trainer) if part in (1, 2) and wire == BYTES]
            if any(name.startswith(b"/") or name[1:3] in (b":\\", b":/") for name in names):
                raise ValueError("it names files of the machine that it was trained on")
    return [content]


def read_events(path: Path) -> list[Buffer]:
    """Return the bytes of a file of TensorBoard events, whose last record may be cut off.

    Raises:
        ValueError: it is none.
    """
    content, place = content_of(path), 0
    while place + 12 <= len(content):
        (size,) = struct.unpack_from("<Q", content, place)
        start, place = place + 12, place + 16 + size
        if place > len(content):
            break
        kinds = {(number, wire) for number, wire, *_ in fields(content[start : start + size])}
        if (1, FIXED64) not in kinds or max(number for number, _ in kinds) > 10:  # 1 is the time of the event
            raise ValueError("not a file of TensorBoard events")
        if start == 12 and b"brain.Event:" not in content[start : start + size]:
            raise ValueError("not a file of TensorBoard events")
    if not content.find(b"brain.Event:", 0, 64) > 0:
        raise ValueError("not a file of TensorBoard events")
    return [content]


def read_png(path: Path) -> list[Buffer]:
    """Return the texts in a PNG picture.

    Raises:
        ValueError: it is none, or holds something beside pixels, colours and texts.
    """
    content, texts, place, kind = content_of(path), [], 8, b""
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ValueError("not a PNG picture")
    while place + 12 <= len(content) and kind != b"IEND":
        size, kind = struct.unpack_from(">I4s", content, place)
        body, place = content[place + 8 : place + 8 + size], place + 12 + size
        if kind not in _CHUNKS:
            raise ValueError(f"a PNG picture with a part {kind.decode(errors='replace')!r}, which may hold anything")
        if len(body) < size or content[place - 4 : place] != struct.pack(">I", zlib.crc32(kind + body)):
            raise ValueError("a damaged PNG picture")
        if kind in _TEXTS:
            texts += _picture_texts(kind, body)
    if kind != b"IEND" or place != len(content):
        raise ValueError("a PNG picture with other data after its end")
    return list(texts)


def content_of(path: Path) -> bytes:
    """Return the bytes of a file that is searched as a whole.

    Raises:
        ValueError: it has more of them than any file of its kind.
    """
    if (size := path.stat().st_size) > _LARGEST:
        raise ValueError(f"got {size:,} bytes, expected at most {_LARGEST:,} of this kind of file; leave it out")
    return path.read_bytes()


def mapped(path: Path) -> Buffer:
    """Return the bytes of a file, read as they are needed."""
    with path.open("rb") as file:
        try:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file
            return b""


def fields(content: Buffer, place: int = 0, limit: int | None = None) -> Iterator[tuple[int, int, int, int]]:
    """Yield the fields of a protocol buffer: number, wire type, and where the value starts and ends.

    Args:
        content: bytes that hold it.
        place: where it begins.
        limit: where it ends; None is the end of the bytes.

    Raises:
        ValueError: these bytes are none.
    """
    limit = len(content) if limit is None else limit
    while place < limit:
        tag, start = _varint(content, place)
        number, wire, end = tag >> 3, tag & 7, -1
        if wire == VARINT:
            _, end = _varint(content, start)
        elif wire == BYTES:
            size, start = _varint(content, start)
            end = start + size
        elif wire in (FIXED64, FIXED32):
            end = start + (8 if wire == FIXED64 else 4)
        if not number or not start <= end <= limit:
            raise ValueError("not a protocol buffer")
        yield number, wire, start, end
        place = end


def _varint(content: Buffer, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(content) and shift < 64:
        byte = content[place]
        value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return value, place
    raise ValueError("not a protocol buffer")


def _picture_texts(kind: bytes, body: bytes) -> list[bytes]:
    """Return a chunk, and what is compressed in it.

    Raises:
        ValueError: that is damaged, or longer than any text.
    """
    name, _, rest = body.partition(b"\0")
    if kind == b"iTXt" and rest[:1] == b"\1":  # behind two bytes a language, and the name once more in that language
        stream = rest[2:].split(b"\0", 2)[-1]
    elif kind in (b"zTXt", b"iCCP"):
        stream = rest[1:]
    else:
        return [body]
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(stream, _LARGEST_TEXT)
    except zlib.error:
        raise ValueError(f"a PNG picture with a damaged text {name[:40].decode('latin-1')!r}") from None
    if unpacking.unconsumed_tail:
        raise ValueError(f"a PNG picture with a text of more than {_LARGEST_TEXT:,} bytes")
    return [body, text]
