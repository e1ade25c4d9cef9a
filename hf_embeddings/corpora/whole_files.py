"""Files whose documents are no paragraphs: source code, one document a file, and FASTA, one document a sequence."""

from codecs import BOM_UTF8
from collections.abc import Callable, Iterator

from hf_embeddings.corpora.compression import open_text
from hf_embeddings.corpora.document import MAX_DOCUMENT_BYTES, CorpusError, Document, SourceReader, unreadable
from hf_embeddings.corpora.text_files import decode
from hf_embeddings.files.lines import line_pieces, with_plain_ends

HEADER = b">"  # before the name of a sequence

Reader = Callable[[str, SourceReader], Iterator[Document]]


def read_code(path: str, reader: SourceReader) -> Iterator[Document]:
    """Yield a file of source code as one document, with its blank lines and indentation."""
    try:
        with open_text(path) as file:
            content = file.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise unreadable(path, error) from error
    reader.advance(len(content))
    if len(content) > MAX_DOCUMENT_BYTES:
        reader.overlong(path)
        return
    text = reader.valid(decode(content, 0), path, 0)
    if text is not None:
        yield Document(with_plain_ends(text), {"source": path}, path)


def read_fasta(path: str, reader: SourceReader) -> Iterator[Document]:
    """Yield the sequences of a FASTA file in one piece each; their names and descriptions are metadata."""
    header: bytes | None = None
    pieces, size, place = list[bytes](), 0, path
    try:
        with open_text(path) as file:
            for number, line in enumerate(line_pieces(file), 1):
                reader.advance(len(line))
                line = line if number > 1 else line.removeprefix(BOM_UTF8)
                if line.startswith(HEADER):
                    yield from _sequence(header, pieces, place, reader)
                    header, pieces, size, place = line[1:].strip(), [], 0, f"{path}:{number}"
                elif line.strip() and header is None:
                    raise CorpusError(
                        f"{path}:{number}: got a sequence without a line that names it, expected one that begins with "
                        "'>', as in FASTA; add it, or give text the suffix .txt"
                    )
                elif size <= MAX_DOCUMENT_BYTES:
                    pieces.append(line.strip())
                    size += len(pieces[-1])
                    if size > MAX_DOCUMENT_BYTES:
                        reader.overlong(place)
                        pieces = []
    except OSError as error:
        raise unreadable(path, error) from error
    yield from _sequence(header, pieces, place, reader)


def _sequence(header: bytes | None, pieces: list[bytes], place: str, reader: SourceReader) -> Iterator[Document]:
    parts = (header or b"", b"".join(pieces))
    name, sequence = (reader.valid(decode(part, 0), place) for part in parts)
    if name is not None and sequence:
        title, _, description = name.partition(" ")
        yield Document(sequence, {"title": title, "description": description}, place)


SEQUENCES: dict[str, Reader] = dict.fromkeys((".fasta", ".fa", ".faa", ".fna", ".ffn"), read_fasta)
CODE: dict[str, Reader] = dict.fromkeys(
    (
        ".py .pyi .c .h .cc .cpp .hpp .cs .css .go .hs .java .jl .js .jsx .kt .lua .m .php .pl .r .rb .rs .scala .sh "
        ".sql .swift .ts .tsx"
    ).split(),
    read_code,
)
