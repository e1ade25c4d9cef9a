"""The parts of a model card that state figures and what follows from them: evaluation, limits and bias."""

import math
import re
from pathlib import Path

from hf_embeddings.analysis.intervals import correlation_interval, share_interval
from hf_embeddings.file_names import FIGURES
from hf_embeddings.publishing.checkpoint import Checkpoint
from hf_embeddings.publishing.tasks import TASKS
from hf_embeddings.records.embedding import HeldOutFigures
from hf_embeddings.records.evaluation import AssociationFigures, EvaluationReport
from hf_embeddings.records.run import ObjectiveFigures, RunFigures

SCHEME = re.compile(r"[a-z]{2,}:")  # of a source; a single letter is the drive of a path
NOT_RECORDED = "Not recorded: no `{}` lies beside the weights."


def evaluation(checkpoint: Checkpoint, model_id: str | None) -> str:
    """Held-out figures with their intervals, beside what knows nothing but frequencies."""
    parts = _held_out(checkpoint.pretraining) if checkpoint.pretraining else []
    if checkpoint.embedding and checkpoint.embedding.before and checkpoint.embedding.after:
        parts.append(_before_and_after(checkpoint.embedding.before, checkpoint.embedding.after))
    metrics = {k: v for k, v in checkpoint.fine_tuning.items() if k.startswith("eval_")}
    if metrics:
        rows = {
            name.removeprefix("eval_").replace("_", " "): f"{value:.4g}{_interval(name, checkpoint)}"
            for name, value in metrics.items()
        }
        parts.append(f"After fine-tuning, on the evaluation set of the run:\n\n{table(rows)}")
    if checkpoint.embedding_evaluation:
        parts.append(_embeddings(checkpoint.embedding_evaluation))
    if checkpoint.embedding and not parts:
        return "Not measured: nothing was held out. `hf-embeddings evaluate DIR --card` measures it."
    if checkpoint.origin and not parts:
        return "Not measured since it was made from its source; `hf-embeddings evaluate DIR --card` does."
    return "\n\n".join(parts) or NOT_RECORDED.format(FIGURES)


def _held_out(run: RunFigures) -> list[str]:
    """Return the table of a run's held-out figures, for each objective that it had."""
    rows, notes = [], []
    for name, figures in run.held_out.items():
        if name in ("mlm", "generator"):
            baseline = run.unigram_loss or math.nan
            rows += [_loss_row(name, figures, baseline), _accuracy_row(name, figures, ""), *_without_unknown(figures)]
            notes.append(
                f"The baseline of the {name.upper()} loss, {baseline:.3f} nats, is a model that knows only how often "
                "each token occurs."
            )
        elif name == "rtd":
            rows += _detection_rows(figures)
            notes.append(
                "RTD tells replaced tokens from original ones. Its baselines know only the share of replaced tokens, "
                f"{figures.replaced_share or 0.0:.1%}: they call every token original."
            )
        else:  # which of two relations the segments of a pair have
            rows += [_loss_row(name, figures, math.log(2)), _accuracy_row(name, figures, "50.0%")]
            notes.append(f"The baseline of {name.upper()} is chance.")
    if not rows:
        return []
    notes.append("Intervals of accuracies are Wilson's; those of losses take the labels of one example together.")
    lines = "\n".join(rows)
    return [
        "On documents held out from the corpus:\n\n| figure | this model | 95 % interval | baseline | labels |\n"
        f"|---|---:|---:|---:|---:|\n{lines}\n\n{' '.join(notes)}"
    ]


