"""The report of a position lab as Markdown, for a model card or a repository."""

from collections.abc import Sequence

from hf_embeddings.records.lab import LabSummary, MeanInterval, PositionSummary, RunDifference

Rows = Sequence[tuple[str, PositionSummary]]  # by position type
LAWS = {  # key of a measurement: title of its column
    "uniqueness": "uniqueness",
    "smoothness": "smoothness",
    "relative_linearity": "relative linearity",
    "locality": "locality",
    "symmetry": "symmetry",
    "translation_invariance": "translation invariance",
    "monotonicity": "monotonicity",
}


def lab_report(lab: LabSummary, *, picture: str | None = None) -> str:
    """Write the tables of a lab: losses, accuracy, longer inputs, time; then the laws of the trained positions.

    Args:
        lab: what its runs say together.
        picture: path of its picture, relative to the report.
    """
    rows = sorted(lab.positions.items(), key=lambda row: row[1].mlm_loss.mean)
    parts = ["# Position lab", _introduction(lab), *([f"![Position lab]({picture})"] if picture else [])]
    parts += [_results(rows, lab.length_factors, lab.relation), _reading(lab), "## Laws of the trained positions"]
    return "\n\n".join([*parts, _laws(rows), LAWS_NOTE]) + "\n"


LAWS_NOTE = (
    "Of the first seed, on positions 0 to the trained length: of the trained vectors where a type adds some to the "
    "input, else of the scores that identical words give each other in the first layer. A dash stands where a type has "
    "nothing to measure. `hf-embeddings positions` explains each property and measures any checkpoint."
)


def _introduction(lab: LabSummary) -> str:
    model = lab.model
    seeds = sorted({number for row in lab.positions.values() for number in row.seeds})
    runs = [len(row.seeds) for row in lab.positions.values()]
    each = f"{min(runs)} runs" if min(runs) == max(runs) else f"{min(runs)} to {max(runs)} runs"
    versions = ", ".join(f"{name} {value}" for name, value in lab.machine.items())
    return (
        f"The same encoder ({model.num_hidden_layers} layers, {model.hidden_size} wide, "
        f"{model.num_attention_heads} heads, vocabulary {model.vocab_size:,}) pretrained with each position type "
        f"on `{lab.corpus}`: {lab.max_steps:,} steps, {lab.training_tokens / 1e6:.1f} million tokens, inputs "
        f"of at most {lab.max_length} tokens, {each} each (seeds {', '.join(map(str, seeds))}). "
        f"Token frequencies alone give {lab.unigram_loss:.3f} nats. {versions}."
    )


def _results(rows: Rows, factors: Sequence[int], relation: str | None) -> str:
    titles = ["position type", "MLM loss", "minus `learned`"]
    titles += [f"{relation.upper()} accuracy", "minus `learned`"] if relation else []
    titles += [*(f"{'loss ' if factor == 1 else ''}at {factor}x" for factor in (1, *factors)), "time per step"]
    lines = [_line(titles), _line(["---"] * len(titles))]
    for name, row in rows:
        cells = [f"`{name}`", interval_text(row.mlm_loss, ".3f"), difference_text(row.mlm_loss_difference, "+.3f")]
        if row.relation_accuracy:
            cells.append(interval_text(row.relation_accuracy, ".1%"))
            cells.append(difference_text(row.relation_accuracy_difference, "+.1%"))
        losses = [row.losses_by_length[str(factor)] for factor in (1, *factors)]
        cells += ["ends" if loss is None else f"{loss.mean:.3f}" for loss in losses]
        cells.append("-" if row.step_ratio is None else f"{row.step_ratio:.2f}")
        lines.append(_line(cells))
    return "\n".join(lines)


def _reading(lab: LabSummary) -> str:
    longest = lab.max_length * max(lab.length_factors)
    noise = "One seed has no interval."
    if any(row.mlm_loss.half_width is not None for row in lab.positions.values()):
        noise = (
            "Means over the seeds with 95 % intervals, each from the scatter of its own type (Student's t). *minus "
            "`learned`*: the mean difference to the run with the same seed (%: points). **Bold**: beyond chance, among "
            "all types of the table (Benjamini and Hochberg, 5 %); what is not bold may be chance, and more seeds "
            "would tell. The intervals do not contain the choice of held-out documents, which is the same for all."
        )
    failures = [f"`{name}` ({row.failed} of {len(row.seeds)})" for name, row in lab.positions.items() if row.failed]
    worth = f" **Runs no better than token frequencies, or than chance: {', '.join(failures)}.**" if failures else ""
    return (
        f"Held-out figures, losses in nats. {noise} The losses at 1x, 2x, ... are of the same documents, those of "
        f"{longest} tokens or more, cut to so many times the trained length; *ends*: the type has no positions there. "
        "Time is a ratio to `learned`, the median over steps taken in turns. A lab shows how far each type comes in "
        f"these steps, not where it would end.{worth}"
    )


def _laws(rows: Rows) -> str:
    lines = [_line(["position type", *LAWS.values()]), _line(["---"] * (len(LAWS) + 1))]
    for name, row in rows:
        values = [getattr(row.laws, law, None) for law in LAWS]
        lines.append(_line([f"`{name}`", *("-" if value is None else f"{value:.3f}" for value in values)]))
    return "\n".join(lines)


def interval_text(interval: MeanInterval, digits: str) -> str:
    """Write a mean, and where it is known, half of the width of its interval."""
    text = format(interval.mean, digits)
    return text if interval.half_width is None else f"{text} ± {format(interval.half_width, digits.lstrip('+'))}"


def difference_text(difference: RunDifference | None, digits: str) -> str:
    """Write a difference to the baseline, in bold where it is beyond chance; a dash stands where there is none."""
    if difference is None:
        return "-"
    text = interval_text(MeanInterval(mean=difference.mean, half_width=difference.half_width), digits)
    return f"**{text}**" if difference.beyond_chance else text


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
