"""The report of a position lab: Markdown for a model card or a repository, CSV for a program, LaTeX for a paper."""

import csv
import io
from collections.abc import Iterator, Sequence

from hf_embeddings.lab.tables import Table
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
    rows = _by_loss(lab)
    parts = ["# Position lab", _introduction(lab), *([f"![Position lab]({picture})"] if picture else [])]
    parts += [_results(rows, lab).markdown(), _reading(lab)]
    if any(row.judged for _, row in rows):
        parts += ["## What was learned of order", _judged(rows).markdown(), JUDGED_NOTE]
    parts += ["## Laws of the trained positions", _laws(rows).markdown(), LAWS_NOTE]
    return "\n\n".join(parts) + "\n"


def lab_latex(lab: LabSummary) -> str:
    """Write the same tables for a paper."""
    rows = _by_loss(lab)
    tables = [_results(rows, lab), *([_judged(rows)] if any(row.judged for _, row in rows) else []), _laws(rows)]
    return "\n\n".join(table.latex() for table in tables) + "\n"


def lab_csv(lab: LabSummary) -> str:
    """Write every figure on a line of its own: position type, measure, mean, half of its 95 % interval, runs."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["position_type", "measure", "mean", "half_width", "runs"])
    for name, row in _by_loss(lab):
        writer.writerows([name, *figure, len(row.seeds)] for figure in _figures(row))
    return text.getvalue()


def _figures(row: PositionSummary) -> Iterator[tuple[str, float, float | str]]:
    """Yield measure, mean and half of the interval; nothing stands where an interval is not known."""
    intervals: dict[str, MeanInterval | None] = {"mlm_loss": row.mlm_loss, "relation_accuracy": row.relation_accuracy}
    intervals |= row.judged or {}
    losses = row.losses_by_length.items()
    alone: dict[str, float | None] = {
        f"loss_at_{factor}x": None if loss is None else loss.mean for factor, loss in losses
    }
    alone |= {law: getattr(row.laws, law, None) for law in LAWS} | {"step_ratio": row.step_ratio}
    intervals |= {name: MeanInterval(mean=own, half_width=None) for name, own in alone.items() if own is not None}
    for measure, interval in intervals.items():
        if interval is not None:
            yield measure, interval.mean, "" if interval.half_width is None else interval.half_width


def _by_loss(lab: LabSummary) -> Rows:
    return sorted(lab.positions.items(), key=lambda row: row[1].mlm_loss.mean)


JUDGED = {  # name of a measure: title of its column, and how its figure is written
    "shuffled_1": ("loss, tokens shuffled", "+.2f"),
    "shuffled_2": ("pairs shuffled", "+.2f"),
    "shuffled_4": ("fours shuffled", "+.2f"),
    "start_less_end": ("first sentence less last", "+.4f"),
    "grammar_en": ("grammar, English", ".0%"),
    "grammar_zh": ("grammar, Chinese", ".0%"),
    "task_order": ("task: order", ".0%"),
    "task_content": ("task: content", ".0%"),
}
JUDGED_NOTE = (
    "*Shuffled*: nats that the held-out MLM loss rises by where single tokens, pairs or fours of them change places "
    "within a segment; 0 where order is not used. *First sentence less last*: how much further an edit of the first of "
    "five sentences moves the mean-pooled vector than one of the last (1 - cosine); 0 without position bias. "
    "*Grammar*: how often the right one of two sentences is found more likely (pseudo-log-likelihood; chance 50%). "
    "*Task*: accuracy after a short fine-tuning, where the label is which of two words stands first, or which of two "
    "is there at all (chance 50%). Means over the seeds with 95 % intervals."
)


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


def _judged(rows: Rows) -> Table:
    found = {name for _, row in rows for name in row.judged or {}}
    columns = {name: column for name, column in JUDGED.items() if name in found}
    cells = [
        [f"`{name}`", *(_judged_text(row, measure, digits) for measure, (_, digits) in columns.items())]
        for name, row in rows
    ]
    return Table("What was learned of order", ["position type", *(title for title, _ in columns.values())], cells)


def _judged_text(row: PositionSummary, measure: str, digits: str) -> str:
    interval = (row.judged or {}).get(measure)
    return "-" if interval is None else interval_text(interval, digits)


def _results(rows: Rows, lab: LabSummary) -> Table:
    factors, relation = lab.length_factors, lab.relation
    titles = ["position type", "MLM loss", "minus `learned`"]
    titles += [f"{relation.upper()} accuracy", "minus `learned`"] if relation else []
    titles += [*(f"{'loss ' if factor == 1 else ''}at {factor}x" for factor in (1, *factors)), "time per step"]
    lines = []
    for name, row in rows:
        cells = [f"`{name}`", interval_text(row.mlm_loss, ".3f"), difference_text(row.mlm_loss_difference, "+.3f")]
        if row.relation_accuracy:
            cells.append(interval_text(row.relation_accuracy, ".1%"))
            cells.append(difference_text(row.relation_accuracy_difference, "+.1%"))
        losses = [row.losses_by_length[str(factor)] for factor in (1, *factors)]
        cells += ["ends" if loss is None else f"{loss.mean:.3f}" for loss in losses]
        cells.append("-" if row.step_ratio is None else f"{row.step_ratio:.2f}")
        lines.append(cells)
    return Table("Position types, held-out figures", titles, lines)


def _reading(lab: LabSummary) -> str:
    longest = lab.max_length * max([1, *lab.length_factors])
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


def _laws(rows: Rows) -> Table:
    lines = []
    for name, row in rows:
        values = [getattr(row.laws, law, None) for law in LAWS]
        lines.append([f"`{name}`", *("-" if value is None else f"{value:.3f}" for value in values)])
    return Table("Laws of the trained positions", ["position type", *LAWS.values()], lines)


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
