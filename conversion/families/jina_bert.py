"""BERT with ALiBi and a gated feed-forward, in two layouts that carry BERT's `model_type`: jina's and MosaicBERT's."""

from dataclasses import replace

from hf_embeddings.conversion import modeling_bert_layouts
from hf_embeddings.conversion.families.bert import BERT, EMBEDDINGS, LAYER
from hf_embeddings.conversion.family import LayoutCode
from hf_embeddings.conversion.rules import SPLIT, Fixed, Only, Unread, Weight

TOKEN, _, SEGMENT, NORM = EMBEDDINGS
FEED_FORWARD = (
    Weight("encoder.layer.{}.mlp.gated_layers", ("layers.{}.feed_forward.gate", "layers.{}.feed_forward.up"), SPLIT),
    Weight("encoder.layer.{}.mlp.wo", "layers.{}.feed_forward.down"),
    Weight("encoder.layer.{}.mlp.layernorm", "layers.{}.feed_forward_norm"),
)
GATED = (
    Fixed("position_embedding_type", "alibi"),
    Fixed("feed_forward_type", "gated"),
    Fixed("mlp_bias", False),
    Fixed("mlp_down_bias", True),
)
CONFIG = tuple(rule for rule in BERT.config if "position_embedding_type" not in rule.sources)

JINA_BERT = replace(
    BERT,
    name="jina_bert",
    marks={"position_embedding_type": ("alibi",)},
    written={"position_embedding_type": "alibi", "feed_forward_type": "geglu"},
    config=(
        *CONFIG,
        *GATED,
        Only("feed_forward_type", ("geglu",)),
        Only("emb_pooler", ("mean", None)),  # how the origin pools in its own `encode`; no weight depends on it
        Unread(("position_embedding_type", "attn_implementation", "model_max_length")),
    ),
    encoder=(TOKEN, SEGMENT, NORM, *LAYER[:5], *FEED_FORWARD, Weight("pooler.dense", "pooler.dense")),
    own_code=LayoutCode(
        modeling_bert_layouts,
        "Jina",
        modeling_bert_layouts.HEADS,
        "Its layout is that of jina-embeddings-v2, which transformers has no class for",
    ),
)
