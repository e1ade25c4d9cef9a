"""Every family and every head, there and back."""

import pytest
import transformers
from transformers import CONFIG_MAPPING

from hf_embeddings.conversion import FAMILIES
from hf_embeddings.conversion.configs import config_rules
from hf_embeddings.conversion.rules import REQUIRED, Key
from tests.conversion.laws import assert_converts

# The others: test_layouts.py.
STOCK = [name for name, family in FAMILIES.items() if not (family.own_code or family.today_as or family.marks)]
HEADS = [(name, head) for name in STOCK for head in FAMILIES[name].heads]
ROBERTAS = ("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "mpnet")
LEFT_OUT = {
    "RoFormerForMultipleChoice",  # pools the last token, padding or not
    "EuroBertForMaskedLM",  # one linear layer, without a transform
}
FIRST_DEBERTA = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "layer_norm_eps": 1e-7}


DEBERTA_V3 = {
    "relative_attention": True,
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "layer_norm_eps": 1e-7,
}


OFFSET = {"pad_token_id": 1, "max_position_embeddings": 42}
NEEDED = {  # what a tiny model of a family has beyond the common sizes
    **dict.fromkeys(ROBERTAS, OFFSET),
    **dict.fromkeys(("electra", "roformer", "albert"), {"embedding_size": 16}),
    "modernbert": {"local_attention": 6},
    "gte": {"type_vocab_size": 2},
    "deberta": FIRST_DEBERTA,
    "deberta-v2": DEBERTA_V3,
}


def changes(family: str, head: str) -> dict[str, object]:
    """Return what a tiny model of this kind has beyond the common sizes."""
    made = dict(NEEDED.get(family, {}))
    if head == "EuroBertForSequenceClassification":
        made |= {"classifier_pooling": "mean"}
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


@pytest.mark.parametrize("family, head", [(family, head) for family, head in HEADS if head.endswith("ForMaskedLM")])
def test_untied_heads(family: str, head: str, tmp_path) -> None:
    ours = assert_converts(head, tmp_path, tie_word_embeddings=False, **changes(family, head))
    assert ours.predictions.decoder.weight is not ours.triembed.embeddings.token.weight


@pytest.mark.parametrize("family", STOCK)
def test_defaults_are_those_of_transformers(family: str) -> None:
    config = CONFIG_MAPPING[family]()
    for head in FAMILIES[family].heads.values():
        for rule in config_rules(FAMILIES[family], head):
            if isinstance(rule, Key) and rule.default is not REQUIRED:
                assert getattr(config, rule.source) == rule.default, rule.source


def test_every_encoder_head_of_transformers_is_named() -> None:
    for family in map(FAMILIES.get, STOCK):
        prefix = CONFIG_MAPPING[family.model_type].__name__.removesuffix("Config")
        classes = {name for name in dir(transformers) if name == f"{prefix}Model" or name.startswith(f"{prefix}For")}
        assert {name for name in classes if not name.endswith("CausalLM")} - LEFT_OUT == set(family.heads)
