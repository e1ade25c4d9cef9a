"""Nomic BERT (https://arxiv.org/abs/2402.01613): RoPE, a gated feed-forward, no biases but those of norms and heads."""

from hf_embeddings.conversion.families.bert import CLASSIFIER
from hf_embeddings.conversion.rules import SPLIT, Choice, Family, Fixed, Head, Key, Weight

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
