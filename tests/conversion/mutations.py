"""Damage bytes in many ways, reproducibly."""

import random
from collections.abc import Iterator
from pathlib import Path


def mutations(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Yield `count` damaged copies: bits flipped, bytes set, parts cut out, doubled, swapped, or the end lost."""
    draw = random.Random(seed)
    for _ in range(count):
        damaged = bytearray(data)
        for _ in range(draw.choice((1, 1, 1, 2, 4))):
            damage(damaged, draw)
            damaged = damaged or bytearray(b"\0")
        yield bytes(damaged)


def damage(data: bytearray, draw: random.Random) -> None:
    """Do one thing to the bytes, in their place."""
    place, length = draw.randrange(len(data)), draw.choice((1, 1, 2, 4, 8, 64))
    kind = draw.randrange(6)
    if kind == 0:
        data[place] ^= 1 << draw.randrange(8)
    elif kind == 1:
        data[place] = draw.choice((0, 1, 127, 128, 255))
    elif kind == 2:
        data[place : place + length] = draw.randbytes(length)
    elif kind == 3 and len(data) > length + 1:
        del data[place : place + length]
    elif kind == 4:
        data[place:place] = data[place : place + length]
    elif kind == 5 and draw.random() < 0.2:
        del data[max(1, place) :]


def write_anew(path: Path, data: bytes) -> None:
    """Write a file that may be there already: ext4 forces one that is cut to nothing and written again to the disk."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
