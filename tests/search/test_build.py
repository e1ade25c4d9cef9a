"""A build that is interrupted anywhere and resumed ends in the index of an uninterrupted one, bit by bit."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from hf_embeddings import hardware
from hf_embeddings.search import build as building
from hf_embeddings.search import passages, precision
from hf_embeddings.search.build import BuildFigures, build_index
from hf_embeddings.search.index import Index
from hf_embeddings.search.query_encoder import load_encoder
from hf_embeddings.search.records import Condition, Record
from hf_embeddings.search.workers import EncodingJob


@pytest.fixture
def documents(texts: list[str], monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    monkeypatch.setattr(building, "DOCUMENTS_PER_COMMIT", 8)
    metadata = [{"title": "the cat", "number": number} if number % 2 else {"number": number} for number in range(40)]
    return [Record(f"d{number}", text, metadata[number]) for number, text in enumerate(texts)]


@pytest.fixture
def job(model_folder: Path) -> EncodingJob:
    return EncodingJob(str(model_folder), "fp32", overrides={"max_length": 24})


def content(folder: Path) -> list[tuple[list[Record], np.ndarray]]:
    with Index(folder) as index:
        index.verify()
        return list(index.iterate(size=1000))


def same(one: Path, other: Path) -> None:
    ((records, vectors),), ((other_records, other_vectors),) = content(one), content(other)
    assert records == other_records
    np.testing.assert_array_equal(vectors, other_vectors)


def test_documents_become_passages_and_titled_ones_their_title_and_opening_too(
    tmp_path: Path, documents: list[Record], job: EncodingJob
) -> None:
    done: list[float] = []
    figures = build_index(documents, tmp_path / "index", job, source="s", progress=done.append)
    ((records, vectors),) = content(tmp_path / "index")
    expected = BuildFigures(documents=40, passages=len(records), unknown=figures.unknown)
    assert figures == expected and 0 < figures.unknown < 0.01 and sum(done) == pytest.approx(40)
    assert len(records) > 50 and {record.id for record in records} == {document.id for document in documents}
    for document in documents:
        own = [record for record in records if record.id == document.id]
        body = [record for record in own if record.passage >= 0]
        assert [record.passage for record in body] == list(range(len(body)))
        assert " ".join(record.text for record in body) == document.text
        heads = [record.passage for record in own if record.passage < 0]
        whole = document.title and own[0].text != body[0].text
        assert heads == ([passages.TITLE, *([passages.OPENING] if whole else [])] if document.title else [])
    encoder = job.load()
    encoded = [text for _, text in building._passages(documents, encoder)]
    titled = next(number for number, record in enumerate(records) if record.passage == passages.TITLE)
    assert encoded[titled] == f"the cat\n{records[titled].text}"
    np.testing.assert_allclose(vectors, encoder.encode(encoded), atol=1e-5)
    assert max(encoder.count_tokens(encoded)) <= 24


def test_resuming_is_exact(tmp_path: Path, documents: list[Record], job: EncodingJob) -> None:
    build_index(documents, tmp_path / "whole", job, source="s")

    def interrupted(after: int) -> Iterator[Record]:
        yield from documents[:after]
        raise KeyboardInterrupt

    for after in (3, 11, 24, 39):
        folder = tmp_path / str(after)
        with pytest.raises(KeyboardInterrupt):
            build_index(interrupted(after), folder, job, source="s")
        with Index(folder) as index:
            assert (index.get("build") or {}).get("documents", 0) == after // 8 * 8
        figures = build_index(documents, folder, job, source="s")
        assert (figures.resumed_at, figures.documents) == (after // 8 * 8, 40 - after // 8 * 8)
        same(folder, tmp_path / "whole")


def test_killing_at_random_loses_nothing(
    tmp_path: Path, documents: list[Record], job: EncodingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is killed at random steps, again and again, until a run gets through."""
    build_index(documents, tmp_path / "whole", job, source="s")
    ((records, rows),) = content(tmp_path / "whole")
    encoded = (text for _, text in building._passages(documents, job.load()))
    vectors = dict(zip(encoded, rows, strict=True))
    # Forked children must not enter torch's thread pools: they look the vectors up instead of computing them.
    encoder = job.load()
    monkeypatch.setattr(encoder, "encode", lambda texts, **_: np.stack([vectors[text] for text in texts]))
    monkeypatch.setattr(EncodingJob, "load", lambda self, number=0: encoder)
    rng, deaths = np.random.default_rng(0), 0
    for run in range(200):
        child = os.fork()
        if not child:
            die_at(int(rng.integers(1, 60 + 20 * run)))
            build_index(documents, tmp_path / "killed", job, source="s")
            os._exit(0)
        rng.integers(1, 60)  # the parent's generator moves on with the child's
        if os.WIFEXITED(os.waitpid(child, 0)[1]):
            break
        deaths += 1
    assert deaths >= 3
    same(tmp_path / "killed", tmp_path / "whole")


