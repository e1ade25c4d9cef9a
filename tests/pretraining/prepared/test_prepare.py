"""Laws of prepared corpora: the training of the corpus in memory, whole or absent, and the same after any stop."""

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_embeddings.corpora import selection
from hf_embeddings.corpora.tokenizer import load_tokenizer
from hf_embeddings.files.manifest import Manifest
from hf_embeddings.files.ownership import MARK, claim_locked, remove_locked
from hf_embeddings.pretraining.examples import sampling
from hf_embeddings.pretraining.examples.batches import iter_batches
from hf_embeddings.pretraining.examples.schedule import Schedule
from hf_embeddings.pretraining.options import PretrainingOptions
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.pretraining.prepared import assembly, encoding, plan, writer
from hf_embeddings.pretraining.prepared.assembly import assemble
from hf_embeddings.pretraining.prepared.facts import CorpusFacts
from hf_embeddings.pretraining.prepared.writer import prepare_corpus
from hf_embeddings.pretraining.training.training_data import TrainingData, load_training_data
from tests.corpora.mixed_documents import train

ROOT = Path(__file__).parents[3]
EXCHANGE = ("exchange", "corpus.counterfactual_share=0.5")
WORDS = (
    "the cat dog embedding position segment token sums adds reads writes long short of in and 猫 狗 追 第 一 回".split()
)


