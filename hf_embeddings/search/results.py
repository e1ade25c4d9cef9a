"""What a search finds, as people read it and as JSON."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from hf_embeddings.printable import one_line

UNSPELLED = "the vocabulary of the model cannot spell all of this query ([UNK]); its results say little"
_LINES = 3  # of text for each result


@dataclass(frozen=True)
class Hit:
    """One result of a search: the best passage of a document."""

    id: str
    # Dot product of the query's vector and the passage's; the cosine where vectors are normalised; or a reranker's.
    score: float
    text: str
    metadata: dict[str, object]
    passage: int = 0  # number of the passage in its document: see `passages.py`
    row: int = -1  # of the passage's vector


def as_json(hits: Sequence[Hit]) -> list[dict[str, object]]:
    """Return hits as JSON values, without the row, which is a matter of the index."""
    return [{name: value for name, value in asdict(hit).items() if name != "row"} for hit in hits]


def render_hits(hits: Sequence[Hit], width: int = 100) -> str:
    """Write hits as numbered entries: score, title or id, the first lines of the passage, the other metadata."""
    if not hits:
        return "nothing found"
    return "\n\n".join(_entry(number, hit, width) for number, hit in enumerate(hits, 1))


def _entry(number: int, hit: Hit, width: int) -> str:
    title = one_line(str(hit.metadata.get("title") or hit.id))
    passage = f"  (passage {hit.passage + 1})" if hit.passage > 0 else ""
    lines = textwrap.wrap(one_line(" ".join(hit.text.split())), width - 4, max_lines=_LINES, placeholder=" ...")
    rest = ", ".join(f"{name} {value}" for name, value in hit.metadata.items() if name != "title" and value != title)
    rest = one_line(rest)
    body = "\n".join(f"    {line}" for line in lines)
    return f"{number:2}. {hit.score:.3f}  {title}{passage}\n{body}" + (f"\n    [{rest}]" if rest else "")
