"""Score each passage together with its query by a cross-encoder, and put the best first.

A cross-encoder reads query and passage at once, which is better and far slower than to compare two vectors: so it is
given the passages that the vectors find.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hf_embeddings.loading.model_names import check_model_or_id, fetch
from hf_embeddings.search.cross_encoder import CrossEncoder, is_cross_encoder
from hf_embeddings.search.results import Hit

DEPTH = 5  # documents that are scored for each one that is shown
FILES = ("*.json", "*.txt", "*.model", "*.safetensors", "*.bin")  # of a repository of the Hub, at its top


class Reranker:
    """A cross-encoder with one score, such as `examples/reranker.py` trains."""

    def __init__(self, source: str) -> None:
        """Load a directory or Hub id.

        Raises:
            ValueError: there is none, or it gives several scores.
        """
        check_model_or_id(source, "--rerank")
        folder = Path(source) if Path(source).is_dir() else fetch(source, FILES, ignored=["*/*"])
        if not is_cross_encoder(folder):
            raise ValueError(
                f"--rerank {source}: no classifier of one label, expected a cross-encoder with one; train one with "
                "examples/reranker.py"
            )
        self.model = CrossEncoder.load(folder, precision="fp32")

    def rerank(self, query: str, hits: Sequence[Hit], k: int) -> list[Hit]:
        """Return the k best hits by the scores of the cross-encoder, best first; of equal ones, the nearer first."""
        if not hits:
            return []
        pairs = self.model.tokenize(query, [hit.text for hit in hits])
        scores = self.model.activate(self.model.score_pairs(pairs))
        rescored = [replace(hit, score=float(score)) for hit, score in zip(hits, scores, strict=True)]
        return sorted(rescored, key=lambda hit: -hit.score)[:k]
