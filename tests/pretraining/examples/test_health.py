"""Laws of the health of a corpus: the figures are true shares, each has a cure, and none is lost on the way."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import BertTokenizer

from hf_embeddings.corpora.text_sample import TextSample
from hf_embeddings.corpora.tokenized_corpus import SentenceTokenizer
from hf_embeddings.corpora.tokenizer_training import SPECIAL_TOKENS
from hf_embeddings.pretraining.examples.chunks import cut_chunks
from hf_embeddings.pretraining.examples.health import cut_share, masked_share
from hf_embeddings.pretraining.options import ExampleOptions
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.pretraining.prepared import assembly
from hf_embeddings.pretraining.prepared.writer import prepare_corpus
from hf_embeddings.pretraining.training.training_data import load_training_data
from hf_embeddings.records.health import MEASURES, Health
from tests.pretraining.numbered_corpus import VOCABULARY, numbered_corpus

ROOT = Path(__file__).parents[3]
WELL = Health(
    sampled_characters=100, unknown_characters=0.0, changed_letters=0.0, unknown_tokens=0.0,
    sentences_per_document=5.0, relation="nsp", cut_pairs=0.2, masked=0.15, masked_asked=0.15,
)  # fmt: skip


def encoder(words: str, *, lowercase: bool = True) -> SentenceTokenizer:
    """Return WordPiece over some words, without pieces."""
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(["[UNK]", *words.split()])}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return SentenceTokenizer(tokenizer)


def sample(text: str, words: str = "a", **settings) -> TextSample:
    return TextSample.of(encoder(words, **settings), [text], characters=10**6)


def test_characters_count_and_not_tokens() -> None:
    """One long word is one token among eleven, and nine tenths of the text."""
    found = sample("a " * 10 + "b" * 90)
    assert (found.characters, found.unknown, found.unknown_share) == (100, 90, 0.9)


@pytest.mark.parametrize(
    "text, lowercase, changed",
    [
        ("AbC", True, 0),  # case is not counted
        ("école", True, 1),
        ("école", False, 0),
        ("e\u0301cole", True, 1),  # the mark that falls away
        ("\u0e17\u0e35\u0e48", True, 2),  # Thai: a vowel and a tone above the consonant
        ("\u0645\u06cc\u200c\u062e", False, 1),  # the joiner of Persian is deleted whatever the case
        ("한글 中文 ß 1,2!", True, 0),
    ],
)
def test_letters_that_lose_more_than_their_case(text: str, lowercase: bool, changed: int) -> None:
    assert sample(text, lowercase=lowercase).changed == changed


def test_samples_add_up_and_pass_through_json() -> None:
    one, two = sample("a bb é"), sample("ccc éé ü")
    whole = one + two
    assert (whole.characters, whole.unknown, whole.changed) == (4 + 6, 3 + 6, 4)
    assert list(whole.examples.items()) == [("é", 3), ("ü", 1)]
    assert TextSample.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole


def test_a_sample_is_bounded_and_lies_evenly() -> None:
    found = TextSample.of(encoder("a"), ["a"] * 500 + ["b"] * 500, characters=100)
    assert found.characters <= 100 and found.unknown_share == pytest.approx(0.5, abs=0.02)


def test_pairs_are_cut_inside_a_sentence_where_a_chunk_is_one() -> None:
    chunks = cut_chunks(numbered_corpus(), max_tokens=61)
    marks = chunks.corpus.sentence_starts
    alone = [not ((marks > start) & (marks < end)).any() for start, end in zip(chunks.starts, chunks.ends, strict=True)]
    assert cut_share(chunks) == pytest.approx(np.mean(alone)) and 0 < np.mean(alone) < 1


def test_the_masked_share_is_that_of_the_batches() -> None:
    chunks = cut_chunks(numbered_corpus(), max_tokens=61)
    for asked in (0.15, 0.4):
        examples = ExampleOptions(max_length=64, masking_probability=asked)
        assert masked_share(chunks, VOCABULARY, examples, seed=0) == pytest.approx(asked, rel=0.05)
    all_one_word = replace(chunks.corpus, continues=np.ones_like(chunks.corpus.continues))
    words = ExampleOptions(max_length=64, masking_unit="word")
    assert masked_share(cut_chunks(all_one_word, max_tokens=61), VOCABULARY, words, seed=0) == pytest.approx(0.15, 0.07)


@pytest.mark.parametrize(
    "field, value, measure",
    [
        ("unknown_characters", 0.02, "unknown_characters"),
        ("sentences_per_document", 1.5, "sentences_per_document"),
        ("cut_pairs", 0.6, "cut_pairs"),
        ("labeled_pairs", 0.05, "labeled_pairs"),
        ("masked", 0.25, "masking_error"),
        ("masked", 0.05, "masking_error"),
        ("changed_letters", 0.2, "changed_letters"),
    ],
)
def test_each_figure_that_is_not_well_is_one_line_with_its_cure(field: str, value: float, measure: str) -> None:
    assert WELL.warnings() == []
    [line] = replace(WELL, **{field: value}).warnings()
    assert line.startswith("warning: ") and MEASURES[measure].cure in line and "expected at" in line


def test_pairs_without_sentences_harm_only_what_learns_pairs() -> None:
    assert replace(WELL, relation=None, sentences_per_document=1.0, cut_pairs=None).warnings() == []


def test_health_passes_through_json() -> None:
    ill = replace(WELL, empty_sources=["b.txt"], changed_most=["é"])
    assert Health.from_dict(json.loads(json.dumps(ill.to_dict()))) == ill
    assert "b.txt" in ill.warnings()[0] and "1" in ill.line()


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    """Three sources, of which the second repeats the first and the third is too short."""
    texts = [f"Document {number} adds tokens. It sums position {number**2}. Fin {number}." for number in range(60)]
    for name, content in (("a", texts), ("b", texts[:9]), ("c", ["hi", "ok"])):
        (tmp_path / f"{name}.txt").write_text("\n\n".join(content))
    parts = ", ".join(f"{{source: {tmp_path / name}.txt}}" for name in "abc")
    return ["corpus.source=null", f"corpus.sources=[{parts}]", "tokenizer.vocab_size=200", "examples.max_length=32"]


@pytest.mark.parametrize("old", [False, True])
def test_a_corpus_on_the_disk_is_as_healthy_as_in_memory(
    sources: list[str], tmp_path: Path, old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = load_options(ROOT / "configs/pretraining/demo.yaml", sources)
    base, lines = ROOT / options.model.base, []
    memory = load_training_data(options, base, lines.append).health
    assert memory.empty_sources == [str(tmp_path / "b.txt"), str(tmp_path / "c.txt")]
    assert sum(line.startswith("health: ") for line in lines) == 1
    assert sum("gives no example" in line for line in lines) == 2
    write = assembly.write_manifest
    if old:  # prepared before there was a sample
        kept = ("kind", "plan", "tokenizer", "max_length", "sources", "shards", "statistics")
        forget = lambda folder, facts, files: write(folder, {name: facts[name] for name in kept}, files)  # noqa: E731
        monkeypatch.setattr(assembly, "write_manifest", forget)
    told: list[str] = []
    prepare_corpus(options, tmp_path / "target", processes=1, say=told.append)
    assert sum("gives no example" in line for line in told) == 2
    on_disk = replace(options, corpus=replace(options.corpus, source=f"prepared:{tmp_path / 'target'}", sources=[]))
    disk = load_training_data(on_disk, base, lambda line: None).health
    assert (disk.empty_sources, disk.cut_pairs) == (memory.empty_sources, memory.cut_pairs)
    assert disk.masked == pytest.approx(memory.masked, rel=0.05)
    assert disk.sentences_per_document == pytest.approx(memory.sentences_per_document, rel=0.1)
    assert disk.unknown_characters is None if old else disk.unknown_characters < 0.05


def test_text_that_becomes_one_unknown_token_is_told_apart_from_short_text(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(list("กขคงจฉชซญด"), 300)) for _ in range(30)]  # no spaces: one word of 300
    (tmp_path / "thai.txt").write_text("\n\n".join(texts), encoding="utf-8")
    letters = sorted(set("".join(texts)))
    words = [*SPECIAL_TOKENS, *letters, *(f"##{letter}" for letter in letters)]
    BertTokenizer(vocab={word: n for n, word in enumerate(words)}).save_pretrained(
        tmp_path / "bert"
    )  # 100 letters at most
    given = [f"corpus.source={tmp_path / 'thai.txt'}", "tokenizer.vocab_size=200"]
    options = load_options(ROOT / "configs/pretraining/demo.yaml", [*given, f"tokenizer.path={tmp_path / 'bert'}"])
    with pytest.raises(ValueError, match=r"100\.0% of characters in \[UNK\].*tokenizer\.algorithm=unigram"):
        load_training_data(options, ROOT / options.model.base, lambda line: None)
    for algorithm in ("wordpiece", "unigram"):
        trained = load_options(ROOT / "configs/pretraining/demo.yaml", [*given, f"tokenizer.algorithm={algorithm}"])
        health = load_training_data(trained, ROOT / trained.model.base, lambda line: None).health
        assert health.unknown_characters < 0.01
