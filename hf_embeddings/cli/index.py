"""`hf-embeddings index`: from documents to an index that is searched by meaning."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hf_embeddings.cli.output import AsJson, Layer, Precision, TextField, reader_of
from hf_embeddings.corpora.document import SourceReader
from hf_embeddings.corpora.sources import check_source, read_described_documents
from hf_embeddings.json_text import json_text
from hf_embeddings.loading.model_names import Pooling, check_model_or_id
from hf_embeddings.printable import counted

if TYPE_CHECKING:
    from hf_embeddings.corpora.document import Document
    from hf_embeddings.search.build import BuildFigures
    from hf_embeddings.search.records import Condition, Record


ID_FIELD = "id"
LATE_PASSAGE = 128  # tokens of a passage that is pooled from its document
MOST_UNKNOWN = 0.01  # share of the characters; more is worth a warning


def index(
    corpus: Annotated[
        str,
        typer.Argument(
            help="pydoc:PACKAGE,PACKAGE; pycode:PACKAGE; hub:USER/NAME; .txt, .jsonl, .csv, .parquet ... files, a glob "
            "or folder."
        ),
    ],
    folder: Annotated[str, typer.Argument(metavar="INDEX", help="Folder of the index, new or to add to.")],
    model: Annotated[str | None, typer.Option(help="Model directory or Hub id; an index knows its own.")] = None,
    precision: Precision = "auto",
    pooling: Annotated[Pooling | None, typer.Option(help="mean, cls or max; default: as the directory states.")] = None,
    layer: Layer = None,
    max_length: Annotated[
        int | None, typer.Option(help="Most tokens of a passage; default: what the model takes, 128 if chunked late.")
    ] = None,
    late_chunking: Annotated[
        bool, typer.Option("--late-chunking", help="Encode a document whole, then pool each passage from its tokens.")
    ] = False,
    normalize: Annotated[
        bool | None, typer.Option(help="Scale vectors to length 1; default: as the directory states.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Only documents whose metadata meet FIELD=VALUE, also != >= <= > < and ~.")
    ] = None,
    text_field: TextField = "text",
    id_field: Annotated[str, typer.Option(help="Field with the id; without one, file and digest make it.")] = ID_FIELD,
    max_documents: Annotated[int | None, typer.Option(help="Stop after so many documents.")] = None,
    processes: Annotated[int, typer.Option(help="Processes that encode.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda:0, or several as cuda:0,cuda:1.")] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Encode documents into an index. If it was interrupted, rerun the command to resume.

    Documents with the same id are replaced. Those without one are removed once their file no longer holds them.

    With an index as CORPUS and qdrant:LOCATION#COLLECTION or milvus:LOCATION#COLLECTION as INDEX, copy it there.
    """
    from hf_embeddings.progress import Phase, print_to_stderr
    from hf_embeddings.search.records import Condition
    from hf_embeddings.search.stores import is_store

    overrides = {"pooling": pooling, "layer": layer, "max_length": max_length, "normalize": normalize}
    if late_chunking:  # the document keeps the length of the model
        overrides |= {"max_length": None, "late_chunking": max_length or LATE_PASSAGE}
    if is_store(folder):
        options = overrides | {"model": model, "max_documents": max_documents, "where": where or None}
        _copy(corpus, folder, options, as_json)
        return
    overrides = {name: value for name, value in overrides.items() if value is not None}
    if model is None:
        model, overrides = _model_of(folder, overrides)
    if max_documents is not None and max_documents < 1:
        raise ValueError(f"--max-documents {max_documents}: expected 1 or more")
    conditions = [Condition.parse(text) for text in where or []]
    check_source(corpus)
    check_model_or_id(model, "--model")
    from hf_embeddings.search.build import build_index
    from hf_embeddings.search.recipe_files import read_recipe
    from hf_embeddings.search.source_records import read_records, scopes_of
    from hf_embeddings.search.workers import EncodingJob

    read_recipe(Path(model))  # one that is not known here is refused before the corpus is read
    job = EncodingJob(str(Path(model).resolve()) if Path(model).is_dir() else model, precision, overrides, device)

    def documents(left_out: Counter[str]) -> Iterator["Document"]:
        reader = reader_of(text_field, with_fields=True, statistics=left_out)
        return islice(_matches(corpus, reader, conditions), max_documents)

    left_out: Counter[str] = Counter()
    records = read_records(documents(left_out), id_field, left_out)
    total = _survey(records, folder, corpus, where or [], id_field, left_out)
    with Phase("encoding", total, unit="documents") as progress:
        figures = build_index(
            read_records(documents(Counter()), id_field),
            folder,
            job,
            source=corpus,
            scopes=scopes_of(corpus),
            chosen=bool(conditions) or max_documents is not None,
            processes=processes,
            progress=progress.advance,
            notify=print_to_stderr,
        )
    record = {"index": folder, **vars(figures), "left_out": +left_out}
    print(json_text(record) if as_json else f"{folder}: {_sentence(figures, left_out)}")


