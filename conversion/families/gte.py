"""GTE (https://arxiv.org/abs/2407.19669): RoPE, a gated feed-forward whose last projection alone has a bias."""

from hf_embeddings.conversion.families.bert import CLASSIFIER
from hf_embeddings.conversion.family import Family, Head
from hf_embeddings.conversion.rules import SPLIT, Fixed, Key, Weight

GTE = Family(
    model_type="gte",
    prefix="gte",
    tokenizer_class="XLMRobertaTokenizer",
    config=(
        Key("vocab_size", 250048),
        Key("hidden_size", 768),
        Key("num_hidden_layers", 12),
        Key("num_attention_heads", 12),
        Key("intermediate_size", 3072),
        Key("hidden_act", "gelu"),
        Key("hidden_dropout_prob", 0.1),
        Key("attention_probs_dropout_prob", 0.0),
        Key("max_position_embeddings", 8192),
        Key("type_vocab_size", 1),
        Key("initializer_range", 0.02),
        Key("layer_norm_eps", 1e-12),
        Key("pad_token_id", 1),
        Key("bos_token_id", None),
        Key("eos_token_id", None),
        Key("classifier_dropout", None),
        Key("tie_word_embeddings", True),
        Key("rope_parameters", {"rope_type": "default", "rope_theta": 160_000.0}),
        Fixed("position_embedding_type", "rope"),
        Fixed("feed_forward_type", "gated"),
        Fixed("mlp_bias", False),
        Fixed("mlp_down_bias", True),
        Fixed("prediction_act", "gelu"),
    ),
    encoder=(
        Weight("embeddings.word_embeddings", "embeddings.token"),
        Weight("embeddings.token_type_embeddings", "embeddings.segment"),
        Weight("embeddings.LayerNorm", "embeddings.norm"),
        Weight(
            "encoder.layer.{}.attention.qkv_proj",
            ("layers.{}.attention.query", "layers.{}.attention.key", "layers.{}.attention.value"),
            SPLIT,
        ),
        Weight("encoder.layer.{}.attention.o_proj", "layers.{}.attention.out"),
        Weight("encoder.layer.{}.attn_ln", "layers.{}.attention_norm"),
        Weight(
            "encoder.layer.{}.mlp.up_gate_proj", ("layers.{}.feed_forward.up", "layers.{}.feed_forward.gate"), SPLIT
        ),
        Weight("encoder.layer.{}.mlp.down_proj", "layers.{}.feed_forward.down"),
        Weight("encoder.layer.{}.mlp_ln", "layers.{}.feed_forward_norm"),
        Weight("pooler.dense", "pooler.dense"),
    ),
    heads={
        "GteModel": Head("TriEmbedModel"),
        "GteForMaskedLM": Head(
            "TriEmbedForMaskedLM",
            (
                Weight("lm_head.dense", "predictions.dense"),
                Weight("lm_head.norm", "predictions.norm"),
                Weight("lm_head.decoder", "predictions.decoder"),
            ),
            {"lm_head.decoder.weight": "gte.embeddings.word_embeddings.weight"},
        ),
        "GteForSequenceClassification": Head("TriEmbedForSequenceClassification", CLASSIFIER),
        "GteForTokenClassification": Head("TriEmbedForTokenClassification", CLASSIFIER),
    },
    optional=("pooler",),
)
