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


def fill_regions(text: str, writers: Mapping[str, Callable[[], str]]) -> tuple[str, list[str]]:
    """Rewrite each part that nobody has edited; return the text and the names of the parts that were kept."""
    edited_names: list[str] = []

    def write(match: re.Match[str]) -> str:
        name, body = match["name"], match["body"]
        if name not in writers:
            return match[0]
        if match["digest"] not in (None, digest(body)):
            edited_names.append(name)
            return match[0]
        new_body = writers[name]().strip()
        return f"<!-- begin {name} {digest(new_body)} -->\n{new_body}\n<!-- end {name} -->"

    return REGION.sub(write, text), edited_names


def merge_metadata(
    text: str, present: Mapping[str, object], fresh: Mapping[str, object]
) -> tuple[str, dict[str, Any], list[str]]:
    """Bring the metadata of a card up to date.

    Returns the text with the new digests, the metadata, and the names of the keys that people changed or removed.
    """
    match = METADATA.search(text)
    old_digests = dict(pair.split("=") for pair in match["digests"].split()) if match else {}
    metadata, digests, edited_keys = dict(present), dict(old_digests), []
    for key, value in fresh.items():
        has_edit = key in present if key not in old_digests else digest(present.get(key)) != old_digests[key]
        if has_edit and present.get(key) != value:
            edited_keys.append(key)
        else:
            metadata[key], digests[key] = value, digest(value)
    for key in sorted(set(old_digests) - set(fresh)):  # written by an earlier run, and no longer true
        if digest(metadata.get(key)) == old_digests[key]:
            del metadata[key], digests[key]
    comment = f"<!-- card {UNSEALED}" + "".join(f" {key}={value}" for key, value in sorted(digests.items())) + " -->"
    return METADATA.sub("\n", text).rstrip() + f"\n\n{comment}\n", metadata, edited_keys


def seal_card(card: str) -> str:
    """Return the whole card with its digest in the comment at its end."""
    return _with_seal(card, digest(_with_seal(card, UNSEALED)))


def is_edited(card: str) -> bool:
    """Tell whether a card is anything but what `seal_card` returned."""
    match = METADATA.search(card)
    return match is None or match["seal"] != digest(_with_seal(card, UNSEALED))


def _with_seal(card: str, value: str) -> str:
    return re.sub(r"<!-- card [0-9a-f]{12}", f"<!-- card {value}", card)


def digest(value: object) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of a text or of plain data."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
