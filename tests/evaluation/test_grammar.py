"""Minimal pairs: a grammar that repeats itself, a score that a user can compute, and no score without a head."""

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from hf_embeddings import TriEmbedConfig, TriEmbedForMaskedLM, TriEmbedModel
from hf_embeddings.evaluation.grammar import KINDS, LANGUAGES, PAIRS, Language, minimal_pairs
from hf_embeddings.evaluation.sentence_likelihood import judge_grammar, load_masked_model, pseudo_log_likelihood
from tests.corpora.tokenizer_kinds import KINDS as TOKENIZERS
from tests.corpora.tokenizer_kinds import tokenizer_of


@pytest.mark.parametrize("language", LANGUAGES)
def test_pairs_are_the_same_at_every_call_and_differ_in_one_thing(language: Language) -> None:
    pairs = minimal_pairs(language)
    assert pairs == minimal_pairs(language) and len({(own.right, own.wrong) for own in pairs}) == len(pairs)
    assert {own.kind for own in pairs} == set(KINDS[language]) and len(pairs) == PAIRS * len(KINDS[language])
    assert not {own.right for own in pairs} & {own.wrong for own in pairs}
    for own in pairs:
        right, wrong = ((text.split() if language == "en" else list(text)) for text in (own.right, own.wrong))
        moved = sorted(right) == sorted(wrong)
        assert moved or sum(one != other for one, other in zip(right, wrong, strict=True)) == 1, own


def masked_model(tokenizer: PreTrainedTokenizerBase) -> TriEmbedForMaskedLM:
    torch.manual_seed(0)
    config = TriEmbedConfig(
        vocab_size=512, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        initializer_range=0.5, pad_token_id=tokenizer.pad_token_id, type_vocab_size=0,
    )  # fmt: skip
    return TriEmbedForMaskedLM(config).eval()


@pytest.mark.parametrize("kind", ["WordPiece", "SentencePiece as XLM-R"])
def test_a_score_is_what_a_user_computes(kind: str) -> None:
    assert kind in TOKENIZERS
    tokenizer = tokenizer_of(kind)
    model = masked_model(tokenizer)
    encoded = tokenizer("schooling the breakfasts in Paris", return_special_tokens_mask=True)
    encoded.pop("token_type_ids", None)
    ids, words, total = encoded["input_ids"], encoded.word_ids(), 0.0
    assert len(words) > 4  # words of several pieces
    for place, token in enumerate(ids):
        if token not in tokenizer.all_special_ids:
            row = [
                tokenizer.mask_token_id if at == place or (at > place and words[at] == words[place]) else own
                for at, own in enumerate(ids)
            ]
            with torch.no_grad():
                total += model(torch.tensor([row])).logits[0, place].log_softmax(-1)[token].item()
    assert pseudo_log_likelihood(model, tokenizer, encoded) == pytest.approx(total, abs=1e-4)


def test_pairs_that_cannot_be_spelled_are_counted() -> None:
    tokenizer = tokenizer_of("WordPiece")
    figures = judge_grammar(masked_model(tokenizer), tokenizer, "zh")
    assert (figures.pairs, figures.left_out, figures.accuracy) == (0, PAIRS * 6, None)


def test_a_model_without_a_head_for_masked_tokens_is_refused(tmp_path: Path) -> None:
    TriEmbedModel(masked_model(tokenizer_of("WordPiece")).config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="has no head for masked tokens"):
        load_masked_model(tmp_path)
