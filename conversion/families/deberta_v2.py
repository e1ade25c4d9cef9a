"""DeBERTa v2 and v3 (https://arxiv.org/abs/2006.03654, https://arxiv.org/abs/2111.09543): disentangled attention."""

from hf_embeddings.conversion.families.bert import CLASSIFIER, EMBEDDINGS, LAYER, PREDICTIONS, QUESTION
from hf_embeddings.conversion.family import Family, Head
from hf_embeddings.conversion.rules import Choice, Config, ConversionError, Key, Only, Unread, Weight

TOKEN, LEARNED, SEGMENT, NORM = EMBEDDINGS
POOLED = (Weight("pooler.dense", "triembed.pooler.dense"), *CLASSIFIER)
POOLED_CONFIG = (Key("pooler_hidden_act", "gelu", "pooler_act"),)
KEYS = (
    "relative_attention", "position_biased_input", "pos_att_type", "position_buckets", "max_relative_positions",
    "share_att_key", "norm_rel_ebd",
)  # fmt: skip


def _positions(config: Config) -> Config:
    if not config.get("relative_attention", False):
        raise ConversionError("config: relative_attention is False, and this table is for disentangled attention only")
    terms = config.get("pos_att_type") or []
    options = {
        "pos_att_type": [term.strip() for term in terms.lower().split("|")] if isinstance(terms, str) else list(terms),
        "position_buckets": max(0, config.get("position_buckets", -1)),
        "max_relative_positions": max(0, config.get("max_relative_positions", -1)),
        "share_att_key": config.get("share_att_key", False),
        "norm_rel_ebd": config.get("norm_rel_ebd", "none"),
    }
    is_learned = config.get("position_biased_input", True)
    return {
        "position_embedding_type": "learned+disentangled" if is_learned else "disentangled",
        "position_parameters": {"disentangled": options},
    }


def _relative(config: Config) -> Config:
    kind = config["position_embedding_type"]
    if kind not in ("disentangled", "learned+disentangled"):
        raise ConversionError(
            f"position_embedding_type: {kind!r}, and this family can hold 'disentangled' or 'learned+disentangled' only"
        )
    parameters = (config["position_parameters"] or {}).get("disentangled") or {}
    unset = [name for name in ("position_buckets", "max_relative_positions") if parameters.get(name) is None]
    if unset:
        raise ConversionError(f"position_parameters: disentangled.{unset[0]} is not given; write the number out")
    return {
        "relative_attention": True,
        "position_biased_input": kind != "disentangled",
        "pos_att_type": parameters.get("pos_att_type", ["c2p", "p2c"]),
        "position_buckets": parameters["position_buckets"] or -1,
        "max_relative_positions": parameters["max_relative_positions"] or -1,
        "share_att_key": parameters.get("share_att_key", False),
        "norm_rel_ebd": parameters.get("norm_rel_ebd", "layer_norm"),
    }


DISENTANGLED = Choice(KEYS, ("position_embedding_type", "position_parameters"), _positions, _relative)

DEBERTA_V2 = Family(
    model_type="deberta-v2",
    prefix="deberta",
    tokenizer_class="DebertaV2Tokenizer",
    config=(
        Key("vocab_size", 128100),
        Key("hidden_size", 1536),
        Key("num_hidden_layers", 24),
        Key("num_attention_heads", 24),
        Key("intermediate_size", 6144),
        Key("hidden_act", "gelu"),
        Key("hidden_dropout_prob", 0.1),
        Key("attention_probs_dropout_prob", 0.1),
        Key("max_position_embeddings", 512),
        Key("type_vocab_size", 0),
        Key("initializer_range", 0.02),
        Key("layer_norm_eps", 1e-7),
        Key("pad_token_id", 0),
        Key("bos_token_id", None),
        Key("eos_token_id", None),
        Key("tie_word_embeddings", True),
        DISENTANGLED,
        Only("legacy", (True,)),  # the other head has never been in a published checkpoint of transformers' own
        Only("conv_kernel_size", (0, None)),  # the convolution of the v2 xlarge models
        Only("pooler_dropout", (0.0,)),
        Unread(("pooler_hidden_size", "pooler_hidden_act", "cls_dropout", "conv_act", "attention_head_size")),
    ),
    encoder=(
        TOKEN,
        LEARNED,
        SEGMENT,
        NORM,
        Weight("encoder.rel_embeddings", "embeddings.position.disentangled.table"),
        Weight("encoder.LayerNorm", "embeddings.position.disentangled.norm"),
        Weight("encoder.layer.{}.attention.self.query_proj", "layers.{}.attention.query"),
        Weight("encoder.layer.{}.attention.self.key_proj", "layers.{}.attention.key"),
        Weight("encoder.layer.{}.attention.self.value_proj", "layers.{}.attention.value"),
        Weight("encoder.layer.{}.attention.self.pos_key_proj", "layers.{}.attention.position.disentangled.key"),
        Weight("encoder.layer.{}.attention.self.pos_query_proj", "layers.{}.attention.position.disentangled.query"),
        *LAYER[3:],
    ),
    heads={
        "DebertaV2Model": Head("TriEmbedModel"),
        "DebertaV2ForMaskedLM": Head(
            "TriEmbedForMaskedLM",
            PREDICTIONS,
            {
                "cls.predictions.decoder.weight": "deberta.embeddings.word_embeddings.weight",
                "cls.predictions.decoder.bias": "cls.predictions.bias",
            },
        ),
        "DebertaV2ForSequenceClassification": Head("TriEmbedForSequenceClassification", POOLED, config=POOLED_CONFIG),
        "DebertaV2ForTokenClassification": Head("TriEmbedForTokenClassification", CLASSIFIER),
        "DebertaV2ForQuestionAnswering": Head("TriEmbedForQuestionAnswering", QUESTION),
        "DebertaV2ForMultipleChoice": Head("TriEmbedForMultipleChoice", POOLED, config=POOLED_CONFIG),
    },
    unread=("embeddings.position_ids",),
)
