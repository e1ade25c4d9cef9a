"""`hf-embeddings distil`: a cheaper model from an encoder, its teacher, or one that reads another language."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hf_embeddings.cli.output import AsJson, TextField, corpus_inputs, reader_of
from hf_embeddings.corpora.document import SourceReader
from hf_embeddings.corpora.sources import check_source
from hf_embeddings.evaluation.file_lines import read_lines
from hf_embeddings.file_names import DISTILLATION
from hf_embeddings.files.staging import check_target
from hf_embeddings.json_text import json_text
from hf_embeddings.loading.model_names import check_model, check_model_or_id
from hf_embeddings.pip_extras import require
from hf_embeddings.printable import counted, one_line

if TYPE_CHECKING:
    from hf_embeddings.embedding.language import LanguageReport
    from hf_embeddings.embedding.smaller import SmallerReport
    from hf_embeddings.embedding.static_model import StaticReport

SAMPLE = "pydoc:json,logging,asyncio"  # texts to compare with the teacher on, where no corpus is given
SAMPLED = 500
SENTENCES = 20000
TRAINING = ("epochs", "batch-size", "learning-rate", "seed")
OPTIONS = {  # that each kind of student reads
    "static": ("dimension", "corpus"),
    "smaller": ("layers", "width", "corpus", "sentences", *TRAINING),
    "translations": TRAINING,
}


def distil(
    teacher: Annotated[str, typer.Argument(help="Model directory of the encoder to learn from; --static: or Hub id.")],
    target: Annotated[str, typer.Argument(help="Directory to write.")],
    static: Annotated[
        bool, typer.Option("--static", help="Write a table with a vector for each token: no layers, very fast.")
    ] = False,
    layers: Annotated[
        int | None, typer.Option(min=1, help="Keep so many layers: those whose loss changes the vectors least leave.")
    ] = None,
    width: Annotated[
        int | None, typer.Option(min=1, help="Keep so many of the teacher's channels; its heads shrink with them.")
    ] = None,
    translations: Annotated[
        Path | None, typer.Option(help="Learn another language: a text, a tab and its translation a line.")
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option(help="layers, width: texts to learn from. static: to count token frequencies in."),
    ] = None,
    text_field: TextField = "text",
    dimension: Annotated[int | None, typer.Option(help="static: width of the table; 256 by default.")] = None,
    sentences: Annotated[int | None, typer.Option(help="layers, width: sentences of it; 20,000 by default.")] = None,
    epochs: Annotated[float | None, typer.Option(min=0.001, help="Passes through the texts; 1 by default.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Texts or pairs of a step; 32 by default.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=1e-9, help="Peak; 2e-4 by default.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the order of the texts; 0 by default.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the target directory if it is not empty; begin anew.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a model that gives nearly the vectors of its teacher: cheaper, or of another language.

    Give --static, or --translations, or one or both of --layers and --width. If a training was interrupted, rerun the
    command to resume.
    """
    require("eval", "scipy", *([] if static else ["sentence_transformers"]))
    training = {"epochs": epochs, "batch-size": batch_size, "learning-rate": learning_rate, "seed": seed}
    given = {"layers": layers, "width": width, "dimension": dimension, "corpus": corpus, "sentences": sentences}
    kind = _kind(static=static, translations=translations, given={**given, **training})
    if kind == "static":
        check_model_or_id(teacher, "TEACHER")
    else:
        check_model(teacher, "the directory of a TriEmbed checkpoint")
    if kind == "smaller":
        from hf_embeddings.embedding.student_size import check_size

        check_size(Path(teacher), layers, width)
    if corpus is not None:
        check_source(corpus)
    elif kind == "smaller":
        raise ValueError("--corpus: missing, expected texts to learn from, such as those that you will encode")
    inputs: dict[str, str | Path | None] = {"TEACHER": teacher if Path(teacher).exists() else None}
    inputs |= corpus_inputs("--corpus", corpus) | {"--translations": translations}
    may_be_there = kind != "static" and (Path(target) / DISTILLATION).is_file()  # made by the same call
    check_target(Path(target), inputs=inputs, overwrite=overwrite or may_be_there)
    reader = reader_of(text_field)
    report: StaticReport | SmallerReport | LanguageReport
    if kind == "static":
        report = _static(teacher, target, 256 if dimension is None else dimension, corpus, reader, overwrite=overwrite)
    else:
        from hf_embeddings.embedding.language import distil_language
        from hf_embeddings.embedding.smaller import distil_smaller
        from hf_embeddings.embedding.student_training import StudentOptions
        from hf_embeddings.embedding.teaching import Places
        from hf_embeddings.embedding.trainer import TrainingFailed
        from hf_embeddings.evaluation.word_lists import sample_sentences
        from hf_embeddings.progress import Phase
        from hf_embeddings.publishing.card import write_card

        chosen = {name.replace("-", "_"): value for name, value in training.items() if value is not None}
        options: StudentOptions = StudentOptions(**chosen)  # type: ignore[arg-type]
        places = Places(
            teacher=Path(teacher), target=Path(target), overwrite=overwrite, phases=Phase, finish=write_card
        )
        try:
            if translations is None:
                texts = sample_sentences(str(corpus), sentences or SENTENCES, reader)
                report = distil_smaller(places, texts, layers=layers, width=width, options=options)
            else:
                report = distil_language(places, _pairs(translations), options)
        except TrainingFailed as error:
            print(one_line(f"error: {error}"), file=sys.stderr)
            raise typer.Exit(1) from None
    print(json_text(report.to_dict()) if as_json else SENTENCES_OF[kind](report))


