"""The report of `hf-embeddings evaluate` as tables for a terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

GEOMETRY = ("IsoScore", "partition", "mean cosine", "effective rank", "hub skew")


def render(report: dict[str, object]) -> None:
    """Print every part that was measured."""
    console, chosen = Console(), report["vectors"]
    console.print(
        f"{report['model']}: {chosen['source']} vectors, {chosen['pooling']} pooling, "
        f"layer {'last' if chosen['layer'] is None else chosen['layer']}, prompt {chosen['prompt']!r}"
    )
    for title, columns, rows in (
        ("similarity", ("file", "pairs", "left out", "Spearman", "p"), _similarity(report)),
        ("analogies", ("file", "questions", "left out", "candidates", "accuracy"), _analogies(report)),
        ("retrieval", ("file", "queries", "texts", "R@1", "R@5", "R@10", "MRR"), _retrieval(report)),
        ("bias", ("test", "on", "effect size", "p", "partitions"), _bias(report)),
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
    layers = report["text"]["anisotropy_by_layer"]
    console.print("mean cosine of tokens by layer: " + " ".join(f"{value:.3f}" for value in layers))
    for line in _table_notes(report["table"]):
        console.print(line, markup=False)
    for name, score in report.get("mteb", {}).items():
        console.print(f"mteb {name}: {score:.4f}")


def _similarity(report: dict) -> Iterable[tuple[str, ...]]:
    for name, found in report["similarity"].items():
        left_out = found["pairs_in_file"] - found["pairs"]
        yield name, str(found["pairs"]), str(left_out), f"{found['spearman']:.3f}", f"{found['p_value']:.1e}"


def _analogies(report: dict) -> Iterable[tuple[str, ...]]:
    for name, found in report["analogies"].items():
        left_out = found["questions_in_file"] - found["questions"]
        accuracy = "-" if found["accuracy"] is None else f"{found['accuracy']:.1%}"
        yield name, str(found["questions"]), str(left_out), str(found["candidates"]), accuracy


def _retrieval(report: dict) -> Iterable[tuple[str, ...]]:
    for name, directions in report["retrieval"].items():
        for direction, found in directions.items():
            recalls = (f"{value:.3f}" for value in found["recall"].values())
            label = name if direction == "forward" else f"{name}, backward"
            yield label, str(found["queries"]), str(found["candidates"]), *recalls, f"{found['mrr']:.3f}"


def _bias(report: dict) -> Iterable[tuple[str, ...]]:
    for found in report["bias"]:
        if "skipped" in found:
            yield found["test"], "skipped", found["skipped"], "", ""
        else:
            partitions = f"{found['partitions']:,} {'(all)' if found['exact'] else '(drawn)'}"
            yield found["test"], found["on"], f"{found['effect_size']:.2f}", f"{found['p_value']:.4f}", partitions


def _geometry(report: dict) -> Iterable[tuple[str, ...]]:
    for name, part in (("token table", report["table"]), ("sentences", report["text"])):
        found = part["isotropy"]
        numbers = (f"{found[key]:.3f}" for key in ("iso_score", "partition_score", "mean_cosine"))
        yield name, *numbers, f"{found['effective_rank']:.0f}", f"{part['hubness']['skewness']:.2f}"


def _size_columns(report: dict) -> tuple[str, ...]:
    return ("width", "precision", "bytes", "neighbours kept", *report["sizes"][0]["figures"])


def _sizes(report: dict) -> Iterable[tuple[str, ...]]:
    for row in report["sizes"]:
        figures = (f"{value:.3f}" for value in row["figures"].values())
        yield (
            str(row["width"]),
            row["precision"],
            str(row["bytes_per_vector"]),
            f"{row['neighbours_kept']:.3f}",
            *figures,
        )


def _table_notes(table: dict) -> Iterable[str]:
    outliers, like = table["norm_outliers"], table["like_unused"]
    named = ", ".join(f"{token} ({score:+.0f})" for token, score in outliers["farthest"].items())
    yield f"token table: {table['rows']:,} rows; {outliers['count']} norm outliers{': ' + named if named else ''}"
    if table["zero_rows"]:
        yield f"  rows of zeros: {', '.join(table['zero_rows'])}"
    for group in table["repeated_rows"]:
        yield f"  equal rows: {', '.join(group)}"
    if like is None:
        yield "  never-trained rows: unknown, as the vocabulary has no unused tokens to compare with"
    else:
        yield f"  like the {table['unused_rows']} unused rows: {like['count']} others" + (
            f", such as {', '.join(like['tokens'])}" if like["tokens"] else ""
        )
