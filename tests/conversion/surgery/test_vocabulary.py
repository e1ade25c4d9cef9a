"""Laws of changing the vocabulary: rows that stay stay bit by bit, outputs that must not change do not."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForMaskedLM, AutoTokenizer, BertTokenizer, PreTrainedTokenizerFast
from typer.testing import CliRunner

from hf_embeddings import TriEmbedConfig, TriEmbedForMaskedLM, TriEmbedModel
from hf_embeddings.cli.main import app, main
from hf_embeddings.conversion import ConversionError
from hf_embeddings.conversion.surgery.vocabulary import add_tokens, factorise, replace_tokenizer, trim
from tests.conversion.laws import SIZES
from tests.corpora.small_tokenizers import small_tokenizer

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] cat dog chase ##s ##d the a un ##happy ##ness happy . 猫 狗 run ##ning".split()
TEXTS = ["the cat chases a dog .", "the dog chased the cat .", "a happy cat"]


def write(folder: Path, tokenizer=None, cls: type = TriEmbedForMaskedLM, **changes: object):
    torch.manual_seed(0)
    if tokenizer is None:
        folder.mkdir()
        (folder / "vocab.txt").write_text("\n".join(WORDS))
        tokenizer = BertTokenizer(vocab=str(folder / "vocab.txt"))
    size = changes.pop("vocab_size", len(tokenizer))
    model = cls(TriEmbedConfig(**SIZES | {"vocab_size": size, "pad_token_id": tokenizer.pad_token_id} | changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def test_weights_are_worked_on_in_fp32_and_written_as_the_source_stores_them(tmp_path: Path) -> None:
    write(tmp_path / "source").to(torch.bfloat16).save_pretrained(tmp_path / "source")
    add_tokens(tmp_path / "source", tmp_path / "target", ["dogs"])
    old, new = (load_file(tmp_path / name / "model.safetensors") for name in ("source", "target"))
    table = "triembed.embeddings.token.weight"
    assert {weight.dtype for weight in new.values()} == {torch.bfloat16}
    assert torch.equal(new[table][: len(WORDS)], old[table])
    pieces = old[table][[WORDS.index("dog"), WORDS.index("##s")]].float().mean(dim=0)
    assert torch.equal(new[table][len(WORDS)], pieces.bfloat16())  # rounded once
    assert AutoModelForMaskedLM.from_pretrained(tmp_path / "target").dtype == torch.bfloat16


def test_positions_know_the_stops_of_the_new_vocabulary(tmp_path: Path) -> None:
    stops = {"bipe": {"separators": [WORDS.index(".")]}}
    write(tmp_path / "source", position_embedding_type="bipe", position_parameters=stops)
    trim(tmp_path / "source", tmp_path / "target", ["the cat chases a dog ."])
    model, tokenizer = opened(tmp_path / "target")
    expected = tokenizer.convert_tokens_to_ids(".")
    assert expected != WORDS.index(".") and model.base_model.embeddings.position.separators == (expected,)


def opened(folder: Path):
    return AutoModelForMaskedLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def logits(model, tokenizer, texts: list[str]) -> torch.Tensor:
    with torch.no_grad():
        return model(**tokenizer(texts, padding=True, return_tensors="pt")).logits


@pytest.mark.parametrize("changes", [{}, {"vocab_size": 32}, {"tie_word_embeddings": False}], ids=str)
def test_added_tokens_are_the_mean_of_their_pieces(changes: dict, tmp_path: Path) -> None:
    old = write(tmp_path / "source", **dict(changes))
    (tmp_path / "source/README.md").write_text("---\nlicense: apache-2.0\n---\n")
    report = add_tokens(tmp_path / "source", tmp_path / "target", ["unhappyness", "running", "cat"])
    model, tokenizer = opened(tmp_path / "target")
    assert json.loads((tmp_path / "target/origin.json").read_text())["license"] == "apache-2.0"
    assert tokenizer.tokenize("unhappyness running cats") == ["unhappyness", "running", "cat", "##s"]
    assert report.known == ["cat"]
    new = tokenizer.convert_tokens_to_ids("unhappyness")
    pieces = [WORDS.index(piece) for piece in ("un", "##happy", "##ness")]
    for name in ("triembed.embeddings.token.weight", "predictions.decoder.weight"):
        table = old.get_parameter(name)
        torch.testing.assert_close(model.get_parameter(name)[new], table[pieces].mean(0))
    before = AutoTokenizer.from_pretrained(tmp_path / "source")
    scores = logits(model, tokenizer, TEXTS)[..., : len(WORDS)]
    assert torch.equal(scores, logits(old, before, TEXTS)[..., : len(WORDS)])
    assert report.figures["added"] == 2 and model.config.vocab_size == max(len(WORDS) + 2, changes.get("vocab_size", 0))
    tied = model.predictions.decoder.weight is model.triembed.embeddings.token.weight
    assert tied == ("tie_word_embeddings" not in changes)


def test_words_that_are_tokens_already_are_said_and_the_copy_is_written(tmp_path: Path) -> None:
    old = write(tmp_path / "source")
    arguments = ["vocabulary", "add", str(tmp_path / "source"), str(tmp_path / "target"), "--token", "cat"]
    said = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "tokens already, left as they are: cat" in said.stdout
    model, tokenizer = opened(tmp_path / "target")
    assert torch.equal(logits(model, tokenizer, TEXTS), logits(old, tokenizer, TEXTS))


def test_the_share_of_a_corpus_that_is_cut_anew_is_said(tmp_path: Path) -> None:
    write(tmp_path / "source")
    whole = add_tokens(tmp_path / "source", tmp_path / "whole", ["dogs"], texts=["the dogs run"])
    inside = add_tokens(tmp_path / "source", tmp_path / "inside", ["dogs"], texts=["dogsrun"], inside_words=True)
    assert whole.figures["share_of_pieces_changed"] > 0
    assert whole.figures["share_of_pieces_changed_outside_of_the_words"] == 0
    assert inside.figures["share_of_pieces_changed_outside_of_the_words"] > 0


def test_added_tokens_from_static_vectors(tmp_path: Path) -> None:
    old = write(tmp_path / "source", cls=TriEmbedModel)
    plain = [word for word in WORDS if word.isascii() and word.isalpha()]
    table = old.embeddings.token.weight.detach()
    # Vectors that are the model's own rows in other axes, so that the right map is known.
    turn = torch.linalg.qr(torch.randn(32, 4))[0]
    vectors = {word: table[WORDS.index(word)] @ turn for word in plain}
    vectors["kitten"] = vectors["cat"]
    add_tokens(tmp_path / "source", tmp_path / "target", ["kitten"], vectors=vectors)
    row = TriEmbedModel.from_pretrained(tmp_path / "target").embeddings.token.weight[-1]
    distances = (table[[WORDS.index(word) for word in plain]] - row).norm(dim=1)
    assert plain[distances.argmin()] == "cat"


def test_a_trained_tokenizer_keeps_what_both_have(tmp_path: Path) -> None:
    old = write(tmp_path / "source")
    report = replace_tokenizer(tmp_path / "source", tmp_path / "target", texts=TEXTS * 20, vocab_size=60)
    model, tokenizer = opened(tmp_path / "target")
    table, before = model.triembed.embeddings.token.weight, old.triembed.embeddings.token.weight
    same = [token for token in tokenizer.get_vocab() if token in WORDS]
    assert "[MASK]" in same and "the" in same and report.kept == len(same)
    for token in same:
        assert torch.equal(table[tokenizer.get_vocab()[token]], before[WORDS.index(token)])
    assert model.config.pad_token_id == tokenizer.pad_token_id and logits(model, tokenizer, TEXTS).isfinite().all()


def test_special_tokens_are_matched_by_role(tmp_path: Path) -> None:
    old = write(tmp_path / "source")
    new = bpe()
    new.save_pretrained(tmp_path / "new")
    replace_tokenizer(tmp_path / "source", tmp_path / "target", tokenizer=tmp_path / "new")
    model = TriEmbedForMaskedLM.from_pretrained(tmp_path / "target")
    rows, before = model.triembed.embeddings.token.weight, old.triembed.embeddings.token.weight
    assert torch.equal(rows[new.mask_token_id], before[WORDS.index("[MASK]")])
    assert torch.equal(rows[new.convert_tokens_to_ids("cat")], before[WORDS.index("cat")])
    assert model.config.pad_token_id == new.pad_token_id == 3


def bpe() -> PreTrainedTokenizerFast:
    """A byte-pair tokenizer whose merges build on each other, with tokens that no text uses."""
    merges = [("c", "a"), ("ca", "t"), ("d", "o"), ("do", "g"), ("x", "y"), ("xy", "z")]
    symbols = ["<s>", "</s>", "<unk>", "<pad>", "<mask>", *"abcdefghijklmnopqrstuvwxyz"]
    vocab = {token: i for i, token in enumerate(symbols + ["".join(pair) for pair in merges])}
    backend = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    roles = dict(cls_token="<s>", sep_token="</s>", unk_token="<unk>", pad_token="<pad>", mask_token="<mask>")
    return PreTrainedTokenizerFast(tokenizer_object=backend, **roles)


def unigram() -> PreTrainedTokenizerFast:
    pieces = [("<unk>", 0.0), ("<pad>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("<mask>", 0.0)]
    pieces += [(letter, -5.0) for letter in "abcdefghijklmnopqrstuvwxyz."]
    pieces += [("cat", -2.0), ("dog", -2.5), ("chase", -3.0), ("zebra", -3.0), ("the", -1.0)]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    roles = dict(cls_token="<s>", sep_token="</s>", unk_token="<unk>", pad_token="<pad>", mask_token="<mask>")
    return PreTrainedTokenizerFast(tokenizer_object=backend, **roles)


@pytest.mark.parametrize("kind", [None, bpe, unigram], ids=["WordPiece", "BPE", "Unigram"])
def test_trimming_changes_no_output_on_the_corpus(kind, tmp_path: Path) -> None:
    old = write(tmp_path / "source", kind and kind())
    texts = ["cat", "dog cat", "the dog"]
    report = trim(tmp_path / "source", tmp_path / "target", texts)
    before = AutoTokenizer.from_pretrained(tmp_path / "source")
    model, tokenizer = opened(tmp_path / "target")
    assert len(tokenizer) == model.config.vocab_size < len(before) and report.vocab_size[1] == len(tokenizer)
    for text in texts:
        assert tokenizer.tokenize(text) == before.tokenize(text)
    names = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    columns = [before.get_vocab()[name] for name in names]
    torch.testing.assert_close(
        logits(model, tokenizer, texts), logits(old, before, texts)[..., columns], atol=1e-6, rtol=0
    )
    assert tokenizer.mask_token in names and tokenizer.pad_token_id == model.config.pad_token_id


def test_bpe_keeps_what_tokens_are_merged_from(tmp_path: Path) -> None:
    write(tmp_path / "source", bpe())
    trim(tmp_path / "source", tmp_path / "target", ["cat"])
    vocabulary = AutoTokenizer.from_pretrained(tmp_path / "target").get_vocab()
    assert {"c", "a", "t", "ca", "cat"} <= set(vocabulary) and "dog" not in vocabulary and "xyz" not in vocabulary


@pytest.mark.parametrize("kind", ["byte-level bpe", "unigram with bytes", "bpe with bytes"])
def test_a_tokenizer_that_spells_everything_by_bytes_still_does(kind: str, tmp_path: Path) -> None:
    write(tmp_path / "source", small_tokenizer(kind), vocab_size=400)
    trim(tmp_path / "source", tmp_path / "target", ["cat", "dog"])
    before, after = (AutoTokenizer.from_pretrained(tmp_path / name) for name in ("source", "target"))
    assert len(after) < len(before) and after.unk_token_id not in after("\u00e9\u5b57")["input_ids"]
    assert after.tokenize("\u00e9\u5b57") == before.tokenize("\u00e9\u5b57")


def test_a_word_that_was_unknown_starts_from_all_tokens_and_not_from_unk(tmp_path: Path) -> None:
    write(tmp_path / "source")
    report = add_tokens(tmp_path / "source", tmp_path / "target", ["\u5b57", "running"])
    model, tokenizer = opened(tmp_path / "target")
    table = model.triembed.embeddings.token.weight
    row = table[tokenizer.convert_tokens_to_ids("\u5b57")]
    torch.testing.assert_close(row, table[: len(WORDS)].mean(0))
    assert report.figures["from_nothing"] == 1


@pytest.mark.parametrize(
    "given, message",
    [
        ("trim --corpus c.txt --token a", "trim: got --token, expected only --corpus"),
        ("factorise --rank 4 --vocab-size 40", "factorise: got --vocab-size, expected only --rank"),
        ("add --token a --rank 4", "add: got --rank"),
        ("replace --tokenizer t --vocab-size 40", "replace: got --vocab-size beside --tokenizer"),
    ],
)
def test_options_of_other_actions_are_refused(given: str, message: str, tmp_path: Path) -> None:
    action, *options = given.split()
    arguments = ["vocabulary", action, str(tmp_path), str(tmp_path / "target"), *options]
    with pytest.raises(ValueError, match=message):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_factorising_a_table_of_that_rank_changes_nothing(tmp_path: Path) -> None:
    old = write(tmp_path / "source", tie_word_embeddings=True)
    with torch.no_grad():
        old.triembed.embeddings.token.weight.copy_(torch.randn(len(WORDS), 6) @ torch.randn(6, 32))
    old.save_pretrained(tmp_path / "source")
    report = factorise(tmp_path / "source", tmp_path / "target", 6)
    model, tokenizer = opened(tmp_path / "target")
    torch.testing.assert_close(logits(model, tokenizer, TEXTS), logits(old, tokenizer, TEXTS), atol=1e-4, rtol=1e-4)
    assert report.figures["relative_error"] < 1e-5 and model.triembed.embeddings.token.weight.shape == (len(WORDS), 6)


def test_the_error_of_a_factorisation_is_that_of_the_best(tmp_path: Path) -> None:
    old = write(tmp_path / "source")
    report = factorise(tmp_path / "source", tmp_path / "target", 5)
    values = torch.linalg.svdvals(old.triembed.embeddings.token.weight.detach().double())
    assert report.figures["relative_error"] == pytest.approx(float(values[5:].norm() / values.norm()), rel=1e-4)
    made = TriEmbedForMaskedLM.from_pretrained(tmp_path / "target").triembed.embeddings
    product = made.projection(made.token.weight)
    error = (product - old.triembed.embeddings.token.weight).norm() / old.triembed.embeddings.token.weight.norm()
    assert error.item() == pytest.approx(report.figures["relative_error"], rel=1e-3)


def test_the_command(tmp_path: Path, monkeypatch, capsys) -> None:
    write(tmp_path / "source")
    (tmp_path / "corpus.txt").write_text("\n\n".join(TEXTS))
    (tmp_path / "words.txt").write_text("kitten\n\nunhappyness\n")
    (tmp_path / "vectors.txt").write_text("2 1\ncat 1.0\ndog 2.0\nkitten 1.5\n")
    files = {name: str(tmp_path / f"{name}.txt") for name in ("corpus", "words", "vectors")}
    runs = {
        "add": ["--token", "running", "--tokens-file", files["words"], "--vectors", files["vectors"]],
        "replace": ["--corpus", files["corpus"], "--vocab-size", "40"],
        "trim": ["--corpus", files["corpus"]],
        "factorise": ["--rank", "4"],
    }
    for action, options in runs.items():
        target = str(tmp_path / action)
        arguments = ["vocabulary", action, str(tmp_path / "source"), target, *options, "--json"]
        monkeypatch.setattr("sys.argv", ["hf-embeddings", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code, capsys.readouterr().err
        assert json.loads(capsys.readouterr().out.strip().splitlines()[-1])["action"] == action
        opened(tmp_path / action)
    monkeypatch.setattr(
        "sys.argv", ["hf-embeddings", "vocabulary", "trim", str(tmp_path / "source"), str(tmp_path / "x")]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and "error: --corpus: missing" in capsys.readouterr().err


REFUSED = [
    (lambda s, t: add_tokens(s, t, []), "none is given"),
    (lambda s, t: add_tokens(s, t, ["##s"]), "but not as a word"),
    (lambda s, t: add_tokens(s, t, [" "]), "empty"),
    (lambda s, t: replace_tokenizer(s, t), "either a tokenizer or a corpus"),
    (lambda s, t: trim(s, t, []), "holds no text"),
    (lambda s, t: factorise(s, t, 32), "expected 1 to 31"),
    (lambda s, t: add_tokens(s, t, ["new"], vectors={"cat": torch.ones(30)}), "expected at least 30"),
]


@pytest.mark.parametrize("act, message", REFUSED)
def test_refused_in_one_line(act, message: str, tmp_path: Path) -> None:
    write(tmp_path / "source")
    with pytest.raises(ConversionError) as error:
        act(tmp_path / "source", tmp_path / "target")
    assert message in str(error.value) and "\n" not in str(error.value) and not (tmp_path / "target").exists()
