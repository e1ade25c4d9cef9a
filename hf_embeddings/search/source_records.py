"""From the documents of a source to the records of an index: an id for each, and none twice.

An id is the document's own, where the source has a field for it. A docstring has the name of what it documents. Any
other document is named by its file and a digest of its content, so an edited file keeps the ids of what it still holds.
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from hf_embeddings.corpora.document import Document
from hf_embeddings.corpora.sources import INSTALLED, SCHEMES, origin_of, parts_of
from hf_embeddings.json_text import as_given
from hf_embeddings.search.records import Record, as_kept

REPEATED = "repeated_documents"  # counted as the source's own statistics are
_DERIVED = re.compile("#[0-9a-f]{16}$")
Scope = tuple[str, str]  # the least id of a range, and the first one behind it


def is_derived(id_: str) -> bool:
    """Tell whether an id was made of a file and a digest."""
    return _DERIVED.search(id_) is not None


def read_records(
    documents: Iterable[Document], id_field: str, left_out: Counter[str] | None = None
) -> Iterator[Record]:
    """Give each document an id: its own, the name of what it documents, or its file and a digest of its content.

    Documents that are the same as an earlier one of their file are left out, and counted in `left_out`.

    Raises:
        ValueError: two documents that differ have one id of their own, or an id is no text and no number.
    """
    left_out = Counter() if left_out is None else left_out
    seen_digests: dict[str, tuple[str, str]] = {}  # by id the content of the document, and its place
    for document in documents:
        metadata = as_kept(document.metadata)
        own = _own_id(metadata.pop(id_field, None), id_field, document.place)
        content = _digest(document, metadata)
        names = _names(document, own, content)
        if any(seen_digests.get(name, ("", ""))[0] == content for name in names):
            left_out[REPEATED] += 1
            continue
        id_ = next((name for name in names if name not in seen_digests), None)
        if id_ is None:
            places = " and ".join(filter(None, (seen_digests[names[0]][1], document.place))) or "the same source"
            raise ValueError(
                f"{id_field} {names[0]!r}: two documents have it, in {places}, and only one could be found by it; give "
                "each its own, or name another field with --id-field"
            )
        seen_digests[id_] = (content, document.place)
        yield Record(id_, document.text, metadata)


def scopes_of(source: str) -> list[Scope]:
    """Return the ranges of derived ids that belong to the files of a source, those that have gone included."""
    path = os.path.expanduser(source)
    if not source.startswith(tuple(SCHEMES)) and os.path.isdir(path):
        folder = os.path.realpath(path).rstrip(os.sep)
        inside = (folder + os.sep, folder + chr(ord(os.sep) + 1))
        return [inside, (f"{folder}#", f"{folder}$")]  # the second of a saved dataset, whose rows are of the folder
    return [(f"{origin}#", f"{origin}$") for origin in map(origin_of, parts_of(source))]


def _own_id(value: object, id_field: str, place: str) -> str | None:
    """Return the id that a document has of its own; None where its field is missing or null.

    Raises:
        ValueError: it is blank, true or false, a list or an object, by which nobody would find it.
    """
    if value is None or (type(value) in (str, int, float) and str(value).strip()):
        return None if value is None else str(value)
    raise ValueError(
        f"{place or 'a document'}: got {as_given(value)} in the field {id_field!r}, expected an id, a text or a "
        "number; fix it, or name another field with --id-field"
    )


def _names(document: Document, own: str | None, content: str) -> list[str]:
    """Return the ids that a document may have, from the best."""
    title = document.metadata.get("title")
    if own is not None:
        return [own]
    if document.origin.startswith(INSTALLED) and title is not None:
        return [str(title), content]  # of a thing that is documented twice, as under two conditions
    return [f"{document.origin}#{content}"]


def _digest(document: Document, metadata: dict[str, object]) -> str:
    content = {name: value for name, value in metadata.items() if name not in document.place_fields}
    return hashlib.sha256(json.dumps([document.text, content]).encode()).hexdigest()[:16]
