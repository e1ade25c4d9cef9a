"""`hf-embeddings debias`: a bias direction taken out of the token table or the vectors of a TriEmbed checkpoint."""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_embeddings.cli.output import AsJson, TextField, corpus_inputs, reader_of
from hf_embeddings.corpora.sources import check_source
from hf_embeddings.corpora.word_pairs import LISTS, is_file, read_word_pairs
from hf_embeddings.evaluation.evaluation_data import read_evaluation_data
from hf_embeddings.evaluation.file_lines import read_lines
from hf_embeddings.files.staging import check_target
from hf_embeddings.json_text import json_text
from hf_embeddings.loading.model_names import check_model
from hf_embeddings.pip_extras import require

if TYPE_CHECKING:
    from hf_embeddings.records.debiasing import DebiasReport

SHOWN = 10  # pairs that are named


class Part(Enum):
    """What a direction is taken out of."""

    table = "table"
    vectors = "vectors"


def debias(
    source: Annotated[str, typer.Argument(help="Directory of a TriEmbed checkpoint.")],
    target: Annotated[str, typer.Argument(help="Directory to write.")],
    pairs: Annotated[
        list[str], typer.Option(help=f"Pairs of words: {' or '.join(LISTS)}, or a file with a pair a line.")
    ],
    of: Annotated[Part, typer.Option(help="From rows of the token table, or from pooled vectors.")] = Part.vectors,
    dimensions: Annotated[int, typer.Option(min=1, help="Directions to take out.")] = 1,
    text: Annotated[
        str | None, typer.Option(help="vectors: corpus whose sentences give the direction, instead of short frames.")
    ] = None,
    text_field: TextField = "text",
    specific: Annotated[
        str | None, typer.Option(help="table: a file of words, one a line, that keep their rows, as they mean a group.")
    ] = None,
    bias: Annotated[
        list[str] | None, typer.Option(help="'weat', or a JSON file of word lists. [default: weat]")
    ] = None,
    similarity: Annotated[list[Path] | None, typer.Option(help="As in evaluate: two texts and a score a line.")] = None,
    retrieval: Annotated[list[Path] | None, typer.Option(help="As in evaluate: a query and its text a line.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the target directory if it is not empty.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take the direction that tells two groups apart out of a model, and measure bias and price before and after."""
    require("eval", "scipy")
    if foreign := "text" if of is Part.table and text else "specific" if of is Part.vectors and specific else "":
        raise ValueError(f"--of {of.value}: got --{foreign}, which it does not read; leave it out")
    check_model(source, "the directory of a TriEmbed checkpoint")
    read_word_pairs(pairs)  # a mistake shows before the work
    if text is not None:
        check_source(text)
    inputs: dict[str, str | Path | None] = {"SOURCE": source, "--specific": specific}
    inputs |= corpus_inputs("--text", text) | {f"--pairs {name}": name for name in pairs if is_file(name)}
    check_target(Path(target), inputs=inputs, overwrite=overwrite)
    words = [word.strip() for _, word in read_lines(Path(specific)) if word.strip()] if specific else []
    data = read_evaluation_data(similarity=similarity or [], retrieval=retrieval or [], bias=bias or ["weat"])
    from hf_embeddings.corpora.corpus import read_documents
    from hf_embeddings.debiasing.debias import debias as run
    from hf_embeddings.progress import print_to_stderr
    from hf_embeddings.publishing.card import write_card

    report = run(
        source,
        target,
        pairs,
        of=of.value,
        data=data,
        dimensions=dimensions,
        specific=words,
        texts=read_documents(text, reader_of(text_field)) if text else None,
        text_name=text,
        overwrite=overwrite,
        notify=print_to_stderr,
        finish=write_card,
    )
    if as_json:
        print(json_text(report.to_dict()))
        return
    for line in _sentences(report):
        print(line)
    _print_table(report)


def _sentences(report: "DebiasReport") -> Iterator[str]:
    shares = ", ".join(f"{share:.0%}" for share in report.explained)
    yield f"{report.target}: {len(report.pairs_used)} pairs; their directions explain {shares} of their differences"
    if report.sentences is not None:
        yield f"  from {report.sentences:,} pairs of sentences; a Dense module behind the pooling takes them out"
    else:
        yield (
            f"  {report.rows_neutralized:,} rows neutralized, {report.pairs_equalized:,} pairs equalized, "
            f"{report.rows_kept:,} rows of special tokens and words of the groups are not neutralized"
        )
    if report.head:
        yield f"  the head of the masked language model is {report.head}"
    if names := report.pairs_left_out:
        more = f" and {len(names) - SHOWN} more (all of them: --json)" if len(names) > SHOWN else ""
        why = "are several tokens, or unknown" if report.of == "table" else "are unknown to the vocabulary"
        yield f"  left out, as their words {why}: {', '.join(names[:SHOWN])}{more}"


def _print_table(report: "DebiasReport") -> None:
    from rich.console import Console
    from rich.table import Table

    from hf_embeddings.debiasing.comparison import LIMITS, comparison

    console = Console(markup=False, emoji=False)
    head, *rows = comparison(report)
    table = Table(*head)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print(f"note: {LIMITS}", soft_wrap=True)