def die_at(step: int) -> None:
    """Kill this process at the given one of its SQL statements and calls to fsync."""
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sync, refresh = os.fsync, Index.refresh

    def traced(self: Index) -> None:
        self._connection.set_trace_callback(count)
        refresh(self)

    os.fsync = lambda handle: (count(), sync(handle), count())
    Index.refresh = traced


def test_processes_give_the_same_index(tmp_path: Path, documents: list[Record], job: EncodingJob) -> None:
    build_index(documents, tmp_path / "one", job, source="s")
    build_index(documents, tmp_path / "two", job, source="s", processes=2)
    ((records, vectors),), ((others, other_vectors),) = content(tmp_path / "one"), content(tmp_path / "two")
    assert records == others
    np.testing.assert_allclose(vectors, other_vectors, atol=1e-6)


def test_a_finished_index_is_added_to(tmp_path: Path, documents: list[Record], job: EncodingJob) -> None:
    build_index(documents[:20], tmp_path / "index", job, source="a")
    changed = [Record("d3", "the king"), *documents[20:25]]
    figures = build_index(changed, tmp_path / "index", job, source="b")
    assert figures.documents == 6 and figures.replaced == 2  # title and opening, and the text
    with Index(tmp_path / "index") as index:
        query = load_encoder(index).encode(["the king"], prompt="query")
        assert index.search(query, k=1)[0][0].id == "d3"
        assert {hit.id for hit in index.search(query, k=99, where=[Condition("number", ">=", 20)])[0]} == {
            f"d{number}" for number in range(20, 25)
        }


@pytest.mark.precision
@pytest.mark.parametrize("units", [False, True])
def test_auto_adds_to_an_index_of_any_machine(
    tmp_path: Path, documents: list[Record], job: EncodingJob, refused: Callable, monkeypatch, units: bool
) -> None:
    folder, said = tmp_path / "index", []
    build_index(documents[:8], folder, replace(job, precision="bf16"), source="a")
    for module in (hardware, building, precision):
        monkeypatch.setattr(module, "bf16_is_fast", lambda device="cpu": units)
    figures = build_index(documents[8:16], folder, replace(job, precision="auto"), source="b", notify=said.append)
    assert figures.documents == 8
    assert said[0].startswith("precision: bf16, as the index was made" if units else "precision: fp32, ")
    refused(lambda: build_index(documents, folder, job, source="c"), "built with precision 'bf16', got 'fp32'")


def test_auto_keeps_8_bits_to_themselves(tmp_path: Path, documents: list[Record], job: EncodingJob) -> None:
    said: list[str] = []
    build_index(documents[:8], tmp_path / "index", replace(job, precision="int8"), source="a")
    build_index(documents[8:], tmp_path / "index", replace(job, precision="auto"), source="b", notify=said.append)
    assert said[0] == "precision: int8, as the index was made"


def test_mistakes_are_refused(
    tmp_path: Path, documents: list[Record], job: EncodingJob, model_folder: Path, refused: Callable
) -> None:
    folder = tmp_path / "index"

    def broken() -> Iterator[Record]:
        yield from documents[:10]
        raise OSError("unplugged")

    with pytest.raises(OSError, match="unplugged"):
        build_index(broken(), folder, job, source="s")
    refused(lambda: build_index(documents, folder, job, source="other"), "a build from 's' was interrupted; finish it")
    refused(lambda: build_index(documents[1:], folder, job, source="s"), "first 8 documents of 's' are no longer those")
    other = EncodingJob(str(model_folder), "fp32", overrides={"max_length": 20})
    refused(
        lambda: build_index(documents, folder, other, source="s"),
        "built with recipe .*'max_length': 24.*'max_length': 20",
    )
    titled = [Record("long", "text", {"title": "cat " * 30})]
    refused(
        lambda: build_index(titled, tmp_path / "new", job, source="s"),
        "document 'long': prompt and title take 32 of the 24",
    )
    refused(lambda: build_index(documents, tmp_path / "none", job, source="s", processes=0), "processes 0")


def test_another_model_in_the_same_place_is_refused(
    tmp_path: Path, documents: list[Record], model_folder: Path, refused: Callable
) -> None:
    model = shutil.copytree(model_folder, tmp_path / "model")
    build_index(documents[:3], tmp_path / "index", EncodingJob(str(model)), source="s")
    with open(model / "model.safetensors", "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")
    with Index(tmp_path / "index") as index:
        refused(
            lambda: load_encoder(index), "its weights changed since.*put the old one back, or build the index again"
        )
        shutil.rmtree(model)
        refused(lambda: load_encoder(index), "model of this index is gone")


