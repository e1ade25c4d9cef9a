"""Documents from wherever they are: installed packages, files of several kinds, datasets of the Hub."""

import difflib
import glob
import os
import pkgutil
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator

from hf_embeddings.corpora.compression import suffix_of
from hf_embeddings.corpora.docstrings import package_files, read_docstrings
from hf_embeddings.corpora.document import CorpusError, Document, SourceReader, unreadable
from hf_embeddings.corpora.file_kinds import no_known_files, unknown_kind
from hf_embeddings.corpora.hub_datasets import is_saved_dataset, read_hub, read_saved_dataset
from hf_embeddings.corpora.text_files import SUFFIXES as TEXT_FILES
from hf_embeddings.corpora.text_files import text_bytes
from hf_embeddings.corpora.whole_files import CODE, SEQUENCES, read_code
from hf_embeddings.files.reading import file_type

PACKAGES = "pydoc:"  # what docstrings of installed packages are named by
PACKAGE_CODE = "pycode:"  # and their source files
INSTALLED = (PACKAGES, PACKAGE_CODE)
FILES = TEXT_FILES | SEQUENCES  # by suffix; of a folder these are read, and source code only where it is named
OTHER_FILES = "files_of_other_kinds"  # in a folder, counted in the statistics of reading
_SCHEME = re.compile(r"[A-Za-z]\w+:")  # one letter would be a Windows drive


def read_packages(names: str, reader: SourceReader) -> Iterator[Document]:
    """Yield the docstrings of installed packages, given as `torch,numpy`."""
    modules = _modules(names)
    for path, texts in read_docstrings(list(modules)):
        reader.advance(text_bytes(path))
        reader.statistics["unparsable_files"] += texts is None
        module = modules[path]
        package = module.split(".")[0]
        for inner, text in texts or ():
            valid_text = reader.valid(text, f"a docstring of {path}")
            if valid_text is not None:
                absolute = inner.startswith(f"{package}.")  # as in add_docstr(torch.abs, ...)
                title = inner if absolute else ".".join(filter(None, (module, inner)))
                yield Document(valid_text, {"title": title, "package": package, "module": module}, f"{title} in {path}")


def _modules(names: str) -> dict[str, str]:
    """Return the files of packages, with their modules."""
    modules: dict[str, str] = {}
    for name in (name.strip() for name in names.split(",")):
        files = package_files(name)
        if not files:
            raise CorpusError(_no_package(name))
        modules |= files
    return modules


def read_package_code(names: str, reader: SourceReader) -> Iterator[Document]:
    """Yield the Python files of installed packages, given as `torch,numpy`."""
    for path, module in _modules(names).items():
        for document in read_code(path, reader):
            package = module.split(".")[0]
            yield Document(document.text, {"title": module, "package": package, "module": module}, path)


SCHEMES: dict[str, Callable[[str, SourceReader], Iterator[Document]]] = {
    PACKAGES: read_packages,
    PACKAGE_CODE: read_package_code,
    "hub:": read_hub,
}


def read_documents(
    source: str, reader: SourceReader | None = None, *, max_documents: int | None = None
) -> Iterator[str]:
    """Yield the texts of the documents of a source: see `read_described_documents`."""
    return (document.text for document in read_described_documents(source, reader, max_documents=max_documents))


def read_described_documents(
    source: str, reader: SourceReader | None = None, *, max_documents: int | None = None
) -> Iterator[Document]:
    """Yield the documents of a source, in an order that depends on the source only."""
    reader = reader or SourceReader()
    reader.statistics.update(folder_counts(source))
    count = 0
    for part in parts_of(source):
        for document in read_part(part, reader):
            yield document
            count += 1
            if count == max_documents:
                return
    if not count:
        raise no_documents(source, reader.statistics)


def check_source(source: str) -> None:
    """Look for the files of a source, without reading them; one that starts with `hub:` is not looked up.

    Raises:
        CorpusError: there are none, or they are of an unknown kind.
    """
    if source.startswith(INSTALLED):
        _modules(source.partition(":")[2])
    elif not source.startswith("hub:"):
        for part in parts_of(source):
            _reader(part)


def parts_of(source: str) -> list[str]:
    """Return what a source consists of, in the order of reading: its files, or itself."""
    return [source] if source.startswith(tuple(SCHEMES)) else _files(source)


def source_bytes(source: str) -> int:
    """Return the bytes that are gone through to read a source, for the time left; 0 where nobody knows."""
    if source.startswith(INSTALLED):
        names = source.partition(":")[2].split(",")
        return sum(text_bytes(path) for name in names for path in package_files(name.strip()))
    return sum(text_bytes(part) for part in parts_of(source))


