"""What a finished run is worth: its held-out figures, judged against what knows nothing."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from hf_embeddings.pretraining.examples.pairs import RELATIONS

CHANCE = 0.5  # of a pair's two labels, which are balanced
MOST = 0.5  # share of labels


@dataclass(frozen=True, kw_only=True)
class Worth:
    """A verdict, and a sentence for each reason against the model."""

    verdict: str  # "learned", "learned in part", "learned nothing"
    reasons: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """Return what to say of a directory that is complete."""
        if not self.reasons:
            return "ready for the Hub"
        worth = "worth nothing" if self.verdict == "learned nothing" else "worth little"
        return (
            f"complete, with a warning: it is {worth}: {'; '.join(self.reasons)}. Train longer, or change what the "
            "health lines warn of"
        )

    def to_dict(self) -> dict[str, object]:
        """Return what `from_dict` reads."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Worth":
        """Read a verdict as JSON has it."""
        return cls(**values)


def judge(figures: Mapping[str, float]) -> Worth:
    """Judge the held-out figures of a run: `evaluate`'s, and `unigram_loss`."""
    failed = {}
    if "mlm_loss" in figures:
        loss, low, high = (figures[f"mlm_loss{end}"] for end in ("", "_low", "_high"))
        if not high < figures["unigram_loss"]:  # nor where it is not a number
            failed["mlm"] = (
                f"held-out MLM loss {loss:.3f} nats (95 % interval {low:.3f} to {high:.3f}) is not better than "
                f"{figures['unigram_loss']:.3f} for token frequencies alone"
            )
    for name in RELATIONS:
        if f"{name}_accuracy" in figures:
            accuracy, low, high = (figures[f"{name}_accuracy{end}"] for end in ("", "_low", "_high"))
            if not low > CHANCE:
                failed[name] = (
                    f"held-out {name.upper()} accuracy {accuracy:.1%} (95 % interval {low:.1%} to {high:.1%}) is not "
                    f"better than chance, {CHANCE:.0%}"
                )
    objectives = sum(f"{name}_loss" in figures for name in ("mlm", *RELATIONS))
    reasons = list(failed.values())
    if figures.get("mlm_unknown_labels", 0) > MOST * figures.get("mlm_labels", 0):
        share = figures["mlm_unknown_labels"] / figures["mlm_labels"]
        reasons.append(f"{share:.0%} of the tokens that it was to predict are [UNK], which is not text")
    if not reasons:
        return Worth(verdict="learned")
    return Worth(verdict="learned nothing" if len(failed) == objectives else "learned in part", reasons=reasons)
