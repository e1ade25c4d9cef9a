"""No code opens a user's file for reading but through `files/reading.py`: others wait for pipes, and trust bytes."""

import ast

import pytest

from tests.structure import MODULES
from tests.test_writing import writes

READERS = {"read_text", "read_bytes", "open", "load_from_disk", "ParquetFile", "memmap"}
# What these read is no file of a user's, or was checked before; why, stands there.
OWN = {
    # The sources of installed packages.
    "hf_embeddings.corpora.docstrings": {"open"},
    "hf_embeddings.corpora.public_names": {"open"},
    "hf_embeddings.pretraining.options": {"read_text"},
    # Data in installed packages.
    "hf_embeddings.conversion.four_bit_e5": {"read_bytes"},
    "hf_embeddings.corpora.example_texts": {"read_bytes", "read_text"},
    "hf_embeddings.corpora.help_texts": {"read_text"},
    "hf_embeddings.corpora.reviews": {"open"},
    "hf_embeddings.corpora.word_pairs": {"read_text"},
    "hf_embeddings.explaining.page": {"read_text"},
    "hf_embeddings.exporting.servers": {"read_text"},
    "hf_embeddings.publishing.card": {"read_text"},
    "hf_embeddings.publishing.code": {"read_text"},
    "hf_embeddings.serving.app": {"read_bytes"},
    "hf_embeddings.visualization.page": {"read_text"},
    "hf_embeddings.visualization.viewer": {"read_text"},
    "hf_embeddings.hardware": {"read_text"},  # /proc/cpuinfo
    # Sources of documents, whose files `_reader` and `read_saved_dataset` look at first.
    "hf_embeddings.corpora.compression": {"open"},
    "hf_embeddings.corpora.text_files": {"ParquetFile"},
    "hf_embeddings.corpora.hub_datasets": {"load_from_disk"},
    # Files that `_no_plain_file` of uploads/listing.py has looked at.
    "hf_embeddings.uploads.listing": {"read_bytes"},
    "hf_embeddings.uploads.binary_formats": {"open", "read_bytes"},
    "hf_embeddings.uploads.secrets": {"open"},  # members of archives in memory
    # It looks itself, with words of its own.
    "hf_embeddings.corpora.tokenizer": {"open"},
    "hf_embeddings.search.flat_files": {"memmap"},
}


def reads(node: ast.AST) -> str | None:
    """Return by which name a node of the syntax opens a file for reading, None where it does not."""
    if not isinstance(node, ast.Call) or writes(node):
        return None
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name == "open" and ast.unparse(node.func) in ("os.open", "PreparedCorpus.open", "cls.open"):
        return None
    return name if name in READERS and not is_reading(node) else None


def is_reading(node: ast.Call) -> bool:
    """Tell whether a call is of `files/reading.py`: its functions are called by their bare names."""
    return isinstance(node.func, ast.Name) and node.func.id in ("read_text", "read_bytes")


@pytest.mark.parametrize("module", sorted(MODULES))
def test_files_are_read_in_one_way(module: str) -> None:
    if module.startswith("hf_embeddings.files."):
        return
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if name := reads(node):
            assert name in OWN.get(module, ()), f"{module}:{node.lineno}: {name}; read through files/reading.py"
            found.add(name)
    assert found == OWN.get(module, set()), "the list names what is no longer there"


def test_the_test_sees_a_file_that_is_opened_for_reading() -> None:
    code = "open(p); p.open('rb'); p.read_text(); Path(p).read_bytes(); read_text(p); open_file(p); open(p, 'w')"
    found = [reads(node) for node in ast.walk(ast.parse(code))]
    assert sorted(filter(None, found)) == ["open", "open", "read_bytes", "read_text"]
