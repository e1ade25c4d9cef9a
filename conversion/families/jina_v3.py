"""Jina embeddings v3 (https://arxiv.org/abs/2409.10173): XLM-RoBERTa with RoPE, and at most one of its adapters."""

from dataclasses import replace

from hf_embeddings.conversion.families.bert import CLASSIFIER, QUESTION
from hf_embeddings.conversion.families.roberta import POOLED, PREDICTIONS, same
from hf_embeddings.conversion.family import Family, Head
from hf_embeddings.conversion.rules import SPLIT, Choice, Config, Fixed, Key, Only, Unread, Weight

JINA_V3 = Family(
    model_type="jina_embeddings_v3",
    prefix="roberta",
    tokenizer_class="XLMRobertaTokenizer",
    config=(
        Key("vocab_size", 250002),
        Key("hidden_size", 1024),
        Key("num_hidden_layers", 24),
        Key("num_attention_heads", 16),
        Key("intermediate_size", 4096),
        Key("hidden_act", "gelu"),
        Key("hidden_dropout_prob", 0.1),
        Key("attention_probs_dropout_prob", 0.1),
        Key("max_position_embeddings", 8194),
        Key("type_vocab_size", 1),
        Key("initializer_range", 0.02),
        Key("layer_norm_eps", 1e-5),
        Key("pad_token_id", 1),
        Key("bos_token_id", 0),
        Key("eos_token_id", 2),
        Key("classifier_dropout", None),
        Key("tie_word_embeddings", True),
        Key("rope_parameters", {"rope_type": "default", "rope_theta": 20_000.0}),
        Fixed("position_embedding_type", "rope"),
        Fixed("prediction_act", "gelu"),
    ),
    encoder=(
        Weight("embeddings.word_embeddings", "embeddings.token"),
        Weight("embeddings.token_type_embeddings", "embeddings.segment"),
        Weight("emb_ln", "embeddings.norm"),
        Weight(
            "encoder.layers.{}.mixer.Wqkv",
            ("layers.{}.attention.query", "layers.{}.attention.key", "layers.{}.attention.value"),
            SPLIT,
        ),
        Weight("encoder.layers.{}.mixer.out_proj", "layers.{}.attention.out"),
        Weight("encoder.layers.{}.norm1", "layers.{}.attention_norm"),
        Weight("encoder.layers.{}.mlp.fc1", "layers.{}.feed_forward.up"),
        Weight("encoder.layers.{}.mlp.fc2", "layers.{}.feed_forward.down"),
        Weight("encoder.layers.{}.norm2", "layers.{}.feed_forward_norm"),
        Weight("pooler.dense", "pooler.dense"),
    ),
    heads={
        "JinaEmbeddingsV3Model": Head("TriEmbedModel"),
        "JinaEmbeddingsV3ForMaskedLM": Head("TriEmbedForMaskedLM", PREDICTIONS, same("roberta")),
        "JinaEmbeddingsV3ForSequenceClassification": Head("TriEmbedForSequenceClassification", POOLED),
        "JinaEmbeddingsV3ForTokenClassification": Head("TriEmbedForTokenClassification", CLASSIFIER),
        "JinaEmbeddingsV3ForQuestionAnswering": Head("TriEmbedForQuestionAnswering", QUESTION),
    },
    optional=("pooler",),
)


def _rope(config: Config) -> Config:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": float(config.get("rotary_emb_base", 10_000.0))}}


# The config under which jina-embeddings-v3 was published; conversion/task_adapters.py has merged a task before.
JINA_V3_ADAPTERS = replace(
    JINA_V3,
    model_type="xlm-roberta",
    name="jina_v3_adapters",
    marks={"position_embedding_type": ("rotary",)},
    config=(
        *(rule for rule in JINA_V3.config if "rope_parameters" not in rule.targets),
        Choice(("rotary_emb_base",), ("rope_parameters",), _rope, lambda config: {}),
        Only("position_embedding_type", ("rotary",)),
        Unread((
            "lora_adaptations", "lora_alpha", "lora_dropout_p", "lora_main_params_trainable", "lora_rank",
            "load_trained_adapters", "task_instructions", "matryoshka_dimensions", "truncate_dim", "emb_pooler",
            "use_flash_attn", "use_reentrant", "model_max_length",
        )),
    ),
    today_as=JINA_V3,
)  # fmt: skip
