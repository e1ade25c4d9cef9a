"""The figures before and after, side by side: for the terminal and for the model card."""

from collections.abc import Iterator

from hf_embeddings.records.debiasing import BiasFigures, DebiasReport
from hf_embeddings.records.evaluation import AssociationFigures

HEAD = ("vectors", "measure", "before", "after")
LIMITS = (
    "Association tests are given as effect size (p), and the difference in cosines. An effect size near 0 does "
    "not prove a model fair. It speaks of its word lists only. It is a share of the spread of the scores: it may "
    "stay large, or change its sign, where the difference itself has become small. p is one-sided: near 1 is the "
    "opposite association. A classifier that finds the group of words far above 50 % shows that other directions "
    "tell the groups apart (Gonen and Goldberg 2019, https://arxiv.org/abs/1903.03862)."
)
KINDS = {"words": "words (WEAT)", "sentences": "sentences (SEAT)", None: ""}
Row = tuple[str, ...]  # as HEAD has it


def comparison(report: DebiasReport) -> list[Row]:
    """Return a table of every figure before and after, its head first."""
    rows = [row for view in report.before for row in _rows(view, report.before[view], report.after[view])]
    return [HEAD, *rows]


def _rows(view: str, before: BiasFigures, after: BiasFigures) -> Iterator[Row]:
    for old, new in zip(before.bias, after.bias, strict=True):
        yield view, ", ".join(filter(None, (old.test, KINDS[old.on]))), _association(old), _association(new)
    if before.separation and after.separation:
        words = f"{before.separation.words:,} words that leaned to either side"
        pairs = [(side.accuracy, side.leaning) for side in (before.separation, after.separation)]
        yield view, f"{words}: mean cosine with their side", *(f"{leaning:+.3f}" for _, leaning in pairs)
        yield view, f"{words}: group found by a classifier", *(f"{accuracy:.1%}" for accuracy, _ in pairs)
    for name, old_pairs in before.similarity.items():
        values = (old_pairs.spearman, after.similarity[name].spearman)
        yield view, f"{name}: Spearman", *("-" if value is None else f"{value:.3f}" for value in values)
    for name, old_ranks in before.retrieval.items():
        sides = (old_ranks.forward, after.retrieval[name].forward)
        yield view, f"{name}: nDCG@10", *(f"{(side.ndcg or {}).get(10, float('nan')):.3f}" for side in sides)


def _association(figures: AssociationFigures) -> str:
    if figures.skipped is not None:
        return f"skipped: {figures.skipped}"
    return f"{figures.effect_size:+.2f} ({figures.p_value:.4f}), {figures.difference:+.4f}"
