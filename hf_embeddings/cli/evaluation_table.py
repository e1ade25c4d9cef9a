"""The report of `hf-embeddings evaluate` as tables for a terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from hf_embeddings.records.evaluation import EvaluationReport, TableGeometry, TextGeometry

SHOWN = 10  # lines of a file that are named
GEOMETRY = ("IsoScore", "partition", "mean cosine", "effective rank", "hub skew")


def render_report(report: EvaluationReport) -> None:
    """Print every part that was measured."""
    console, settings = Console(markup=False, emoji=False), report.vectors  # names and prompts are as they are
    console.print(
        f"{report.model}: {settings.source} vectors, {settings.pooling} pooling, "
        f"layer {'last' if settings.layer is None else settings.layer}, prompt {settings.prompt!r}"
    )
    for title, columns, rows in (
        ("similarity", ("file", "pairs", "left out", "Spearman", "p"), _similarity(report)),
        ("analogies", ("file", "questions", "left out", "candidates", "accuracy"), _analogies(report)),
        ("retrieval", ("file", "queries", "texts", "R@1", "R@5", "R@10", "nDCG@10", "MRR"), _retrieval(report)),
        ("bias", ("test", "on", "effect size", "p", "partitions"), _bias(report)),
        ("minimal pairs", ("language", "pairs", "left out", "right"), _grammar(report)),
        ("geometry", ("vectors", *GEOMETRY), _geometry(report)),
        ("size against quality", _size_columns(report), _sizes(report)),
    ):  # fmt: skip
        rows = list(rows)
        if rows:
            table = Table(title=title, title_justify="left", title_style="bold")
            for column in columns:
                table.add_column(column, justify="left" if column == columns[0] else "right", overflow="fold")
            for row in rows:
                table.add_row(*row)
            console.print(table)
    layers = report.text.anisotropy_by_layer
    console.print("mean cosine of tokens by layer: " + " ".join(f"{value:.3f}" for value in layers))
    for line in (*_text_notes(report.text), *_table_notes(report.table)):
        console.print(line)
    for name, score in (report.mteb or {}).items():
        console.print(f"mteb {name}: {_number(score, '.4f')}")
    for line in _file_notes(report):
        console.print(line, soft_wrap=True)


def _similarity(report: EvaluationReport) -> Iterable[tuple[str, ...]]:
    for name, figures in report.similarity.items():
        left_out = figures.pairs_in_file - figures.pairs
        yield name, str(figures.pairs), str(left_out), _number(figures.spearman), _number(figures.p_value, ".1e")


def _analogies(report: EvaluationReport) -> Iterable[tuple[str, ...]]:
    for name, figures in report.analogies.items():
        left_out = figures.questions_in_file - figures.questions
        yield name, str(figures.questions), str(left_out), str(figures.candidates), _number(figures.accuracy, ".1%")


def _retrieval(report: EvaluationReport) -> Iterable[tuple[str, ...]]:
    for name, directions in report.retrieval.items():
        for label, figures in ((name, directions.forward), (f"{name}, backward", directions.backward)):
            if figures is not None:
                recalls = map(_number, figures.recall.values())
                gain = _with_interval((figures.ndcg or {}).get(10), (figures.ndcg_interval or {}).get(10))
                mrr = _with_interval(figures.mrr, figures.mrr_interval)
                yield label, str(figures.queries), str(figures.candidates), *recalls, gain, mrr


def _bias(report: EvaluationReport) -> Iterable[tuple[str, ...]]:
    for figures in report.bias:
        if figures.skipped is not None:
            yield figures.test, "skipped", figures.skipped, "", ""
        else:
            partitions = f"{figures.partitions:,} {'(all)' if figures.exact else '(drawn)'}"
            numbers = _number(figures.effect_size, ".2f"), _number(figures.p_value, ".4f")
            yield figures.test, figures.on or "", *numbers, partitions


def _grammar(report: EvaluationReport) -> Iterable[tuple[str, ...]]:
    for language, figures in (report.grammar or {}).items():
        accuracy = _with_interval(figures.accuracy, figures.accuracy_interval)
        yield language, str(figures.pairs), str(figures.left_out), accuracy


def _geometry(report: EvaluationReport) -> Iterable[tuple[str, ...]]:
    parts: tuple[tuple[str, TableGeometry | TextGeometry], ...] = (
        ("token table", report.table),
        ("sentences", report.text),
    )
    for name, part in parts:
        isotropy = part.isotropy
        shares = (isotropy.iso_score, isotropy.partition_score, isotropy.mean_cosine)
        numbers = (f"{share:.3f}" for share in shares)
        yield name, *numbers, f"{isotropy.effective_rank:.0f}", f"{part.hubness.skewness:.2f}"


def _size_columns(report: EvaluationReport) -> tuple[str, ...]:
    return ("width", "precision", "bytes", "neighbours kept", *report.sizes[0].figures)


def _sizes(report: EvaluationReport) -> Iterable[tuple[str, ...]]:
    for row in report.sizes:
        shares = map(_number, [row.neighbours_kept, *row.figures.values()])
        yield str(row.width), row.precision, str(row.bytes_per_vector), *shares


def _with_interval(value: float | None, interval: tuple[float, float] | None) -> str:
    """Write a figure and its 95 % interval."""
    return _number(value) + (f" ({interval[0]:.3f}-{interval[1]:.3f})" if interval else "")


def _number(value: float | None, digits: str = ".3f") -> str:
    """Write a figure; a dash stands where there is nothing to measure."""
    return "-" if value is None else format(value, digits)


def _file_notes(report: EvaluationReport) -> Iterable[str]:
    """Say what was left out of the files, and what their figures cannot say."""
    for figures in (*report.similarity.values(), *report.analogies.values(), *report.retrieval.values()):
        lines = figures.left_out or []
        yield from (f"left out: {line}" for line in lines[:SHOWN])
        if len(lines) > SHOWN:
            yield f"left out: {len(lines) - SHOWN} lines more (all of them: --json)"
        yield from (f"note: {line}" for line in figures.notes or [])
    words: dict[str, list[str]] = {name: own.out_of_vocabulary for name, own in report.similarity.items()}
    for name, unknown in (*words.items(), *((name, own.out_of_vocabulary) for name, own in report.analogies.items())):
        if unknown:
            more = f" and {len(unknown) - SHOWN} more (all of them: --json)" if len(unknown) > SHOWN else ""
            yield f"left out of {name}, as the vocabulary cannot spell them: {', '.join(unknown[:SHOWN])}{more}"
    for language, own in (report.grammar or {}).items():
        worst = sorted(own.accuracy_by_kind.items(), key=lambda kind: kind[1])
        yield from (f"minimal pairs {language}, {kind}: {accuracy:.0%}" for kind, accuracy in worst)
    yield from (f"note: {test.test}, {test.on}: {test.note}" for test in report.bias if test.note)


def _text_notes(text: TextGeometry) -> Iterable[str]:
    """Say what a cosine of two sentences means, and what the place of a sentence counts."""
    if cosines := text.cosines:
        yield (
            f"cosines of {cosines.pairs:,} pairs of sentences: median {cosines.median:.2f}, above 0.5: "
            f"{cosines.above_half:.1%}, above 0.9: {cosines.above_nine_tenths:.1%}; one in 100 above {cosines.high:.2f}"
        )
    if bias := text.position_bias:
        places, edits = (
            " ".join(f"{value:.3f}" for value in values) for values in (bias.sentence_in_document, bias.moved_by_edit)
        )
        yield f"position bias, from the first sentence to the last: cosine of sentence and document {places}"
        yield (
            f"  an edit moves the vector by (1 - cosine) {edits}; first less last {bias.start_less_end:+.3f} "
            f"(95 % interval +/- {bias.start_less_end_half_width:.3f})"
        )
    else:
        yield "position bias: not measured, as too few sentences are short enough for documents of several"


def _table_notes(table: TableGeometry) -> Iterable[str]:
    outliers, like = table.norm_outliers, table.like_unused
    names = ", ".join(f"{token} ({score:+.0f})" for token, score in outliers.farthest.items())
    yield f"token table: {table.rows:,} rows; {outliers.count} norm outliers{': ' + names if names else ''}"
    if table.zero_rows:
        yield f"  rows of zeros: {', '.join(table.zero_rows)}"
    for group in table.repeated_rows:
        yield f"  equal rows: {', '.join(group)}"
    if like is None:
        yield "  never-trained rows: unknown, as the vocabulary has no unused tokens to compare with"
    else:
        yield f"  like the {table.unused_rows} unused rows: {like.count} others" + (
            f", such as {', '.join(like.tokens)}" if like.tokens else ""
        )
