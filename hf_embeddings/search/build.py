"""Build an index from a stream of documents: passages, vectors, a commit for each chunk, resumable at each of them."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

from hf_embeddings.corpora.text_sample import TextSample
from hf_embeddings.corpora.tokenized_corpus import SentenceTokenizer
from hf_embeddings.files.lock import Lock
from hf_embeddings.hardware import Precision, bf16_is_fast
from hf_embeddings.search.creation import check_new, sweep_creation
from hf_embeddings.search.encoder import Encoder
from hf_embeddings.search.fingerprint import changed_part, model_fingerprint
from hf_embeddings.search.index import Index
from hf_embeddings.search.late_chunking import PassageSpan, Text
from hf_embeddings.search.passages import OPENING, TITLE, opening, split_passages, split_spans
from hf_embeddings.search.precision import AUTO, choose_encoding_precision, time_lost
from hf_embeddings.search.recipe import Recipe
from hf_embeddings.search.records import DATABASE, Record
from hf_embeddings.search.settings import NAMED_BY_FILE, IndexSettings, UnfinishedBuild
from hf_embeddings.search.source_records import Scope, is_derived
from hf_embeddings.search.workers import Chunk, EncodingJob, encode_chunks

DOCUMENTS_PER_COMMIT = 4096  # what an interruption can cost, and the memory that a build takes
SAMPLED_DOCUMENTS, SAMPLED_CHARACTERS = 2000, 200  # the first of both, in which unknown characters are counted


@dataclass
class BuildFigures:
    """What a build did."""

    documents: int = 0
    passages: int = 0
    replaced: int = 0  # passages of documents that the index had before
    resumed_at: int = 0  # documents that were done when this build took over
    removed: int = 0  # passages that their files no longer hold
    kept: int = 0  # passages of the same files that were not read this time, because a part was chosen
    unknown: float = 0.0  # share of the characters, in the first documents, that the vocabulary cannot spell ([UNK])


def build_index(
    documents: Iterable[Record],
    folder: str | Path,
    job: EncodingJob,
    *,
    source: str,
    scopes: Sequence[Scope] = (),
    chosen: bool = False,
    processes: int = 1,
    progress: Callable[[float], None] = lambda done: None,
    notify: Callable[[str], None] = lambda line: None,
) -> BuildFigures:
    """Encode documents into an index, new or begun before, and return what was done.

    An interrupted build goes on where the last commit left it: the same documents are read again and compared with the
    digest of those that are done. Documents that a finished index has already are replaced, others are added.

    Args:
        documents: what is encoded.
        folder: the index.
        job: model, precision and device.
        source: what the documents come from, which an interrupted build must be resumed from.
        scopes: ranges of ids that belong to the files read; what is there and not among the documents is removed.
        chosen: whether the documents are a part of those files, so that nothing is removed.
        processes: how many encode.
        progress: is called with the number of documents just done.
        notify: is told in which precision they are encoded.

    Raises:
        ValueError: the index was made with another model or recipe, the documents changed since the interruption, or
            another process builds it.
    """
    path = Path(folder)
    index = Index(path) if (path / DATABASE).is_file() else None
    choice, precision = job.precision, _precision(job, index)
    job = replace(job, precision=precision.name)
    encoder = job.load()
    job, encoder = _for_products(job, encoder)
    notify(f"precision: {precision.name}, {precision.reason}")
    widths = {"inputs": encoder.dimension, "outputs": 4 * encoder.dimension}
    if warning := time_lost(precision.name, encoder.model.device, **widths):
        notify(warning)
    settings = IndexSettings(  # no device: any gives the same vectors, up to rounding
        model=job.model,
        precision=job.precision,
        recipe=asdict(encoder.recipe),
        digests=model_fingerprint(job.model),
        ids=NAMED_BY_FILE,
    )
    if index is None:
        check_new(path)
    with _alone(path):
        sweep_creation(path)
        if index is None:
            index = Index.create(path, encoder.dimension, settings)
        with index:
            _refuse_other_model(index, settings, any_precision=choice == AUTO)
            ids_seen: set[str] = set()
            sample: list[str] = []
            records = _sampled(_noting(documents, ids_seen) if scopes else documents, sample)
            figures = _fill(index, records, job, encoder, source=source, processes=processes, progress=progress)
            figures.unknown = _unknown_share(encoder, sample)
            missing = index.retain(scopes, ids_seen, remove=not chosen, build=None)
    return replace(figures, kept=missing) if chosen else replace(figures, removed=missing)


def refuse_older_names(folder: str | Path) -> None:
    """Refuse to add documents without ids of their own to an index that named such documents in another way.

    Raises:
        ValueError: it did; what it has already would be there twice.
    """
    if (Path(folder) / DATABASE).is_file():
        with Index(folder) as index:
            if index.settings.ids != NAMED_BY_FILE:
                raise ValueError(
                    f"{folder}: made by an earlier version, which named documents without an id by titles; it can "
                    "be searched, but to add files build it again, or name the field of their ids with --id-field"
                )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = Lock(folder)
    try:
        yield
    finally:
        lock.release()
        with suppress(OSError):  # an index is in it: only one that could not be made leaves an empty folder
            folder.rmdir()


def _noting(documents: Iterable[Record], ids: set[str]) -> Iterator[Record]:
    for document in documents:
        if is_derived(document.id):
            ids.add(document.id)
        yield document


def _sampled(documents: Iterable[Record], sample: list[str]) -> Iterator[Record]:
    for document in documents:
        if len(sample) < SAMPLED_DOCUMENTS:
            sample.append(document.text[:SAMPLED_CHARACTERS])
        yield document


def _unknown_share(encoder: Encoder, sample: list[str]) -> float:
    characters = SAMPLED_DOCUMENTS * SAMPLED_CHARACTERS
    return TextSample.of(SentenceTokenizer.of(encoder.tokenizer), sample, characters=characters).unknown_share or 0.0


def _for_products(job: EncodingJob, encoder: Encoder) -> tuple[EncodingJob, Encoder]:
    """Make vectors whose products, by which an index ranks, rank as the model's own similarity does.

    Raises:
        ValueError: no scaling does that for the similarity that the directory states.
    """
    recipe = encoder.recipe
    if recipe.similarity not in ("cosine", "dot"):
        raise ValueError(
            f"{job.model}: its vectors are compared by {recipe.similarity} distance, expected cosine or dot, as an "
            "index ranks by products; search with sentence-transformers"
        )
    is_scaled = job.overrides.get("normalize", recipe.similarity == "cosine")
    if is_scaled and (encoder.dimension != encoder.width or not recipe.normalize):
        job = replace(job, overrides={**job.overrides, "rescale": True})
        encoder.recipe = replace(recipe, rescale=True)
    return job, encoder


def _precision(job: EncodingJob, index: Index | None) -> Precision:
    """Return what `auto` means for an index that is there, or here: that of the index, unless it is slow here.

    bf16 and fp32 differ by rounding, so vectors of both may stand in one index; those of int8 may not.
    """
    device = job.device.split(",")[0]
    before = index.settings.precision if index is not None else ""
    if job.precision != AUTO or not before or (before == "bf16" and not bf16_is_fast(device)):
        return choose_encoding_precision(job.precision, device)
    return Precision(choose_encoding_precision(before, device).name, "as the index was made")


def _fill(
    index: Index,
    documents: Iterator[Record],
    job: EncodingJob,
    encoder: Encoder,
    *,
    source: str,
    processes: int,
    progress: Callable[[float], None],
) -> BuildFigures:
    digest, figures = hashlib.sha256(), BuildFigures()
    if values := index.get("build"):
        old_build = UnfinishedBuild.from_dict(values)
        if old_build.source != source:
            raise ValueError(
                f"{index.folder}: a build from {old_build.source!r} was interrupted; finish it, or remove the folder"
            )
        figures.resumed_at = old_build.documents
        for document in islice(documents, figures.resumed_at):
            digest.update(_fingerprint(document))
        if digest.hexdigest() != old_build.digest:
            raise ValueError(
                f"{index.folder}: the first {figures.resumed_at} documents of {source!r} are no longer those that were "
                "encoded before the interruption; remove the folder and build it again"
            )
        progress(figures.resumed_at)
    count = figures.resumed_at
    for chunk, vectors in encode_chunks(_chunks(documents, encoder), job, encoder, processes, progress):
        for document in chunk.documents:
            digest.update(_fingerprint(document))
        count += len(chunk.documents)
        progress_so_far = UnfinishedBuild(source=source, documents=count, digest=digest.hexdigest())
        figures.replaced += index.add(chunk.passages, vectors, build=progress_so_far.to_dict())
        figures.documents += len(chunk.documents)
        figures.passages += len(chunk.passages)
    return figures


def _chunks(documents: Iterator[Record], encoder: Encoder) -> Iterator[Chunk]:
    while chunk := list(islice(documents, DOCUMENTS_PER_COMMIT)):
        # Of documents with one id the last counts, as in a later chunk.
        passages = list(_passages(list({document.id: document for document in chunk}.values()), encoder))
        yield Chunk(chunk, [passage for passage, _ in passages], [text for _, text in passages])


def _passages(documents: Sequence[Record], encoder: Encoder) -> Iterator[tuple[Record, Text]]:
    """Yield the passages of documents, and what their vectors are made of.

    The text is cut to the length of the model, less special tokens and prompt. Where there is a title, the opening
    stands by itself and below the title, too: alone it says what the document is about, among details it drowns.
    """
    prefix, titles = encoder.prefix("document"), [document.title for document in documents]
    room = encoder.max_length - encoder.count_tokens([prefix])[0]
    title_tokens = encoder.count_tokens([f"{prefix}{title}\n" for title in titles])
    for document, tokens in zip(documents, title_tokens, strict=True):
        if tokens > encoder.max_length * 3 // 4:
            raise ValueError(
                f"document {document.id!r}: prompt and title take {tokens} of the {encoder.max_length} tokens that the "
                "model takes; shorten them"
            )
    bodies = _bodies([document.text for document in documents], encoder, room)
    openings = [opening(document.text) if title else "" for document, title in zip(documents, titles, strict=True)]
    heads = split_passages(openings, encoder.tokenizer, [encoder.max_length - tokens for tokens in title_tokens])
    for document, title, (head, *_), body in zip(documents, titles, heads, bodies, strict=True):
        if title:
            yield replace(document, text=head, passage=TITLE), f"{title}\n{head}"
            if head not in [text for text, _ in body[:1]]:
                yield replace(document, text=head, passage=OPENING), head
        for number, (text, encoded) in enumerate(body):
            yield replace(document, text=text, passage=number), encoded


def _bodies(texts: Sequence[str], encoder: Encoder, room: int) -> list[list[tuple[str, Text]]]:
    """Return for each text its passages, and what their vectors are made of: themselves, or parts of the whole text."""
    late = encoder.recipe.late_chunking
    if late is None:
        found = split_passages(texts, encoder.tokenizer, [room] * len(texts))
        return [[(text, text) for text in body] for body in found]
    spans = split_spans(texts, encoder.tokenizer, [min(late, room)] * len(texts))
    return [
        [(text if len(parts) == 1 else text[begin:end].strip(), PassageSpan(text, begin, end)) for begin, end in parts]
        for text, parts in zip(texts, spans, strict=True)
    ]


def _fingerprint(document: Record) -> bytes:
    return json.dumps([document.id, document.text, document.metadata], ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def _refuse_other_model(index: Index, settings: IndexSettings, *, any_precision: bool) -> None:
    before = index.settings
    comparisons: list[tuple[str, object, object]] = [("model", before.model, settings.model)]
    if not any_precision:
        comparisons.append(("precision", before.precision, settings.precision))
    old_recipe = asdict(Recipe()) | before.recipe  # an earlier version may not have known each field
    names = [name for name, value in settings.recipe.items() if value != old_recipe.get(name)]
    old_part, new_part = ({name: recipe.get(name) for name in names} for recipe in (old_recipe, settings.recipe))
    comparisons.append(("recipe", old_part, new_part))
    if old_recipe.get("late_chunking") and "max_length" in names:
        raise ValueError(
            f"{index.folder}: built with --late-chunking and passages of {old_recipe['late_chunking']} tokens, got "
            f"--max-length {settings.recipe['max_length']} alone; leave it out"
        )
    for name, old, new in comparisons:
        if old != new:
            raise ValueError(f"{index.folder}: built with {name} {old!r}, got {new!r}; use that, or another folder")
    if changed_file := changed_part(before.model, before.digests):
        raise ValueError(
            f"{index.folder}: the {changed_file} of {before.model} changed since it was built; put the old model "
            "back, or use another folder"
        )
