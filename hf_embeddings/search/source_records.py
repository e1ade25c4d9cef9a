"""From the documents of a source to the records of an index: an id for each, and none twice."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator

from hf_embeddings.corpora.document import Document
from hf_embeddings.search.records import Record

REPEATED = "repeated_documents"  # counted as the source's own statistics are


def read_records(
    documents: Iterable[Document], id_field: str, left_out: Counter[str] | None = None
) -> Iterator[Record]:
    """Give each document an id: its own, else its title or place where that is new, else a digest of its text.

    Documents that are the same as an earlier one are left out, and counted in `left_out`.

    Raises:
        ValueError: two documents that differ have one id of their own.
    """
    left_out = Counter() if left_out is None else left_out
    seen: dict[str, str] = {}  # the content of the document by its id
    for document in documents:
        metadata = dict(document.metadata)
        own, title = metadata.pop(id_field, None), metadata.get("title")
        content = hashlib.sha256(json.dumps([document.text, metadata]).encode()).hexdigest()[:16]
        names = [str(name) for name in ((title, content) if own is None else (own,)) if name is not None]
        if any(seen.get(name) == content for name in names):
            left_out[REPEATED] += 1
            continue
        id_ = next((name for name in names if name not in seen), None)
        if id_ is None:
            raise ValueError(
                f"{id_field} {names[0]!r}: two documents have it, and only one could be found by it; give each its "
                "own, or name another field with --id-field"
            )
        seen[id_] = content
        yield Record(id_, document.text, metadata)
