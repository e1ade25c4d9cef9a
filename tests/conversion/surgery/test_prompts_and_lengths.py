"""What a directory states of itself stays true after surgery: prompts can be spelled, texts are cut where they were."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from hf_embeddings import TriEmbedConfig, TriEmbedModel
from hf_embeddings.conversion import ConversionError
from hf_embeddings.conversion.surgery.prompts_and_lengths import PROMPT_FILE
from hf_embeddings.conversion.surgery.reposition import reposition
from hf_embeddings.conversion.surgery.vocabulary import replace_tokenizer, trim
from tests.conversion.laws import SIZES
from tests.corpora.tokenizer_kinds import KINDS, tokenizer_of

PROMPTS = {"query": "school: ", "document": "São "}


def write(folder: Path, kind: str = "WordPiece", *, cut_at: int | None = None, rows: int = 40) -> Path:
    tokenizer = tokenizer_of(kind)
    tokenizer.model_max_length = rows
    tokenizer.backend_tokenizer.enable_truncation(cut_at or rows)
    TriEmbedModel(
        TriEmbedConfig(**SIZES | {"vocab_size": len(tokenizer), "max_position_embeddings": rows})
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / PROMPT_FILE).write_text(json.dumps({"prompts": PROMPTS}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": cut_at or rows}))
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_trimming_keeps_the_prompts_and_what_stands_behind_them(kind: str, tmp_path: Path) -> None:
    trim(write(tmp_path / "source", kind), tmp_path / "target", ["the café", "a school"])
    old, new = (AutoTokenizer.from_pretrained(tmp_path / name) for name in ("source", "target"))
    assert len(new) < len(old)
    for prompt in PROMPTS.values():
        for text in ("", "the café", "a school"):
            assert new.tokenize(prompt + text) == old.tokenize(prompt + text)


def test_a_trained_tokenizer_knows_the_prompts(tmp_path: Path) -> None:
    replace_tokenizer(write(tmp_path / "source"), tmp_path / "target", texts=["two dogs"] * 20, vocab_size=80)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "target")
    assert not any(tokenizer.unk_token in tokenizer.tokenize(prompt) for prompt in PROMPTS.values())


def test_a_given_tokenizer_is_refused_where_it_cannot_spell_a_prompt(tmp_path: Path) -> None:
    trim(write(tmp_path / "small"), tmp_path / "trimmed", ["in"])
    (tmp_path / "small" / PROMPT_FILE).unlink()
    trim(tmp_path / "small", tmp_path / "without", ["in"])
    with pytest.raises(ConversionError, match="cannot spell 'school: '"):
        replace_tokenizer(write(tmp_path / "source"), tmp_path / "target", tokenizer=tmp_path / "without")
    assert not (tmp_path / "target").exists()


def stated(folder: Path) -> list[int]:
    """Return where a directory says that texts are cut: for sentence-transformers, transformers and tokenizers."""
    content = {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}
    return [
        content["sentence_bert_config.json"]["max_seq_length"],
        content["tokenizer_config.json"]["model_max_length"],
        content["tokenizer.json"]["truncation"]["max_length"],
    ]


@pytest.mark.parametrize("length", [90, 20])
def test_texts_are_cut_where_the_model_ends(length: int, tmp_path: Path) -> None:
    report = reposition(write(tmp_path / "source"), tmp_path / "target", max_position_embeddings=length)
    assert stated(tmp_path / "source") == [40, 40, 40] and stated(tmp_path / "target") == [length] * 3
    assert report.limits["sentence_bert_config.json max_seq_length"] == (40, length)


@pytest.mark.parametrize("length, cut_at", [(90, 24), (20, 20)])
def test_a_shorter_limit_stays_as_long_as_the_model_reaches_it(length: int, cut_at: int, tmp_path: Path) -> None:
    source = write(tmp_path / "source", cut_at=24)
    reposition(source, tmp_path / "target", max_position_embeddings=length)
    assert stated(tmp_path / "target") == [cut_at, length, cut_at]


def test_a_longer_table_under_another_tokenizer_has_one_end(tmp_path: Path) -> None:
    other = tokenizer_of("WordPiece")
    other.model_max_length = 8192
    other.save_pretrained(tmp_path / "other")
    replace_tokenizer(write(tmp_path / "source"), tmp_path / "target", tokenizer=tmp_path / "other")
    assert AutoTokenizer.from_pretrained(tmp_path / "target").model_max_length == 40
