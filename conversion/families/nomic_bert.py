"""Nomic BERT (https://arxiv.org/abs/2402.01613): RoPE, a gated feed-forward, no biases but those of norms and heads."""

from dataclasses import replace

from hf_embeddings.conversion.families.bert import CLASSIFIER
from hf_embeddings.conversion.family import Family, Head
from hf_embeddings.conversion.rules import SPLIT, Choice, Fixed, Key, Only, Unread, Weight

ROPE = {"rope_type": "default", "rope_theta": 1000.0}

NOMIC_BERT = Family(
    model_type="nomic_bert",
    prefix="nomic_bert",
    tokenizer_class="BertTokenizer",
    config=(
        Key("vocab_size", 30528),
        Key("hidden_size", 768),
        Key("num_hidden_layers", 12),
        Key("num_attention_heads", 12),
        Key("intermediate_size", 3072),
        Key("hidden_act", "silu"),
        Key("hidden_dropout_prob", 0.0),
        Key("attention_probs_dropout_prob", 0.0),
        Key("max_position_embeddings", 2048),
        Key("type_vocab_size", 2),
        Key("initializer_range", 0.02),
        Key("layer_norm_eps", 1e-12),
        Key("pad_token_id", 0),
        Key("bos_token_id", None),
        Key("eos_token_id", None),
        Key("classifier_dropout", None),
        Key("tie_word_embeddings", True),
        Key("rope_parameters", ROPE),
        Fixed("position_embedding_type", "rope"),
        Fixed("feed_forward_type", "gated"),
        Fixed("attention_bias", False),
        Fixed("mlp_bias", False),
        # Written by transformers, and not free: the width of a head is that of the model, divided.
        Choice(("head_dim",), (), lambda config: {}, lambda config: {}),
    ),
    encoder=(
        Weight("embeddings.word_embeddings", "embeddings.token"),
        Weight("embeddings.token_type_embeddings", "embeddings.segment"),
        Weight("emb_ln", "embeddings.norm"),
        Weight(
            "encoder.layers.{}.attn.Wqkv",
            ("layers.{}.attention.query", "layers.{}.attention.key", "layers.{}.attention.value"),
            SPLIT,
        ),
        Weight("encoder.layers.{}.attn.out_proj", "layers.{}.attention.out"),
        Weight("encoder.layers.{}.norm1", "layers.{}.attention_norm"),
        Weight("encoder.layers.{}.mlp.fc11", "layers.{}.feed_forward.up"),
        Weight("encoder.layers.{}.mlp.fc12", "layers.{}.feed_forward.gate"),
        Weight("encoder.layers.{}.mlp.fc2", "layers.{}.feed_forward.down"),
        Weight("encoder.layers.{}.norm2", "layers.{}.feed_forward_norm"),
        Weight("pooler.dense", "pooler.dense"),
    ),
    heads={
        "NomicBertModel": Head("TriEmbedModel"),
        "NomicBertForMaskedLM": Head(
            "TriEmbedForMaskedLM",
            (
                Weight("cls.predictions.transform.dense", "predictions.dense"),
                Weight("cls.predictions.transform.layer_norm", "predictions.norm"),
                Weight("cls.predictions.decoder.weight", "predictions.decoder.weight"),
                Weight("cls.predictions.bias", "predictions.decoder.bias"),
            ),
            {
                "cls.predictions.decoder.weight": "nomic_bert.embeddings.word_embeddings.weight",
                "cls.predictions.decoder.bias": "cls.predictions.bias",
            },
        ),
        "NomicBertForSequenceClassification": Head("TriEmbedForSequenceClassification", CLASSIFIER),
        "NomicBertForTokenClassification": Head("TriEmbedForTokenClassification", CLASSIFIER),
    },
    optional=("pooler",),
)


# The config under which nomic-embed-text v1 and v1.5 were published (https://github.com/nomic-ai/contrastors).
NOMIC_BERT_V1 = replace(
    NOMIC_BERT,
    name="nomic_bert_v1",
    marks={"n_embd": None},
    heads={"NomicBertModel": Head("TriEmbedModel")},
    config=(
        Key("vocab_size", 30528),
        Key("n_embd", 768, "hidden_size"),
        Key("n_layer", 12, "num_hidden_layers"),
        Key("n_head", 12, "num_attention_heads"),
        Key("n_inner", 3072, "intermediate_size"),
        Key("n_positions", 2048, "max_position_embeddings"),
        Key("attn_pdrop", 0.0, "attention_probs_dropout_prob"),
        Key("type_vocab_size", 2),
        Key("initializer_range", 0.02),
        Key("layer_norm_epsilon", 1e-12, "layer_norm_eps"),
        Key("pad_token_id", 0),
        Key("bos_token_id", None),
        Key("eos_token_id", None),
        Key("tie_word_embeddings", True),
        Choice(
            ("rotary_emb_base",),
            ("rope_parameters",),
            lambda config: {"rope_parameters": ROPE | {"rope_theta": float(config.get("rotary_emb_base", 1000))}},
            lambda config: {"rotary_emb_base": config["rope_parameters"]["rope_theta"]},
        ),
        Fixed("position_embedding_type", "rope"),
        Fixed("feed_forward_type", "gated"),
        Fixed("attention_bias", False),
        Fixed("mlp_bias", False),
        Fixed("hidden_act", "silu"),
        Fixed("hidden_dropout_prob", 0.0),
        Only("activation_function", ("swiglu",)),
        *(Only(key, (0.0,)) for key in ("embd_pdrop", "resid_pdrop")),
        *(
            Only(key, (False,))
            for key in (
                "prenorm", "parallel_block", "parallel_block_tied_norm", "use_rms_norm", "causal", "qkv_proj_bias",
                "mlp_fc1_bias", "mlp_fc2_bias", "rotary_emb_interleaved", "scale_attn_by_inverse_layer_idx",
                "reorder_and_upcast_attn",
            )
        ),
        *(Only(key, (None,)) for key in ("rotary_emb_scale_base", "rotary_scaling_factor")),
        Only("rotary_emb_fraction", (1.0,)),
        Only("scale_attn_weights", (True,)),
        Unread((
            "dense_seq_output", "fused_bias_fc", "fused_dropout_add_ln", "use_flash_attn", "use_xentropy",
            "pad_vocab_size_multiple", "max_trained_positions", "last_layer_subset", "summary_activation",
            "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj",
        )),
    ),
    today_as=NOMIC_BERT,
)  # fmt: skip
