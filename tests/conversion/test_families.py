"""Every family and every head, there and back."""

import pytest
import transformers
from transformers import CONFIG_MAPPING

from hf_embeddings.conversion import FAMILIES
from hf_embeddings.conversion.configs import rules_of
from hf_embeddings.conversion.rules import REQUIRED, Key
from tests.conversion.laws import assert_converts

# The others: test_layouts.py.
STOCK = [name for name, family in FAMILIES.items() if family.own_code is None and family.today_as is None]
HEADS = [(name, head) for name in STOCK for head in FAMILIES[name].heads]
ROBERTAS = ("roberta", "xlm-roberta", "camembert", "mpnet")
LEFT_OUT = {"RoFormerForMultipleChoice"}  # pools the last token, padding or not


DEBERTA_V3 = {
    "relative_attention": True,
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "layer_norm_eps": 1e-7,
}


def changes(family: str, head: str) -> dict[str, object]:
    """Return what a tiny model of this kind has beyond the common sizes."""
    made: dict[str, object] = {}
    if family in ROBERTAS:
        made |= {"pad_token_id": 1, "max_position_embeddings": 42}
    if family in ("electra", "roformer"):
        made |= {"embedding_size": 16}
    if family == "modernbert":
        made |= {"local_attention": 6}
    if family == "gte":
        made |= {"type_vocab_size": 2}
    if family == "deberta-v2":
        made |= DEBERTA_V3
    if head.endswith(("SequenceClassification", "TokenClassification")):
        made |= {"num_labels": 5}
    return made


@pytest.mark.parametrize("family, head", HEADS)
def test_there_and_back(family: str, head: str, tmp_path) -> None:
    assert_converts(head, tmp_path, **changes(family, head))


@pytest.mark.parametrize("terms", [["c2p"], ["p2c"], ["c2p", "p2c"]], ids="+".join)
def test_disentangled_positions_of_their_own(terms: list[str], tmp_path) -> None:
    given = {"relative_attention": True, "pos_att_type": terms, "type_vocab_size": 2}  # as the first DeBERTa
    assert_converts("DebertaV2Model", tmp_path, **given)


@pytest.mark.parametrize("family", STOCK)
def test_untied_heads(family: str, tmp_path) -> None:
    head = next(name for name in FAMILIES[family].heads if name.endswith("ForMaskedLM"))
    ours = assert_converts(head, tmp_path, tie_word_embeddings=False, **changes(family, head))
    assert ours.predictions.decoder.weight is not ours.triembed.embeddings.token.weight


@pytest.mark.parametrize("family", STOCK)
def test_defaults_are_those_of_transformers(family: str) -> None:
    config = CONFIG_MAPPING[family]()
    for head in FAMILIES[family].heads.values():
        for rule in rules_of(FAMILIES[family], head):
            if isinstance(rule, Key) and rule.default is not REQUIRED:
                assert getattr(config, rule.source) == rule.default, rule.source


def test_every_encoder_head_of_transformers_is_named() -> None:
    for family in map(FAMILIES.get, STOCK):
        prefix = CONFIG_MAPPING[family.model_type].__name__.removesuffix("Config")
        classes = {name for name in dir(transformers) if name == f"{prefix}Model" or name.startswith(f"{prefix}For")}
        assert {name for name in classes if not name.endswith("CausalLM")} - LEFT_OUT == set(family.heads)