@pytest.mark.parametrize("modules", [["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]])
@pytest.mark.parametrize("settings", [{}, {"truncate_dim": 8}, {"similarity_fn_name": "dot"}])
def test_an_index_ranks_as_sentence_transformers_compares(
    tmp_path: Path, model_folder: Path, texts: list[str], modules: list[str], settings: dict
) -> None:
    folder = Path(shutil.copytree(model_folder, tmp_path / "model"))
    given = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps(given[: len(modules)]))
    prompts = {"prompts": {"query": "the old ", "document": "a "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts | settings))
    chosen = [text for text in texts if len(text.split()) < 40]  # one passage each
    build_index(
        [Record(text, text) for text in chosen], tmp_path / "index", EncodingJob(str(folder), "fp32"), source="s"
    )
    with Index(tmp_path / "index") as index:
        queries = load_encoder(index, precision="fp32").encode(["the cat runs"], prompt="query")
        ((*hits,),) = index.search(queries, k=len(chosen))
    theirs = SentenceTransformer(str(folder), device="cpu")
    scores = theirs.similarity(theirs.encode_query(["the cat runs"]), theirs.encode_document(chosen))[0]
    found = {hit.id: hit.score for hit in hits}
    np.testing.assert_allclose([found[text] for text in chosen], scores, rtol=1e-4, atol=1e-4)


def test_a_similarity_that_no_product_is_is_refused(tmp_path: Path, model_folder: Path) -> None:
    folder = Path(shutil.copytree(model_folder, tmp_path / "model"))
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"similarity_fn_name": "euclidean"}))
    with pytest.raises(ValueError, match="compared by euclidean distance, expected cosine or dot"):
        build_index([Record("a", "the cat")], tmp_path / "index", EncodingJob(str(folder), "fp32"), source="s")
    assert not (tmp_path / "index").exists()


def test_of_documents_with_one_id_the_last_counts_near_or_far(
    tmp_path: Path, job: EncodingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "DOCUMENTS_PER_COMMIT", 4)
    filler = [Record(f"f{number}", f"the cat {number}") for number in range(6)]
    for name, between in (("near", []), ("far", filler)):
        build_index([Record("x", "the dog"), *between, Record("x", "the king")], tmp_path / name, job, source="s")
        ((records, _),) = content(tmp_path / name)
        assert [record.text for record in records if record.id == "x"] == ["the king"]


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json"])
def test_vectors_of_another_tokenizer_or_config_are_not_mixed(
    tmp_path: Path, documents: list[Record], model_folder: Path, refused: Callable, name: str
) -> None:
    model = shutil.copytree(model_folder, tmp_path / "model")
    build_index(documents[:3], tmp_path / "index", EncodingJob(str(model)), source="s")
    published = json.loads((model / "config.json").read_text()) | {"auto_map": {}, "transformers_version": "9"}
    (model / "config.json").write_text(json.dumps(published))
    with Index(tmp_path / "index") as index:
        load_encoder(index)  # what decides no vector may change
        content = json.loads((model / name).read_text())
        (model / name).write_text(
            json.dumps(content | {"layer_norm_eps": 0.5, "truncation": None, "version": "1.0", "x": 1})
        )
        word = name.removesuffix(".json") if name == "tokenizer.json" else name
        refused(lambda: load_encoder(index), f"its {word} changed since the index was built")


def test_an_index_of_an_earlier_version_is_added_to_by_ids_of_its_own(
    tmp_path: Path, documents: list[Record], job: EncodingJob, refused: Callable
) -> None:
    folder = tmp_path / "index"
    build_index(documents[:3], folder, job, source="s")
    with Index(folder) as index, index.database.writing():
        values = index.settings.to_dict()
        older = {name: values[name] for name in ("model", "precision", "weights_sha256")}
        recipe = {name: values["recipe"][name] for name in ("pooling", "max_length", "normalize")}
        index.database.put(settings=older | {"device": "cpu", "recipe": recipe}, identity=None)
    assert build_index(documents[3:5], folder, job, source="t").documents == 2
    refused(lambda: building.refuse_older_names(folder), "made by an earlier version.*--id-field")
    with Index(folder) as index:
        assert len(load_encoder(index).encode(["the cat"])) == 1 and index.identity() == index.identity() != ""


def test_two_builds_never_fill_one_index(
    tmp_path: Path, documents: list[Record], job: EncodingJob, refused: Callable
) -> None:
    def meanwhile() -> Iterator[Record]:
        yield from documents[:8]
        refused(lambda: build_index(documents, tmp_path / "index", job, source="s"), "is being written by process")
        yield from documents[8:]

    build_index(meanwhile(), tmp_path / "index", job, source="s")
    assert sorted(path.suffix for path in (tmp_path / "index").iterdir()) == [".f32", ".f32", ".i8", ".sqlite"]
