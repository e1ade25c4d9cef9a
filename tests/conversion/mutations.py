"""Damage bytes in many ways, reproducibly."""

import copy
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any


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


def json_mutations(value: object, count: int, seed: int = 0) -> Iterator[bytes]:
    """Yield `count` texts of JSON: damaged bytes by turns with values of wrong types, and keys lost or renamed."""
    draw = random.Random(seed)
    data = json.dumps(value).encode()
    for number, damaged in enumerate(mutations(data, count, seed)):
        yield damaged if number % 2 else json.dumps(wrongly_typed(value, draw)).encode()


WRONG = (None, True, -1, 3, 2**63, 10**400, 1e308, float("nan"), "", "x", "\ud800", "9" * 999, [], {}, [[]], {"": {}})


def wrongly_typed(value: Any, draw: random.Random) -> Any:
    """Return a copy in which something is of another type, missing, or under another name."""
    inside = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not inside or draw.random() < 0.1:
        return draw.choice(WRONG)
    copied, place = copy.copy(value), draw.choice(inside)
    kind = draw.randrange(6)
    if kind == 0:
        del copied[place]
    elif kind == 1 and isinstance(copied, dict):
        copied[f"{place}_"] = copied.pop(place)
    else:
        copied[place] = wrongly_typed(copied[place], draw)
    return copied


def read_mutations(
    inputs: Iterable[bytes], read: Callable[[bytes], object], errors: tuple[type[BaseException], ...], *, slowest: float
) -> tuple[dict[str, int], float]:
    """Read damaged inputs: each is read or refused in one line by one of `errors`, and none is slow.

    Returns:
        How many were read and how many refused; the seconds of the slowest.
    """
    outcomes, longest = {"read": 0, "refused": 0}, 0.0
    for damaged in inputs:
        started = time.process_time()
        try:
            read(damaged)
            outcomes["read"] += 1
        except errors as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
        except BaseException as error:
            raise AssertionError(f"{error!r} of {damaged[:2000]!r}") from error
        longest = max(longest, time.process_time() - started)
    assert longest < slowest
    return outcomes, longest