def _model_of(folder: str, overrides: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the model and the recipe that an index was made with, where the command names none."""
    from hf_embeddings.search.records import DATABASE

    if not (Path(folder) / DATABASE).is_file():
        raise ValueError("--model: missing, expected a model directory or Hub id, as the index is new")
    from hf_embeddings.search.index import Index

    with Index(folder) as index:
        settings = index.settings
    return settings.model, settings.recipe | overrides


def _matches(corpus: str, reader: SourceReader, conditions: list["Condition"]) -> Iterator["Document"]:
    """Yield the documents of a source that meet all conditions, under the names that users write."""
    from hf_embeddings.corpora.public_names import name_publicly

    for document in name_publicly(read_described_documents(corpus, reader)):
        if all(condition.holds(document.metadata) for condition in conditions):
            yield document


def _survey(
    records: Iterator["Record"], folder: str, corpus: str, where: list[str], id_field: str, left_out: Counter[str]
) -> int:
    """Count the records, and say what is left out, before any is encoded: reading is quick beside that."""
    from hf_embeddings.progress import Phase, print_to_stderr
    from hf_embeddings.search.build import refuse_older_names
    from hf_embeddings.search.source_records import is_derived

    derived = 0

    def watched() -> Iterator["Record"]:
        nonlocal derived
        for record in records:
            derived += is_derived(record.id)
            yield record

    with Phase("reading", unit="documents", passing=True) as progress:
        total = progress.count(watched())
    if derived:
        refuse_older_names(folder)
    if +left_out:
        print_to_stderr(f"{corpus}: left out {_counted(left_out)}")
    if not total:
        raise ValueError(f"--where {' '.join(where)}: no document of {corpus} meets it; leave it out to see all")
    if id_field != ID_FIELD and derived == total:
        raise ValueError(f"--id-field: got {id_field!r}, which no document of {corpus} has, expected a field; check it")
    return total


def _counted(left_out: Counter[str]) -> str:
    return ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in (+left_out).items())


def _sentence(figures: "BuildFigures", left_out: Counter[str]) -> str:
    parts = [f"{figures.documents:,} documents as {figures.passages:,} passages"]
    parts += [f"{figures.resumed_at:,} were done before"] if figures.resumed_at else []
    parts += [f"{figures.replaced:,} older passages replaced"] if figures.replaced else []
    parts += [f"{figures.removed:,} passages removed that their files no longer hold"] if figures.removed else []
    parts += [f"{figures.kept:,} of these files were not read this time and are kept"] if figures.kept else []
    parts += [f"left out {_counted(left_out)}"] if +left_out else []
    if figures.unknown > MOST_UNKNOWN:
        parts.append(
            f"warning: the vocabulary cannot spell {figures.unknown:.1%} of the characters, which nothing is found by; "
            "take a model of these languages"
        )
    return "; ".join(parts)


def _copy(corpus: str, place: str, options: Mapping[str, object], as_json: bool) -> None:
    """Copy an index into a database as it is; options that would change it are refused."""
    if refused_names := ", ".join(name for name, value in options.items() if value is not None):
        raise ValueError(f"{refused_names}: given, but an index is copied into {place} as it is; leave them out")
    from hf_embeddings.search.records import find_records

    find_records(corpus)
    from hf_embeddings.progress import Phase
    from hf_embeddings.search.index import Index
    from hf_embeddings.search.stores import copy_index, open_store

    with Index(corpus) as index, Phase("copying", len(index), unit="passages") as progress:
        store = open_store(place)
        count = copy_index(index, store, progress.advance)
        store.close()
    print(json_text({"index": place, "passages": count}) if as_json else f"{place}: {counted(count, 'passage')}")