def phases(run: RunFigures) -> str:
    """Return what each phase of a run was, and the losses at its end; nothing where it had none."""
    if not run.phases:
        return ""
    objectives = list(run.phases[-1].held_out)
    titles = ["phase", "what held in it", *(f"{name.upper()} loss at its end" for name in objectives)]
    rows = [
        [phase.name, phase.description, *(f"{phase.held_out[name].loss:.3f}" for name in objectives)]
        for phase in run.phases
    ]
    parts = [f"Its phases, with the held-out loss in nats:\n\n{_columns(titles, rows)}"]
    if places := [(part.begin, part.end) for part in run.phases[-1].losses_by_position]:
        titles = ["MLM loss at positions", *(f"{begin:,} to {end - 1:,}" for begin, end in places)]
        rows = [
            [phase.name, *(f"{part.loss:.3f}" for part in phase.losses_by_position)]
            for phase in run.phases
            if len(phase.losses_by_position) == len(places)
        ]
        parts.append(f"Held-out tokens by their place in an example:\n\n{_columns(titles, rows)}")
    return "\n\n" + "\n\n".join(parts)


def _columns(titles: list[str], rows: list[list[str]]) -> str:
    """Return a table whose last columns are numbers."""
    lines = [titles, ["---", "---", *["---:"] * (len(titles) - 2)], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _detection_rows(rtd: ObjectiveFigures) -> list[str]:
    """Return the rows of replaced-token detection, beside what calls every token original."""
    share = rtd.replaced_share or 0.0
    entropy = -sum(part * math.log(part) for part in (share, 1 - share) if part)
    rows = [_loss_row("rtd", rtd, entropy), _accuracy_row("rtd", rtd, f"{1 - share:.1%}")]
    if rtd.roc_auc is not None:
        interval = f"{rtd.roc_auc_low:.3f} to {rtd.roc_auc_high:.3f}"
        precision = "none is named" if rtd.precision is None else f"{rtd.precision:.1%}"
        rows += [
            f"| RTD area under the ROC curve | {rtd.roc_auc:.3f} | {interval} | 0.500 | {rtd.labels:,} |",
            f"| RTD recall: replaced tokens that are named | {rtd.recall:.1%} | | 0.0% | {share * rtd.labels:,.0f} |",
            f"| RTD precision: named tokens that are replaced | {precision} | | {share:.1%} | |",
        ]
    return rows


def _before_and_after(before: HeldOutFigures, after: HeldOutFigures) -> str:
    """Return the held-out figures of a run of `embed`, beside those of the encoder that it began with."""
    head = "| figure | before | after | 95 % interval | chance |\n|---|---:|---:|---:|---:|\n"
    if before.ranking is None or after.ranking is None:
        low, high = after.spearman_interval or (-1.0, 1.0)
        was, now = ("" if figures.spearman is None else f"{figures.spearman:.3f}" for figures in (before, after))
        row = f"| Spearman of cosines and scores | {was} | {now} | {low:.3f} to {high:.3f} | 0 |"
        return f"On {after.pairs:,} held-out pairs:\n\n{head}{row}"
    rows = []
    for name, old, new, interval, chance in (
        ("nDCG@10", (before.ranking.ndcg or {}).get(10), (after.ranking.ndcg or {}).get(10),
         (after.ranking.ndcg_interval or {}).get(10), (after.ranking.ndcg_by_chance or {}).get(10)),
        ("recall@10", before.ranking.recall.get(10), after.ranking.recall.get(10),
         (after.ranking.recall_interval or {}).get(10), None),
        ("MRR", before.ranking.mrr, after.ranking.mrr, after.ranking.mrr_interval, None),
    ):  # fmt: skip
        words = [f"{figure:.3f}" if figure is not None else "" for figure in (old, new)]
        span = f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else ""
        rows.append(f"| {name} | {words[0]} | {words[1]} | {span} | {'' if chance is None else f'{chance:.3f}'} |")
    return (
        f"On held-out rows, {after.ranking.queries:,} queries among {after.ranking.candidates:,} texts:\n\n{head}"
        + "\n".join(rows)
        + "\n\nNo text of these rows was trained on. Intervals are from resampling the queries."
    )


def _without_unknown(mlm: ObjectiveFigures) -> list[str]:
    """Return the rows of what is left of the MLM figures without the labels that are [UNK], where there are some."""
    if mlm.loss_without_unknown is None:
        return []
    labels = f"{mlm.labels - (mlm.unknown_labels or 0):,}"
    return [
        f"| MLM loss without [UNK] labels | {mlm.loss_without_unknown:.3f} | | | {labels} |",
        f"| MLM accuracy without [UNK] labels | {mlm.accuracy_without_unknown:.1%} | | | {labels} |",
    ]


def _interval(name: str, checkpoint: Checkpoint) -> str:
    """Return the interval of a share of samples, where their number is recorded; tokens are not samples."""
    kind = next((kind for kind in ("accuracy", "exact_match") if name.endswith(kind)), None)
    samples = checkpoint.fine_tuning.get(f"{name.removesuffix(kind)}samples") if kind else None
    if not samples or TASKS[checkpoint.architecture].counts_tokens:
        return ""
    low, high = share_interval(checkpoint.fine_tuning[name], int(samples))
    return f" (95 % interval {low:.1%} to {high:.1%})"


def limits(checkpoint: Checkpoint, model_id: str | None) -> str:
    """What not to use the model for, as far as the checkpoint shows it."""
    config = checkpoint.config
    longest = f"{config.max_position_embeddings:,} tokens"
    lines = []
    if config.positions_end:
        lines.append(
            f"- Input ends at {longest}: {config.position_embedding_type} positions have no row beyond. Truncate."
        )
    elif config.position_embedding_type == "none":
        lines.append("- The encoder is blind to word order; it was trained as a control.")
    else:
        lines.append(f"- Input beyond {longest} runs, but was not seen in training; measure first.")
    if checkpoint.embedding_options:
        source = source_name(checkpoint.embedding_options.data.source)
        lines.append(f"- What is alike was learned from `{source}`; on other texts, measure first.")
    if checkpoint.pretraining:
        languages = f" ({', '.join(checkpoint.language)})" if checkpoint.language else ""
        lines.append(
            f"- It knows what `{corpus_name(checkpoint)}` holds{languages} and little else; other languages and "
            "domains need training of their own."
        )
    lines += _limits_of_embeddings(checkpoint.embedding_evaluation)
    tests = checkpoint.embedding_evaluation.bias if checkpoint.embedding_evaluation else []
    status = "as the table shows" if tests else "not measured yet (`hf-embeddings evaluate DIR --bias weat --card`)"
    lines.append(
        f"- It repeats the associations of its training text, the unfair ones too: {status}. Do not let it decide "
        "about people."
    )
    return "\n".join(lines) + (f"\n\n{_associations(tests)}" if tests else "")


def _limits_of_embeddings(report: EvaluationReport | None) -> list[str]:
    """Say what the geometry of the embeddings means for those who use them."""
    if report is None:
        return []
    isotropy, tokens = report.text.isotropy, report.table
    lines = [
        f"- Two sentences of `{report.text.corpus or 'the corpus measured on'}` have a mean cosine of "
        f"{isotropy.mean_cosine:.2f} (IsoScore {isotropy.iso_score:.2f}): judge a cosine beside others, not beside 0."
    ]
    if cosines := report.text.cosines:
        lines.append(
            f"- Of pairs of its sentences, {cosines.above_half:.1%} have a cosine above 0.5 and "
            f"{cosines.above_nine_tenths:.1%} one above 0.9."
        )
    if (bias := report.text.position_bias) and abs(bias.start_less_end) > bias.start_less_end_half_width:
        more, less = ("first", "last") if bias.start_less_end > 0 else ("last", "first")
        lines.append(f"- The {more} sentence of a text counts more for its vector than the {less}.")
    if tokens.like_unused:
        lines.append(
            f"- {tokens.like_unused.count:,} of the {tokens.rows:,} rows of the token table look as if they were never "
            "trained; text that needs them is represented badly."
        )
    return lines


def _associations(tests: list[AssociationFigures]) -> str:
    """Return the association tests as a table; what could not be tested is named."""
    rows = [
        f"| {test.test} | {test.on} | {test.effect_size:+.2f} | {test.p_value:.4f} |"
        for test in tests
        if test.effect_size is not None and test.p_value is not None
    ]
    skipped_tests = [f"{test.test}: {test.skipped}" for test in tests if test.effect_size is None]
    head = "| association | measured on | effect size, -2 to 2 | p |\n|---|---|---:|---:|\n"
    return (
        (head + "\n".join(rows) + "\n\n" if rows else "")
        + "Above 0, the first group lies closer to the first attributes; p from permutations "
        "([WEAT](https://arxiv.org/abs/1608.07187), [SEAT](https://arxiv.org/abs/1903.10561)). A test that finds "
        "nothing does not prove that nothing is there."
        + (f" Not tested: {'; '.join(skipped_tests)}." if skipped_tests else "")
    )


def _embeddings(report: EvaluationReport) -> str:
    """Figures of the embeddings, as `hf-embeddings evaluate` measured them."""
    rows = {}
    for name, pairs in report.similarity.items():
        if pairs.spearman is None:
            continue
        low, high = correlation_interval(pairs.spearman, pairs.pairs)
        rows[f"{name}, Spearman ({pairs.pairs} pairs)"] = (
            f"{pairs.spearman:.3f} (95 % interval {low:.3f} to {high:.3f})"
        )
    for name, questions in report.analogies.items():
        if questions.accuracy is not None:
            low, high = share_interval(questions.accuracy, questions.questions)
            rows[f"{name}, analogies"] = f"{questions.accuracy:.1%} (95 % interval {low:.1%} to {high:.1%})"
    for name, both in report.retrieval.items():
        rows[f"{name}, retrieval MRR"] = f"{both.forward.mrr:.3f}"
        if both.forward.ndcg and both.forward.ndcg_interval:
            low, high = both.forward.ndcg_interval[10]
            rows[f"{name}, nDCG@10"] = f"{both.forward.ndcg[10]:.3f} (95 % interval {low:.3f} to {high:.3f})"
    rows |= {f"MTEB {name}": f"{score:.4f}" for name, score in (report.mteb or {}).items() if score is not None}
    for name, isotropy in (("token table", report.table.isotropy), ("sentences", report.text.isotropy)):
        rows[f"{name}: IsoScore, mean cosine"] = f"{isotropy.iso_score:.3f}, {isotropy.mean_cosine:.3f}"
    settings = report.vectors
    return f"Of its {settings.source} embeddings ({settings.pooling} pooling):\n\n{table(rows)}"


def corpus_names(checkpoint: Checkpoint) -> list[str]:
    """Return the sources as the run names them; of a local path only the last part, which is all a reader can use."""
    corpus = checkpoint.options.corpus if checkpoint.options else None
    rows = checkpoint.embedding_options
    sources = [rows.data.source] if rows else corpus.names if corpus else []
    return [source_name(source) for source in sources]


def source_name(source: str) -> str:
    """Return a source as a card names it; of a local path only the last part."""
    return source if SCHEME.match(source) else Path(source).name


def corpus_name(checkpoint: Checkpoint) -> str:
    """Return all sources in one line."""
    return ", ".join(corpus_names(checkpoint)) or "unknown"


def table(rows: dict[str, str]) -> str:
    """Return a Markdown table of names and values."""
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def _loss_row(name: str, figures: ObjectiveFigures, baseline: float) -> str:
    interval = f"{figures.loss_low:.3f} to {figures.loss_high:.3f} " if figures.loss_low is not None else ""
    return f"| {name.upper()} loss, nats | {figures.loss:.3f} | {interval}| {baseline:.3f} | {figures.labels:,} |"


def _accuracy_row(name: str, figures: ObjectiveFigures, baseline: str) -> str:
    interval = f"{figures.accuracy_low:.1%} to {figures.accuracy_high:.1%}"
    return f"| {name.upper()} accuracy | {figures.accuracy:.1%} | {interval} | {baseline} | {figures.labels:,} |"
