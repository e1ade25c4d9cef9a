"""MPNet (https://arxiv.org/abs/2004.09297): learned positions and a relative bias at once."""

from hf_embeddings.conversion.families.bert import CLASSIFIER, QUESTION
from hf_embeddings.conversion.families.roberta import OFFSET, POOLED, PREDICTIONS, same
from hf_embeddings.conversion.family import Family, Head
from hf_embeddings.conversion.rules import Fixed, Key, Only, Weight

MPNET = Family(
    model_type="mpnet",
    prefix="mpnet",
    tokenizer_class="MPNetTokenizer",
    config=(
        Key("vocab_size", 30527),
        Key("hidden_size", 768),
        Key("num_hidden_layers", 12),
        Key("num_attention_heads", 12),
        Key("intermediate_size", 3072),
        Key("hidden_act", "gelu"),
        Key("hidden_dropout_prob", 0.1),
        Key("attention_probs_dropout_prob", 0.1),
        Key("initializer_range", 0.02),
        Key("layer_norm_eps", 1e-12),
        Key("bos_token_id", 0),
        Key("eos_token_id", 2),
        Key("tie_word_embeddings", True),
        OFFSET,
        Fixed("position_embedding_type", "learned+relative_bias"),
        Fixed("type_vocab_size", 0),
        Fixed("prediction_act", "gelu"),
        # Its code counts padding from id 1 and distances in 32 buckets up to 128, whatever the config says.
        Only("pad_token_id", (1,)),
        Only("relative_attention_num_buckets", (32,)),
        Fixed("relative_attention_num_buckets", 32),
        Fixed("relative_attention_max_distance", 128),
    ),
    encoder=(
        Weight("embeddings.word_embeddings", "embeddings.token"),
        Weight("embeddings.position_embeddings", "embeddings.position.learned.table"),
        Weight("embeddings.LayerNorm", "embeddings.norm"),
        Weight("encoder.relative_attention_bias", "embeddings.position.relative_bias.table"),
        Weight("encoder.layer.{}.attention.attn.q", "layers.{}.attention.query"),
        Weight("encoder.layer.{}.attention.attn.k", "layers.{}.attention.key"),
        Weight("encoder.layer.{}.attention.attn.v", "layers.{}.attention.value"),
        Weight("encoder.layer.{}.attention.attn.o", "layers.{}.attention.out"),
        Weight("encoder.layer.{}.attention.LayerNorm", "layers.{}.attention_norm"),
        Weight("encoder.layer.{}.intermediate.dense", "layers.{}.feed_forward.up"),
        Weight("encoder.layer.{}.output.dense", "layers.{}.feed_forward.down"),
        Weight("encoder.layer.{}.output.LayerNorm", "layers.{}.feed_forward_norm"),
        Weight("pooler.dense", "pooler.dense"),
    ),
    heads={
        "MPNetModel": Head("TriEmbedModel"),
        "MPNetForMaskedLM": Head("TriEmbedForMaskedLM", PREDICTIONS, same("mpnet")),
        "MPNetForSequenceClassification": Head("TriEmbedForSequenceClassification", POOLED),
        "MPNetForTokenClassification": Head("TriEmbedForTokenClassification", CLASSIFIER),
        "MPNetForQuestionAnswering": Head("TriEmbedForQuestionAnswering", QUESTION),
        "MPNetForMultipleChoice": Head("TriEmbedForMultipleChoice", CLASSIFIER),
    },
    unread=("embeddings.position_ids",),
    optional=("pooler",),
)
