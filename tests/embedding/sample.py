"""What `embedding.json` holds, of a run on pairs."""

from typing import Any

RANKING: dict[str, Any] = {
    "queries": 20, "candidates": 30, "recall": {"1": 0.2, "5": 0.5, "10": 0.6}, "ndcg": {"10": 0.4}, "mrr": 0.35,
    "recall_interval": {"10": [0.4, 0.8]}, "ndcg_interval": {"10": [0.3, 0.5]}, "mrr_interval": [0.2, 0.5],
    "ndcg_by_chance": {"10": 0.15},
}  # fmt: skip
EMBEDDING: dict[str, Any] = {
    "base": "demo", "base_card": {"license": "mit"}, "loss": "multiple_negatives", "before": {"ranking": RANKING},
    "during": {"10": {"ranking": RANKING}}, "after": {"ranking": RANKING},
    "worth": {"verdict": "learned in part", "reasons": ["held-out nDCG@10 is 0.400, and was 0.400 before training"]},
    "rows": {"rows_read": 100, "training_rows": 80, "held_out_rows": 20}, "training_steps": 20,
    "training_seconds": 2.5, "precision": "fp32", "device": "a processor", "parameters": 1000,
}  # fmt: skip