def read_part(part: str, reader: SourceReader) -> Iterator[Document]:
    """Yield the documents of what `parts_of` gives, without white space around them; perhaps none."""
    origin = origin_of(part)
    for document in _read(part, reader):
        text = document.text.strip()
        if text:  # and not space between blank lines, or an empty field
            yield Document(text, document.metadata, document.place, origin, document.place_fields)


def folder_counts(source: str) -> Counter[str]:
    """Return what is to be told of a source that is a folder: the files of each kind, if it has several.

    Those of no kind that is read are left out, and counted; names that begin with a dot are not.
    """
    path = os.path.expanduser(source)
    if source.startswith(tuple(SCHEMES)) or not os.path.isdir(path) or is_saved_dataset(path):
        return Counter()
    suffixes = Counter(suffix_of(name) for *_, names in _folders(path) for name in names if name[0] != ".")
    kinds = Counter({f"{suffix[1:]}_files": count for suffix, count in suffixes.items() if suffix in FILES})
    others = suffixes.total() - kinds.total()
    return (kinds if len(kinds) > 1 else Counter()) + Counter({OTHER_FILES: others})


def origin_of(part: str) -> str:
    """Return the one name of a part of a source: the absolute path of a file, links followed."""
    return part if part.startswith(tuple(SCHEMES)) else os.path.realpath(part)


def no_documents(source: str, statistics: Counter[str]) -> CorpusError:
    """Return the error of a source that gives nothing."""
    reasons = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in statistics.items() if number)
    cure = "set text_field to the one with the text" if statistics["rows_without_text"] else "choose another source"
    return CorpusError(
        f"source {source!r}: got no documents" + (f" ({reasons})" if reasons else "") + f", expected some text; {cure}"
    )


def _read(part: str, reader: SourceReader) -> Iterator[Document]:
    for scheme, read_rest in SCHEMES.items():
        if part.startswith(scheme):
            return read_rest(part.removeprefix(scheme), reader)
    return _reader(part)(part, reader)


def _reader(part: str) -> Callable[[str, SourceReader], Iterator[Document]]:
    if is_saved_dataset(part):
        return read_saved_dataset
    read_file = (FILES | CODE).get(suffix_of(part))
    if read_file is None:
        raise unknown_kind(part)
    mode = _mode(part)  # before opening: to open a pipe is to wait for its writer
    if not stat.S_ISREG(mode):
        raise CorpusError(f"{part}: got a {file_type(mode)}, expected a file; name a regular file")
    return read_file


def _files(source: str) -> list[str]:
    path = os.path.expanduser(source)
    if not os.path.lexists(path):
        bare = not os.path.dirname(path) and suffix_of(path) not in {*FILES, *CODE, ""}
        if _SCHEME.match(path) or bare:
            raise unknown_kind(source)
        if glob.has_magic(path):
            paths = sorted(glob.glob(path, recursive=True), key=_posix)
            if not paths:
                raise CorpusError(f"source {source!r}: no file matches, expected at least one; check the path")
            return paths
    if not stat.S_ISDIR(_mode(path)):
        return [path]
    paths = sorted(_inside(path), key=_posix)
    if not paths:
        raise no_known_files(path, [name for *_, names in _folders(path) for name in names if name[0] != "."])
    return paths


def _inside(path: str) -> Iterator[str]:
    """Yield the files and saved datasets in a folder, those behind links to folders too, each folder once."""
    for folder, is_saved, names in _folders(path):
        if is_saved:
            yield folder
        yield from (os.path.join(folder, name) for name in names if suffix_of(name) in FILES)


def _folders(path: str) -> Iterator[tuple[str, bool, list[str]]]:
    """Yield each folder in a folder once, whether it is a saved dataset, and else the names of its files."""
    seen_folders = set()

    def refuse(error: OSError) -> None:
        raise unreadable(error.filename, error) from error

    for folder, folders, names in os.walk(path, onerror=refuse, followlinks=True):
        real = os.path.realpath(folder)
        is_saved = is_saved_dataset(folder)
        if real in seen_folders or is_saved:
            folders.clear()
        folders.sort()
        if real not in seen_folders:
            yield folder, is_saved, [] if is_saved else names
        seen_folders.add(real)


def _posix(path: str) -> str:
    """Return what paths are sorted by, so that their order is the same on every system."""
    return path.replace(os.sep, "/")


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        message = f"source {path!r}: cannot be read ({reason}), expected a file or folder; check the path"
        raise CorpusError(message) from error


def _no_package(name: str) -> str:
    top = name.split(".")[0]
    near = difflib.get_close_matches(top, sorted({module.name for module in pkgutil.iter_modules()}), n=1)
    cure = f"did you mean {near[0]!r}" if near and near[0] != top else "install it, or name another one"
    return f"pydoc: package {name!r} is not installed or has no .py files, expected an importable name; {cure}"
