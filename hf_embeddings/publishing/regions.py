"""The parts of a model card that are written by machine, and how edits that people made to them survive.

A part stands between `<!-- begin NAME DIGEST -->` and `<!-- end NAME -->`. The digest is that of the text as it was
written: where it no longer fits, somebody has edited the part, and it is theirs from then on. Metadata works the same
way, key by key, with the digests in one comment at the end of the card, where the digest of the whole card stands too.
What stands outside of the parts is never touched.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

REGION = re.compile(
    r"<!-- begin (?P<name>[a-z]+)(?: (?P<digest>[0-9a-f]{12}))? -->\n(?P<body>.*?)\n?<!-- end (?P=name) -->", re.DOTALL
)
METADATA = re.compile(r"\n*<!-- card (?P<seal>[0-9a-f]{12})(?P<digests>(?: [\w-]+=[0-9a-f]{12})*) -->\n*")
UNSEALED = "0" * 12


def fill(text: str, writers: Mapping[str, Callable[[], str]]) -> tuple[str, list[str]]:
    """Rewrite each part that nobody has edited; return the text and the names of the parts that were kept."""
    kept: list[str] = []

    def write(found: re.Match[str]) -> str:
        name, body = found["name"], found["body"]
        if name not in writers:
            return found[0]
        if found["digest"] not in (None, digest(body)):
            kept.append(name)
            return found[0]
        written = writers[name]().strip()
        return f"<!-- begin {name} {digest(written)} -->\n{written}\n<!-- end {name} -->"

    return REGION.sub(write, text), kept


def merge_metadata(
    text: str, present: Mapping[str, object], fresh: Mapping[str, object]
) -> tuple[str, dict[str, Any], list[str]]:
    """Bring the metadata of a card up to date.

    Returns the text with the new digests, the metadata, and the names of the keys that people changed or removed.
    """
    found = METADATA.search(text)
    written = dict(pair.split("=") for pair in found["digests"].split()) if found else {}
    metadata, digests, kept = dict(present), dict(written), []
    for key, value in fresh.items():
        edited = key in present if key not in written else digest(present.get(key)) != written[key]
        if edited and present.get(key) != value:
            kept.append(key)
        else:
            metadata[key], digests[key] = value, digest(value)
    for key in sorted(set(written) - set(fresh)):  # written by an earlier run, and no longer true
        if digest(metadata.get(key)) == written[key]:
            del metadata[key], digests[key]
    comment = f"<!-- card {UNSEALED}" + "".join(f" {key}={value}" for key, value in sorted(digests.items())) + " -->"
    return METADATA.sub("\n", text).rstrip() + f"\n\n{comment}\n", metadata, kept


def seal(card: str) -> str:
    """Return the whole card with its digest in the comment at its end."""
    return _with_seal(card, digest(_with_seal(card, UNSEALED)))


def is_edited(card: str) -> bool:
    """Tell whether a card is anything but what `seal` returned."""
    found = METADATA.search(card)
    return found is None or found["seal"] != digest(_with_seal(card, UNSEALED))


def _with_seal(card: str, value: str) -> str:
    return re.sub(r"<!-- card [0-9a-f]{12}", f"<!-- card {value}", card)


def digest(value: object) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of a text or of plain data."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
