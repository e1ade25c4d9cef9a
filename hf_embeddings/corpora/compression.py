"""Files of text, compressed or not, opened to be read; what is something else is refused by its first bytes."""

import io
import os
from typing import Any

from hf_embeddings.corpora.document import CorpusError
from hf_embeddings.files.reading import encoding_of

EXPANSION = 4  # a guess at the text in a byte of a compressed file, for the time left
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".xz": "xz"}  # may follow every suffix but .parquet
_FIRST_BYTES = {
    b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd", b"\x50\x2a\x4d\x18": "zstd", b"\xfd7zXZ\0": "xz",
    b"PK\x03\x04": "a zip archive", b"7z\xbc\xaf": "a 7z archive", b"%PDF-": "a PDF", b"PAR1": "Parquet",
    b"\xd0\xcf\x11\xe0": "an old Office document", b"SQLite format 3": "an SQLite database",
}  # fmt: skip
_LONGEST = max(map(len, _FIRST_BYTES))


def suffix_of(path: str) -> str:
    """Return what a file name ends with, in lower case and before that of a compression."""
    name, suffix = os.path.splitext(path.lower())
    return os.path.splitext(name)[1] if suffix in COMPRESSIONS else suffix


def compression_of(path: str) -> str | None:
    """Return the compression that a file name tells of."""
    return COMPRESSIONS.get(os.path.splitext(path)[1].lower())


def open_text(path: str) -> io.BufferedReader:
    """Open a file that may be compressed.

    Raises:
        CorpusError: its content is of another kind than its name says, or in UTF-16 or UTF-32.
        OSError: it cannot be read.
    """
    compression = compression_of(path)
    file = open(path, "rb")  # noqa: SIM115  the caller closes it
    try:
        _check_content(file.peek(_LONGEST), compression, path)
        if compression is not None:
            file.close()
            file = _decompressed(path, compression)
            _check_content(file.peek(_LONGEST), None, path)
    except BaseException:
        file.close()
        raise
    return file


def _decompressed(path: str, compression: str) -> io.BufferedReader:
    if compression == "xz":
        return io.BufferedReader(_Xz(path))
    import pyarrow

    return io.BufferedReader(pyarrow.input_stream(path, compression=compression))


class _Xz(io.RawIOBase):
    """A file compressed by xz whose errors are of the system's kind, as those of the other compressions are."""

    def __init__(self, path: str) -> None:
        import lzma

        self._file, self._errors = lzma.open(path), (lzma.LZMAError, EOFError)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  a view into memory
        try:
            content = self._file.read(len(buffer))
        except self._errors as error:
            raise OSError(str(error)) from None
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()


def _check_content(start: bytes, compression: str | None, path: str) -> None:
    kind = next((kind for mark, kind in _FIRST_BYTES.items() if start.startswith(mark)), None)
    if compression is not None:
        if start and kind != compression:
            raise CorpusError(f"{path}: got no {compression} data, expected them by its name; rename or restore it")
    elif kind == "bz2" and not start[4:].startswith(b"1AY&"):  # a text that begins with these letters
        return
    elif kind is not None:
        raise CorpusError(f"{path}: got {kind}, expected text by its name; name it by its kind, or unpack it")
    elif encoding := encoding_of(start):
        raise CorpusError(f"{path}: got {encoding}, expected UTF-8 text; save the file as UTF-8")