def write_texts(folder: Path, *, files: int = 4, documents: int = 40, seed: int = 0) -> Path:
    """Write documents of both languages into files, with some that are equal and some that are nearly so."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    earlier: list[str] = []
    for number in range(files):
        texts = []
        for _ in range(documents):
            sentences = [
                " ".join(random.choice(WORDS, random.integers(3, 14))) + random.choice([". ", "。"])
                for _ in range(random.integers(1, 12))
            ]
            text = "".join(sentences).strip()
            if earlier and random.random() < 0.1:
                text = str(random.choice(earlier)) + random.choice(["", " cat."])
            earlier.append(text)
            texts.append(text[0].upper() + text[1:])
        lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
        path = folder / f"{number}.{'jsonl' if number % 2 else 'txt'}"
        path.write_text("\n".join(lines) if number % 2 else "\n\n".join(texts), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "BATCH_DOCUMENTS", 7)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "pairs.txt").write_text("cat dog\nreads writes\n猫 狗\n", encoding="utf-8")
    return write_texts(folder / "all")


def exchanging(texts: Path) -> str:
    return f"corpus.counterfactual=[{texts.parent / 'pairs.txt'}]"


def options_for(source: Path | str | None, *overrides: str) -> PretrainingOptions:
    given = [f"corpus.source={source or 'null'}", "tokenizer.vocab_size=200", "examples.max_length=32"]
    return load_options(ROOT / "configs/pretraining/demo.yaml", [*given, "corpus.evaluation_fraction=0.2", *overrides])


def make(target: Path, options: PretrainingOptions, **settings: object) -> CorpusFacts:
    settings = {"processes": 1, "shard_tokens": 1500, "say": lambda line: None} | settings
    return prepare_corpus(options, target, **settings)


def data_of(options: PretrainingOptions) -> TrainingData:
    return load_training_data(options, ROOT / options.model.base, lambda line: None)


def from_target(options: PretrainingOptions, target: Path) -> PretrainingOptions:
    return replace(options, corpus=replace(options.corpus, source=f"prepared:{target}", sources=[]))


def batches_of(made: TrainingData, options: PretrainingOptions, count: int = 12) -> list[dict[str, torch.Tensor]]:
    schedule = Schedule.plan(made.training, tokens_per_batch=256, seed=options.seed, relation="nsp")
    batches = iter_batches(schedule, made.vocabulary, options.examples)
    return list(itertools.islice(batches, count))


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def same_training(memory: TrainingData, disk: TrainingData, options: PretrainingOptions) -> None:
    assert memory.tokenizer.get_vocab() == disk.tokenizer.get_vocab()
    assert memory.baseline == disk.baseline and memory.statistics == disk.statistics
    pairs = zip(batches_of(memory, options), batches_of(disk, options), strict=True)
    held_out = zip(memory.held_out, disk.held_out, strict=True)
    for ours, theirs in itertools.chain(pairs, held_out):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["tokenizer.algorithm=bpe", "examples.masking_unit=word"],
        ["corpus.near_duplicates=0.7", EXCHANGE[0]],
        ["examples.objectives=[rtd]", "examples.objective_weights={}", "examples.masking_unit=span"],
        [
            "corpus.max_documents=33",
            "tokenizer.training_characters=1000",
            "exchange",
            "corpus.counterfactual_share=0.5",
        ],
    ],
    ids=" ".join,
)
def test_training_is_that_of_the_corpus_in_memory(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: list[str]
) -> None:
    monkeypatch.setattr(sampling, "MIN_PAGES", 16)  # pages of several samples, which cross the borders of shards
    monkeypatch.setattr(selection, "KEYS_PER_PASS", 50)  # documents that are gone through several times
    options = options_for(texts, *(exchanging(texts) if text == "exchange" else text for text in overrides))
    facts = make(tmp_path / "target", options)
    assert ("exchange" in overrides) == (facts.statistics.get("counterfactual_twins", 0) > 5)
    assert len(facts.shards) > 3 or "corpus.max_documents=33" in overrides
    same_training(data_of(options), data_of(from_target(options, tmp_path / "target")), options)
    assert {path.name for path in tmp_path.iterdir()} == {"target"}
    if "exchange" not in overrides:
        other = from_target(options_for(texts, exchanging(texts)), tmp_path / "target")
        with pytest.raises(ValueError, match="counterfactual: got .*pairs.txt.*, the prepared corpus .* has none"):
            data_of(other)


def test_sources_are_weighted_and_counted(texts: Path, tmp_path: Path) -> None:
    other = write_texts(tmp_path / "other", files=1, seed=5)
    sources = f"[{{source: {texts}}}, {{source: {other}, weight: 2.5}}]"
    options = options_for(None, f"corpus.sources={sources}")
    facts = make(tmp_path / "target", options)
    assert [source.source for source in facts.sources] == [str(other), str(texts)]  # by falling weight
    assert sum(source.documents for source in facts.sources) == facts.statistics["documents_read"] == 200
    memory, disk = data_of(options), data_of(from_target(options, tmp_path / "target"))
    same_training(memory, disk, options)
    (_, _, first), (_, _, second) = ((s.name, s.weight, s.count) for s in disk.training.sources)
    schedule = Schedule.plan(disk.training, tokens_per_batch=256, seed=0, relation=None)
    taken = schedule.sampling.block(0, 0) % len(disk.training)
    assert (taken < first).sum() == round(2.5 * first) and (taken >= first).sum() == second


def test_another_length_is_cut_anew(texts: Path, tmp_path: Path) -> None:
    make(tmp_path / "target", options_for(texts))
    options = options_for(texts, "examples.max_length=48", f"tokenizer.path={tmp_path / 'target'}")
    lines: list[str] = []
    disk = load_training_data(from_target(options, tmp_path / "target"), ROOT / options.model.base, lines.append)
    assert any("cut again for examples.max_length 48, prepared was 32" in line for line in lines)
    same_training(data_of(options), disk, options)


def test_processes_change_nothing(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "UNIT_BYTES", 4000)
    options = options_for(texts)
    make(tmp_path / "one", options)
    make(tmp_path / "three", options, processes=3)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "three")


def test_data_sets_are_streamed(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked: list[bool] = []
    load = datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: asked.append(k["streaming"]) or load(*a, **k))
    folder = tmp_path / "rows"
    folder.mkdir()
    shutil.copy(texts / "1.jsonl", folder)
    options = options_for(f"hub:{folder}")
    facts = make(tmp_path / "target", options)
    assert asked and all(asked) and facts.statistics["documents_read"] == 40
    same_training(data_of(options), data_of(from_target(options, tmp_path / "target")), options)


# Stops


class Stopped(BaseException):
    """Stands in for a kill."""


@pytest.mark.parametrize("calls", [1, 2, 5, 9, 14])
def test_a_preparation_goes_on_where_it_stopped(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    options = options_for(texts, "corpus.near_duplicates=0.8", exchanging(texts))
    make(tmp_path / "whole", options)
    left = [calls]

    def killed(*arguments: object) -> dict[str, object]:
        left[0] -= 1
        if left[0] < 0:
            raise Stopped
        return write(*arguments)

    write = writer.write_shard
    for module in (writer, assembly):
        monkeypatch.setattr(module, "write_shard", killed)
    with pytest.raises(Stopped):
        make(tmp_path / "target", options)
    assert not (tmp_path / "target").exists()
    left[0] = 10**6
    encoded: list[int] = []
    encode = writer.encode_batch
    monkeypatch.setattr(
        writer, "encode_batch", lambda path, texts, **rest: encoded.append(len(texts)) or encode(path, texts, **rest)
    )
    make(tmp_path / "target", options)
    assert files_of(tmp_path / "target") == files_of(tmp_path / "whole")
    assert sum(encoded) < 160 or calls == 1  # not all of it again
    assert not (tmp_path / "target.partial").exists() and not (tmp_path / "target.work").exists()
    lines: list[str] = []
    make(tmp_path / "target", options, say=lines.append)
    assert lines == [f"{tmp_path / 'target'} is complete"]


def test_a_shard_damaged_meanwhile_is_written_again(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = options_for(texts)
    make(tmp_path / "whole", options)
    monkeypatch.setattr(writer, "assemble", lambda *arguments, **rest: (_ for _ in ()).throw(Stopped))
    with pytest.raises(Stopped):
        make(tmp_path / "target", options)
    monkeypatch.setattr(writer, "assemble", assemble)
    shard = sorted((tmp_path / "target.partial").glob("*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    (shard.parent / ".tmpAb3").write_bytes(b"half a shard of a writer that was killed")
    make(tmp_path / "target", options)
    assert files_of(tmp_path / "target") == files_of(tmp_path / "whole")


def test_what_was_begun_otherwise_is_refused(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "texts"
    shutil.copytree(texts, copy)
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("cat dog")
    options = options_for(copy, f"corpus.counterfactual=[{pairs}]")
    monkeypatch.setattr(writer, "assemble", lambda *arguments, **rest: (_ for _ in ()).throw(Stopped))
    with pytest.raises(Stopped):
        make(tmp_path / "target", options)
    monkeypatch.setattr(writer, "assemble", assemble)
    with pytest.raises(ValueError, match="was begun with other max_length; give the old ones"):
        make(tmp_path / "target", replace(options, examples=replace(options.examples, max_length=64)))
    pairs.write_text("cat dog\nreads writes")
    with pytest.raises(ValueError, match="was begun with other word_pairs"):
        make(tmp_path / "target", options)
    pairs.write_text("cat dog")
    (copy / "0.txt").write_text("changed " * 9)
    with pytest.raises(ValueError, match="was begun with other units"):
        make(tmp_path / "target", options)
    facts = make(tmp_path / "target", options, overwrite=True)
    assert facts.statistics["documents_read"] == 121
    with pytest.raises(ValueError, match="is not empty, and not what these options make"):
        make(tmp_path / "target", options_for(copy, "tokenizer.vocab_size=100"))


def test_one_of_the_two_always_stands_when_a_corpus_replaces_another(
    prepared: Path, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, options = files_of(prepared), options_for(texts, "tokenizer.vocab_size=100")
    with monkeypatch.context() as stopped:
        stopped.setattr(assembly, "take_place", lambda *paths: (_ for _ in ()).throw(Stopped))
        with pytest.raises(Stopped):
            make(prepared, options, overwrite=True)
    assert files_of(prepared) == before
    make(prepared, options, overwrite=True)
    assert files_of(prepared) != before and [path.name for path in prepared.parent.iterdir()] == [prepared.name]


def test_a_corpus_that_was_killed_behind_its_manifest_is_the_same_once_resumed(
    prepared: Path, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "other"
    with monkeypatch.context() as stopped:
        stopped.setattr(assembly, "take_place", lambda *paths: (_ for _ in ()).throw(Stopped))
        with pytest.raises(Stopped):
            make(target, options_for(texts))
    make(target, options_for(texts))
    assert files_of(target) == files_of(prepared)


def test_a_process_that_prepares_a_target_again_encodes_with_its_new_tokenizer(
    prepared: Path, texts: Path, tmp_path: Path
) -> None:
    options = options_for(texts, "tokenizer.vocab_size=100")
    make(prepared, options, overwrite=True)
    make(tmp_path / "fresh", options)
    assert files_of(prepared) == files_of(tmp_path / "fresh")


def test_a_complete_corpus_leaves_the_work_of_a_live_process_alone(prepared: Path, texts: Path) -> None:
    work = plan.work_of(prepared)
    lock = claim_locked(work)
    (work / "roles").touch()
    make(prepared, options_for(texts))
    assert (work / "roles").is_file()
    remove_locked(work, lock)


def test_what_a_kill_behind_the_last_rename_left_is_swept_up(prepared: Path, texts: Path) -> None:
    before = files_of(prepared)
    for folder in (prepared, plan.work_of(prepared)):
        folder.mkdir(exist_ok=True)
        (folder / MARK).touch()
    make(prepared, options_for(texts))
    assert files_of(prepared) == before and not plan.work_of(prepared).exists()


def test_a_corpus_is_not_replaced_through_a_link(prepared: Path, texts: Path, tmp_path: Path) -> None:
    before, link = files_of(prepared), tmp_path / "link"
    link.symlink_to(prepared)
    with pytest.raises(ValueError, match="is a link to"):
        make(link, options_for(texts, "tokenizer.vocab_size=100"), overwrite=True)
    assert files_of(prepared) == before and link.is_symlink()


# Bad input


def refused(options: PretrainingOptions) -> str:
    with pytest.raises(ValueError) as error:
        data_of(options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def prepared(texts: Path, tmp_path: Path) -> Path:
    make(tmp_path / "target", options_for(texts))
    return tmp_path / "target"


def verified(folder: Path) -> str:
    from hf_embeddings.pretraining.prepared.reader import PreparedCorpus

    with pytest.raises(ValueError) as error:
        PreparedCorpus.open(folder, sums=True)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_damaged_shards_are_named(prepared: Path) -> None:
    shard = prepared / "00000-0001.safetensors"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "00000-0001.safetensors: its SHA-256 sum" in verified(prepared)
    shard.write_bytes(content[:-1])
    assert "00000-0001.safetensors" in refused(from_target(options_for("x"), prepared))  # sizes are always compared
    shard.unlink()
    assert "00000-0001.safetensors: missing" in verified(prepared)


def test_other_directories_and_tokenizers_are_refused(prepared: Path, tmp_path: Path) -> None:
    options = from_target(options_for("x"), prepared)
    assert "no such directory" in refused(from_target(options, tmp_path / "absent"))
    assert "no manifest.json" in refused(from_target(options, tmp_path))
    train(vocab_size=90).save_pretrained(tmp_path / "other")
    other = replace(options, tokenizer=replace(options.tokenizer, path=str(tmp_path / "other")))
    assert "tokenizer.path: got another tokenizer than that of the prepared corpus" in refused(other)
    same = replace(options, tokenizer=replace(options.tokenizer, path=str(prepared)))
    assert len(data_of(same).training)
    assert load_tokenizer(prepared).get_vocab() == data_of(options).tokenizer.get_vocab()
    with pytest.raises(ValueError, match="corpus.source: got a prepared corpus, expected documents"):
        make(tmp_path / "again", options)


def test_an_unknown_token_is_named_with_its_place(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hf_embeddings.pretraining.prepared import reader

    real = reader.check_manifest

    def lying(folder: Path, **settings: object) -> Manifest:
        manifest = real(folder, **settings)
        manifest.facts["shards"][1]["largest_id"] = 10**6
        return manifest

    monkeypatch.setattr(reader, "check_manifest", lying)
    monkeypatch.setattr(reader, "open_shard", lambda path: {"tokens": np.array([1, 2, 999_999, 3])})
    size = len(load_tokenizer(prepared))
    place = f"{prepared}/00000-0001.safetensors"
    assert verified(prepared) == f"{place}: token 2 is id 999999, expected below {size}; prepare the corpus again"


def test_empty_and_tiny_sources_are_refused_before_anything_has_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n\n \n")
    with pytest.raises(ValueError, match="got no documents"):
        make(tmp_path / "target", options_for(tmp_path / "a.txt"))
    (tmp_path / "a.txt").write_text("one here\n\ntwo here\n\ntwo here")
    with pytest.raises(ValueError, match="got 2 different documents, expected at least 4"):
        make(tmp_path / "target", options_for(tmp_path / "a.txt"))
    assert not (tmp_path / "target").exists()


def test_chunks_point_into_the_joined_arrays(prepared: Path) -> None:
    made = data_of(from_target(options_for("x"), prepared)).training
    spans = made[np.arange(len(made))[::-1]]
    assert (spans.ends - spans.starts <= 29).all() and (spans.ends - spans.starts >= 4).all()
    for start, end, first, last in zip(spans.starts, spans.ends, spans.first_marks, spans.end_marks, strict=True):
        marks = made.corpus.sentence_starts[first:last]
        assert ((marks > start) & (marks < end)).all()
    backwards = made.corpus.tokens[np.arange(len(made.corpus.tokens))[::-1]]
    assert np.array_equal(backwards[::-1], made.corpus.tokens[:])
