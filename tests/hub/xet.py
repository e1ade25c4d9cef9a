"""The Xet store behind the server: a directory that the real client reads and writes when it is told `local://DIR`.

The commit names a large file by its SHA-256 and the store by the hash of its chunks; the shards in the store hold both.
"""

import struct
import tempfile
from pathlib import Path

RECORD = 48  # bytes of every record of a shard: https://github.com/huggingface/xet-core, mdb_shard
VERIFICATION, METADATA = 1 << 31, 1 << 30  # flags of a file: which records follow its segments
BOOKEND = b"\xff" * 32


def xet_hash(folder: Path, sha256: str) -> str | None:
    """Return the hash under which the store holds the file of the given SHA-256, or None."""
    for shard in sorted(folder.glob("xet/xorbs/shards/*.mdb")):
        data, at = shard.read_bytes(), RECORD
        while data[at : at + 32] != BOOKEND:
            flags, segments = struct.unpack_from("<II", data, at + 32)
            file_hash = data[at : at + 32]
            at += RECORD * (1 + segments * (2 if flags & VERIFICATION else 1))
            if flags & METADATA:
                if _hexadecimal(data[at : at + 32]) == sha256:
                    return _hexadecimal(file_hash)
                at += RECORD
    return None


def read(folder: Path, file_hash: str, size: int) -> bytes:
    """Return the bytes of a file of the store, for clients that do not speak Xet."""
    from hf_xet import XetFileInfo, XetSession

    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "file"
        with XetSession().new_file_download_group(
            endpoint=f"local://{folder}", token="", token_expiry_unix_secs=0
        ) as g:
            g.start_download_file(XetFileInfo(file_hash, size), str(path))
        return path.read_bytes()


def _hexadecimal(raw: bytes) -> str:
    """Write a hash as Xet does: as four little-endian numbers."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))
