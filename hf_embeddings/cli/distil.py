"""`hf-embeddings distil`: a cheaper model from an encoder, its teacher."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_embeddings.cli.output import AsJson, TextField, corpus_inputs
from hf_embeddings.corpora.document import SourceReader
from hf_embeddings.corpora.sources import check_source
from hf_embeddings.files.staging import check_target
from hf_embeddings.json_text import json_text
from hf_embeddings.loading.model_names import check_model_or_id
from hf_embeddings.pip_extras import require

if TYPE_CHECKING:
    from hf_embeddings.embedding.static_model import StaticReport

SAMPLE = "pydoc:json,logging,asyncio"  # texts to compare with the teacher on, where no corpus is given
SAMPLED = 500


def distil(
    teacher: Annotated[str, typer.Argument(help="Model directory or Hub id of the encoder to learn from.")],
    target: Annotated[str, typer.Argument(help="Directory to write.")],
    static: Annotated[
        bool, typer.Option("--static", help="Write a table with a vector for each token: no layers, very fast.")
    ] = False,
    dimension: Annotated[int, typer.Option(help="Width of the table; at most that of the teacher.")] = 256,
    corpus: Annotated[
        str | None, typer.Option(help="Texts to count token frequencies in; default: by the order of the vocabulary.")
    ] = None,
    text_field: TextField = "text",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the target directory if it is not empty.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a cheaper model that gives nearly the vectors of its teacher.

    --static: a table that model2vec, sentence-transformers, `index` and `evaluate` read.
    """
    require("eval", "scipy")
    if not static:
        raise ValueError("--static: missing, expected the kind of model to make")
    check_model_or_id(teacher, "TEACHER")
    if corpus is not None:
        check_source(corpus)
    inputs: dict[str, str | Path | None] = {"TEACHER": teacher if Path(teacher).exists() else None}
    check_target(Path(target), inputs=inputs | corpus_inputs("--corpus", corpus), overwrite=overwrite)
    from hf_embeddings.corpora.sources import read_documents
    from hf_embeddings.embedding.static_model import distil_static
    from hf_embeddings.evaluation.word_lists import read_sentences
    from hf_embeddings.progress import Phase
    from hf_embeddings.publishing.card import write_card

    reader = SourceReader(text_field=text_field)
    report = distil_static(
        teacher,
        target,
        dimension=dimension,
        corpus=None if corpus is None else list(read_documents(corpus, reader)),
        corpus_name=corpus or "",
        sample=read_sentences(corpus or SAMPLE, SAMPLED, reader),
        overwrite=overwrite,
        phases=Phase,
        finish=write_card,
    )
    print(json_text(report.to_dict()) if as_json else _sentences(report))


def _sentences(report: "StaticReport") -> str:
    lines = [
        f"{report.target}: a table of {report.tokens:,} tokens x {report.dimension}, {report.bytes / 1e6:.1f} MB",
        f"  {report.kept_variance:.1%} of the variance of the teacher's rows; weights by {report.frequencies}",
    ]
    if report.agreement is not None:
        lines.append(
            f"  agrees with the teacher on which of {report.texts:,} sentences are alike: rank correlation "
            f"{report.agreement:.3f}"
        )
    return "\n".join(lines)
