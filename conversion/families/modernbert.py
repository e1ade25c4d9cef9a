"""ModernBERT (https://arxiv.org/abs/2412.13663): pre-norm, RoPE of two kinds, local and global attention, GeGLU."""

from hf_embeddings.conversion.family import Family, Head
from hf_embeddings.conversion.rules import SPLIT, Choice, Config, Fixed, Key, Only, Unread, Weight

CLASSIFIER = (Weight("classifier", "classifier"),)
POOLED = (Weight("head.dense", "triembed.pooler.dense"), Weight("head.norm", "triembed.pooler.norm"), *CLASSIFIER)


def _layers(config: Config) -> Config:
    """Read which layers are local, and both angles, in today's words or in those of the first release."""
    every, depth = config.get("global_attn_every_n_layers", 3), config.get("num_hidden_layers", 22)
    types = config.get("layer_types") or ["sliding_attention" if i % every else "full_attention" for i in range(depth)]
    rope_parameters = config.get("rope_parameters") or {}
    thetas = {
        "full_attention": config.get("global_rope_theta", 160_000.0),
        "sliding_attention": config.get("local_rope_theta", 10_000.0),
    }
    rope = {
        name: {"rope_type": "default", "rope_theta": theta} | (rope_parameters.get(name) or {})
        for name, theta in thetas.items()
    }
    return {"layer_types": types, "rope_parameters": rope, "sliding_window": config.get("local_attention", 128) // 2}


def _local(config: Config) -> Config:
    return {
        "layer_types": config["layer_types"] or ["full_attention"] * config["num_hidden_layers"],
        "rope_parameters": config["rope_parameters"],
        "local_attention": 2 * (config["sliding_window"] or 64),
    }


def _activation(config: Config) -> Config:
    return dict.fromkeys(("prediction_act", "pooler_act"), config.get("classifier_activation", "gelu"))


MODERNBERT = Family(
    model_type="modernbert",
    prefix="model",
    tokenizer_class="PreTrainedTokenizerFast",
    config=(
        Key("vocab_size", 50368),
        Key("hidden_size", 768),
        Key("num_hidden_layers", 22),
        Key("num_attention_heads", 12),
        Key("intermediate_size", 1152),
        Key("hidden_activation", "gelu", "hidden_act"),
        Key("attention_dropout", 0.0, "attention_probs_dropout_prob"),
        Key("max_position_embeddings", 8192),
        Key("initializer_range", 0.02),
        Key("norm_eps", 1e-5, "layer_norm_eps"),
        Key("norm_bias", False),
        Key("attention_bias", False),
        Key("mlp_bias", False),
        Key("decoder_bias", True),
        Key("classifier_bias", False, "head_bias"),
        Key("classifier_pooling", "cls"),
        Key("classifier_dropout", 0.0),
        Key("pad_token_id", 50283),
        Key("bos_token_id", 50281),
        Key("eos_token_id", 50282),
        Key("tie_word_embeddings", True),
        Choice(("classifier_activation",), ("prediction_act", "pooler_act"), _activation,
               lambda config: {"classifier_activation": config["pooler_act"]}),
        Choice(
            ("layer_types", "global_attn_every_n_layers", "rope_parameters", "global_rope_theta", "local_rope_theta",
             "local_attention"),
            ("layer_types", "rope_parameters", "sliding_window"),
            _layers,
            _local,
        ),
        Fixed("position_embedding_type", "rope"),
        Fixed("type_vocab_size", 0),
        Fixed("norm_position", "pre"),
        Fixed("skip_first_norm", True),
        Fixed("feed_forward_type", "gated"),
        Fixed("pooler_norm", True),
        Fixed("token_transform", True),
        Fixed("hidden_dropout_prob", 0.0),
        Only("embedding_dropout", (0.0,)),
        Only("mlp_dropout", (0.0,)),
        Unread((
            "initializer_cutoff_factor", "deterministic_flash_attn", "sparse_prediction", "sparse_pred_ignore_index",
            "reference_compile", "repad_logits_with_grad", "layer_norm_eps", "position_embedding_type",
        )),
    ),
    encoder=(
        Weight("embeddings.tok_embeddings", "embeddings.token"),
        Weight("embeddings.norm", "embeddings.norm"),
        Weight(
            "layers.{}.attn.Wqkv",
            ("layers.{}.attention.query", "layers.{}.attention.key", "layers.{}.attention.value"),
            SPLIT,
        ),
        Weight("layers.{}.attn.Wo", "layers.{}.attention.out"),
        Weight("layers.{}.attn_norm", "layers.{}.attention_norm"),
        Weight("layers.{}.mlp.Wi", ("layers.{}.feed_forward.gate", "layers.{}.feed_forward.up"), SPLIT),
        Weight("layers.{}.mlp.Wo", "layers.{}.feed_forward.down"),
        Weight("layers.{}.mlp_norm", "layers.{}.feed_forward_norm"),
        Weight("final_norm", "final_norm"),
    ),
    heads={
        "ModernBertModel": Head("TriEmbedModel"),
        "ModernBertForMaskedLM": Head(
            "TriEmbedForMaskedLM",
            (
                Weight("head.dense", "predictions.dense"),
                Weight("head.norm", "predictions.norm"),
                Weight("decoder", "predictions.decoder"),
            ),
            {"decoder.weight": "model.embeddings.tok_embeddings.weight"},
        ),
        "ModernBertForSequenceClassification": Head("TriEmbedForSequenceClassification", POOLED),
        "ModernBertForTokenClassification": Head(
            "TriEmbedForTokenClassification", (Weight("head", "transform"), *CLASSIFIER)
        ),
        "ModernBertForQuestionAnswering": Head(
            "TriEmbedForQuestionAnswering", (Weight("head", "transform"), Weight("classifier", "qa_outputs"))
        ),
        "ModernBertForMultipleChoice": Head("TriEmbedForMultipleChoice", POOLED),
    },
)  # fmt: skip