def _kind(*, static: bool, translations: Path | None, given: Mapping[str, object]) -> str:
    """Return the one kind that was asked for; refuse options that another one reads, which would be dropped."""
    sizes = [name for name in ("layers", "width") if given[name] is not None]
    asked = {"static": static, "smaller": bool(sizes), "translations": translations is not None}
    chosen = [kind for kind, value in asked.items() if value]
    if len(chosen) != 1:
        words = {"smaller": f"--{' and --'.join(sizes)}"}
        got = " and ".join(words.get(kind, f"--{kind}") for kind in chosen) or "none"
        raise ValueError(f"distil: got {got}, expected one of --static, --layers or --width or both, --translations")
    name = f"--{sizes[0] if sizes else chosen[0]}"
    if foreign := [option for option, value in given.items() if value is not None and option not in OPTIONS[chosen[0]]]:
        allowed = ", ".join(f"--{option}" for option in OPTIONS[chosen[0]])
        raise ValueError(f"{name}: got --{foreign[0]}, expected only {allowed} beside it; leave it out")
    return chosen[0]


def _pairs(path: Path) -> list[tuple[str, str]]:
    pairs = []
    for place, line in read_lines(path):
        parts = [part.strip() for part in line.rstrip("\r\n").split("\t")]
        if len(parts) != 2 or not all(parts):
            columns = counted(len(parts), "column")
            raise ValueError(f"{place}: got {columns}, expected a text, a tab and its translation")
        pairs.append((parts[0], parts[1]))
    return pairs


def _static(
    teacher: str, target: str, dimension: int, corpus: str | None, reader: SourceReader, *, overwrite: bool
) -> "StaticReport":
    from hf_embeddings.corpora.sources import read_documents
    from hf_embeddings.embedding.static_model import distil_static
    from hf_embeddings.evaluation.word_lists import read_sentences
    from hf_embeddings.progress import Phase
    from hf_embeddings.publishing.card import write_card

    return distil_static(
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


def _of_static(report: "StaticReport") -> str:
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


def _of_smaller(report: "SmallerReport") -> str:
    cosines, agreements = report.cosine, report.agreement
    return (
        f"{report.target}: layers {', '.join(map(str, report.layers))} of the teacher, width {report.width}, "
        f"{report.parameters[1]:,} of {report.parameters[0]:,} parameters\n"
        f"  mean cosine to the teacher's vectors of held-out sentences {cosines[1]:.4f} (before the training "
        f"{cosines[0]:.4f}); rank correlation of their similarities {agreements[1]:.3f} ({agreements[0]:.3f})"
    )


def _of_translations(report: "LanguageReport") -> str:
    before, after = report.recall
    return (
        f"{report.target}: learned from {report.pairs:,} pairs, {report.added:,} characters are new tokens\n"
        f"  finds {after:.1%} of {report.held_out} held-out translations first (before the training {before:.1%}); "
        f"cosine to the teacher in its own language {report.kept:.4f}"
    )


SENTENCES_OF: dict[str, Callable[[Any], str]] = {
    "static": _of_static,
    "smaller": _of_smaller,
    "translations": _of_translations,
}
