"""Score each passage together with its query by a cross-encoder, and put the best first.

A cross-encoder reads query and passage at once, which is better and far slower than to compare two vectors: so it is
given the passages that the vectors find.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hf_embeddings.loading.messages import quiet_loading
from hf_embeddings.loading.model_names import check_model_or_id
from hf_embeddings.pip_extras import require
from hf_embeddings.search.results import Hit

DEPTH = 5  # documents that are scored for each one that is shown


class Reranker:
    """A cross-encoder with one score, such as `examples/reranker.py` trains."""

    def __init__(self, source: str) -> None:
        """Load a directory or Hub id that `CrossEncoder` of sentence-transformers reads.

        Raises:
            ValueError: there is none, or it gives several scores.
        """
        require("embed", "sentence_transformers")
        check_model_or_id(source, "--rerank")
        from sentence_transformers import CrossEncoder

        import hf_embeddings  # noqa: F401  registers TriEmbed with the Auto classes

        with quiet_loading():
            self.model: Any = CrossEncoder(source, trust_remote_code=False)
        head = next((name for name in self.model[0].model.config.architectures or () if "Classification" in name), None)
        if head is None or self.model.num_labels != 1:
            raise ValueError(
                f"--rerank {source}: a {head or 'model without a classifier'} with {self.model.num_labels} scores, "
                "expected a cross-encoder with one; train one with examples/reranker.py"
            )

    def rerank(self, query: str, hits: Sequence[Hit], k: int) -> list[Hit]:
        """Return the k best hits by the scores of the cross-encoder, best first; of equal ones, the nearer first."""
        if not hits:
            return []
        scores = self.model.predict([(query, hit.text) for hit in hits], show_progress_bar=False)
        rescored = [replace(hit, score=float(score)) for hit, score in zip(hits, scores, strict=True)]
        return sorted(rescored, key=lambda hit: -hit.score)[:k]
