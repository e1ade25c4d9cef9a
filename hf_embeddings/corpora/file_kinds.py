"""Which files a source may be, in words, and what to do with those that it may not be."""

from collections.abc import Sequence

from hf_embeddings.corpora.compression import COMPRESSIONS, suffix_of
from hf_embeddings.corpora.document import CorpusError
from hf_embeddings.corpora.whole_files import CODE

KINDS = (
    "pydoc:PACKAGE,PACKAGE; pycode:PACKAGE,PACKAGE; hub:USER/NAME; or the path, glob or folder of .txt, .md, .rst, "
    f".jsonl, .json, .csv, .tsv, .fasta or .parquet files (all but the last also as {', '.join(COMPRESSIONS)}), or "
    "what save_to_disk of `datasets` wrote; or the path or glob of source code (.py, .c, .js, .rs, ...)"
)
_UNPACK = "unpack it, and name the folder"
_EXTRACT = "extract its text first, such as with trafilatura, and save it as .txt or .jsonl"
_EXPORT = "export the table as .csv, or save it as .parquet with pandas"
_CURES = {
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z", ".rar"), _UNPACK),
    **dict.fromkeys((".html", ".htm", ".xhtml", ".xml", ".warc", ".wet"), _EXTRACT),
    **dict.fromkeys((".pdf", ".docx", ".doc", ".odt", ".rtf", ".epub", ".ipynb"), "save its text as .txt"),
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".sqlite", ".db", ".feather", ".pkl", ".pickle"), _EXPORT),
    ".arrow": "name the folder that save_to_disk wrote, or save the data set with to_parquet",
    ".orc": "save it as .parquet",
    ".lz4": "compress it as .zst or .gz",
    ".z": "compress it as .zst or .gz",
    ".yaml": "write one object a line, as .jsonl",
    ".yml": "write one object a line, as .jsonl",
}


def unknown_kind(source: str) -> CorpusError:
    """Return the error of a file, or of what looks like one, that is of no kind that is read."""
    suffix = suffix_of(source)
    cure = _CURES.get(suffix, "name one of these; if it is text, give it the suffix of its kind")
    return CorpusError(f"source {source!r}: got {_kind(suffix)}, expected {KINDS}; {cure}")


def no_known_files(folder: str, others: Sequence[str]) -> CorpusError:
    """Return the error of a folder without a file that is read; `others` are the names of those that it has."""
    suffixes = sorted({suffix_of(name) for name in others})
    held = ", ".join(suffix or "files without a suffix" for suffix in suffixes[:5]) or "no files"
    code = next((f"name source code by a glob: {folder}/**/*{suffix}" for suffix in suffixes if suffix in CODE), None)
    cure = next((_CURES[suffix] for suffix in suffixes if suffix in _CURES), code or "check the path")
    return CorpusError(f"{folder}: got a folder with {held}, expected one with files of a source: {KINDS}; {cure}")


def _kind(suffix: str) -> str:
    return f"a {suffix} file" if suffix in _CURES else "an unknown kind"
