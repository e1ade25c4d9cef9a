"""The three vectors of each piece, their sum, and what becomes of it when one of them is exchanged.

Shapes: S pieces, E width, T segments.
"""

import numpy as np
import torch

from hf_embeddings.analysis.input_sum import decompose
from hf_embeddings.explaining.explanation import Exchange, InputSum, Summand, SummandName
from hf_embeddings.model.modeling_triembed import TriEmbedModel

SHOWN = 64  # values of a vector in its strip: each is a cell that can be seen
MOST_SEGMENTS = 4  # by which a segment is exchanged
PARTS: tuple[SummandName, ...] = ("token", "position", "segment")


@torch.no_grad()
def explain_sum(model: TriEmbedModel, input_ids: torch.Tensor, segments: torch.Tensor | None) -> InputSum:
    """Take the input sum of ids (1, S) apart; `segments` (1, S) is None for a model without them."""
    length = input_ids.shape[1]
    parts = model.embedding_parts(input_ids, token_type_ids=segments)
    vectors = {
        name: part[0].expand(length, -1).double().numpy() for name, part in parts._asdict().items() if part is not None
    }
    total = sum(vectors.values())
    assert isinstance(total, np.ndarray), "there is a token vector"
    measures = decompose(vectors)
    summands = [
        Summand(name, vectors[name][:, :SHOWN], own.norm, own.cosine, own.share)
        for name in PARTS
        if (own := measures.get(name)) is not None
    ]
    tables = {"position": vectors.get("position"), "segment": _segment_rows(model)}
    exchanges = {name: _exchange(total, vectors[name], table) for name, table in tables.items() if table is not None}
    return InputSum(
        width=total.shape[1],
        summands=summands,
        strip=total[:, :SHOWN],
        norm=np.linalg.norm(total, axis=1),
        positions=exchanges.get("position"),
        segments=exchanges.get("segment"),
    )


def _segment_rows(model: TriEmbedModel) -> np.ndarray | None:
    """Return rows (T, E) of the segment table; None where there are not two."""
    table = model.embeddings.segment
    if table is None or table.num_embeddings < 2:
        return None
    return table.weight[:MOST_SEGMENTS].double().numpy()


def _exchange(total: np.ndarray, own: np.ndarray, others: np.ndarray) -> Exchange:
    """Put each of `others` (O, E) in the place of `own` (S, E) in `total` (S, E)."""
    changed = (total - own)[:, None] + others  # (S, O, E)
    norm = np.linalg.norm(changed, axis=-1)
    product = np.einsum("sd,sod->so", total, changed)
    return Exchange(
        others[:, :SHOWN], product / np.maximum(np.linalg.norm(total, axis=-1)[:, None] * norm, 1e-12), norm
    )
