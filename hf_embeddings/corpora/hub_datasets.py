"""Documents in datasets of the library `datasets`: of the Hub as streams, or saved in a folder."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from hf_embeddings.corpora.document import CorpusError, Document, SourceReader, unreadable
from hf_embeddings.corpora.text_files import json_values, rows_at_once
from hf_embeddings.files.reading import check_file

if TYPE_CHECKING:
    import datasets


def read_hub(name: str, reader: SourceReader) -> Iterator[Document]:
    """Yield a column of a dataset of the Hub, or of a local folder that `datasets` can load, as a stream."""
    import datasets

    if is_saved_dataset(name):
        yield from read_saved_dataset(name, reader)
        return
    place = f"hub:{name}"
    try:
        rows = datasets.load_dataset(name, reader.hub_config, split=reader.hub_split, streaming=True)
        yield from _rows(rows, place, reader)
    except CorpusError:
        raise
    except Exception as error:  # datasets raises many kinds, its dependencies more
        raise CorpusError(
            f"{place}: `datasets` cannot load split {reader.hub_split!r}, configuration {reader.hub_config!r}: "
            f"{' '.join(str(error).split())}; check the name, hub_split, hub_config and the connection"
        ) from error


def read_saved_dataset(folder: str, reader: SourceReader) -> Iterator[Document]:
    """Yield a column of what `save_to_disk` of `datasets` wrote: a dataset, or several as splits."""
    import datasets

    try:
        for inside, _, names in os.walk(folder):
            for name in names:
                check_file(os.path.join(inside, name))
        dataset = datasets.load_from_disk(folder)
        if isinstance(dataset, datasets.DatasetDict):
            if reader.hub_split not in dataset:
                splits = ", ".join(map(repr, dataset))
                raise CorpusError(f"{folder}: got the splits {splits}, expected {reader.hub_split!r}; set hub_split")
            dataset = dataset[reader.hub_split]
        yield from _rows(dataset, folder, reader, _checked_rows)
    except CorpusError:
        raise
    except Exception as error:
        raise unreadable(folder, error) from error


def is_saved_dataset(folder: str) -> bool:
    """Tell whether `save_to_disk` of `datasets` wrote a folder."""
    return any(os.path.isfile(os.path.join(folder, name)) for name in ("dataset_dict.json", "state.json"))


def _rows(
    rows: Any,  # noqa: ANN401  of two classes
    place: str,
    reader: SourceReader,
    each: Callable[[Any], Iterable[object]] = iter,
) -> Iterator[Document]:
    if rows.column_names and reader.text_field in rows.column_names:
        others = _plain_columns(rows) if reader.with_fields else []
        rows = rows.select_columns([reader.text_field, *(name for name in others if name != reader.text_field)])
    for number, row in enumerate(each(rows), 1):
        yield from reader.text_of(json_values(row) if isinstance(row, dict) else row, f"{place}, row {number}")


def _plain_columns(rows: Any) -> list[str]:  # noqa: ANN401  as above
    """Return the columns that are no bytes and no lists: images or sound beside the text are not decoded."""
    import datasets

    features = rows.features or {}
    plain = (datasets.Value, datasets.ClassLabel)
    return [name for name, kind in features.items() if isinstance(kind, plain) and "binary" not in kind.dtype]


def _checked_rows(dataset: "datasets.Dataset") -> Iterator[object]:
    """Yield the rows of a dataset that is mapped into memory, where a damaged offset would end the process."""
    size = rows_at_once(dataset.data.nbytes, len(dataset))
    for batch in dataset.with_format("arrow").iter(batch_size=size):
        batch.validate(full=True)
        yield from batch.to_pylist()
