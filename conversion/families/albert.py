"""ALBERT (https://arxiv.org/abs/1909.11942): one layer, run many times; here each run has a layer of its own.

The outputs are the same, and the file grows by the number of layers. The way back needs layers that are equal still.
"""

from hf_embeddings.conversion.families.bert import CLASSIFIER, EMBEDDINGS, QUESTION
from hf_embeddings.conversion.families.electra import factorised
from hf_embeddings.conversion.family import Family, Head
from hf_embeddings.conversion.rules import SHARED, Key, Only, Unread, Weight

LAYER = "encoder.albert_layer_groups.0.albert_layers.0"
PREDICTIONS = (
    Weight("predictions.dense", "predictions.dense"),
    Weight("predictions.LayerNorm", "predictions.norm"),
    Weight("predictions.decoder.weight", "predictions.decoder.weight"),
    Weight("predictions.bias", "predictions.decoder.bias"),
)
SAME = {
    "predictions.decoder.weight": "albert.embeddings.word_embeddings.weight",
    "predictions.decoder.bias": "predictions.bias",
}

ALBERT = Family(
    model_type="albert",
    prefix="albert",
    tokenizer_class="AlbertTokenizer",
    config=(
        Key("vocab_size", 30000),
        Key("hidden_size", 4096),
        factorised(128),
        Key("num_hidden_layers", 12),
        Key("num_attention_heads", 64),
        Key("intermediate_size", 16384),
        Key("hidden_act", "gelu_new"),
        Key("hidden_dropout_prob", 0.0),
        Key("attention_probs_dropout_prob", 0.0),
        Key("max_position_embeddings", 512),
        Key("type_vocab_size", 2),
        Key("initializer_range", 0.02),
        Key("layer_norm_eps", 1e-12),
        Key("pad_token_id", 0),
        Key("bos_token_id", 2),
        Key("eos_token_id", 3),
        Key("classifier_dropout_prob", 0.1, "classifier_dropout"),
        Key("tie_word_embeddings", True),
        Only("num_hidden_groups", (1,)),
        Only("inner_group_num", (1,)),
        Only("position_embedding_type", ("absolute",)),
        Unread(("net_structure_type", "gap_size", "num_memory_blocks", "down_scale_factor")),
    ),
    encoder=(
        *EMBEDDINGS,
        Weight("encoder.embedding_hidden_mapping_in", "embeddings.projection"),
        Weight(f"{LAYER}.attention.query", "layers.{}.attention.query", SHARED),
        Weight(f"{LAYER}.attention.key", "layers.{}.attention.key", SHARED),
        Weight(f"{LAYER}.attention.value", "layers.{}.attention.value", SHARED),
        Weight(f"{LAYER}.attention.dense", "layers.{}.attention.out", SHARED),
        Weight(f"{LAYER}.attention.LayerNorm", "layers.{}.attention_norm", SHARED),
        Weight(f"{LAYER}.ffn", "layers.{}.feed_forward.up", SHARED),
        Weight(f"{LAYER}.ffn_output", "layers.{}.feed_forward.down", SHARED),
        Weight(f"{LAYER}.full_layer_layer_norm", "layers.{}.feed_forward_norm", SHARED),
        Weight("pooler", "pooler.dense"),
    ),
    heads={
        "AlbertModel": Head("TriEmbedModel"),
        "AlbertForPreTraining": Head(
            "TriEmbedForPreTraining", (*PREDICTIONS, Weight("sop_classifier.classifier", "seq_relationship")), SAME
        ),
        "AlbertForMaskedLM": Head("TriEmbedForMaskedLM", PREDICTIONS, SAME),
        "AlbertForSequenceClassification": Head("TriEmbedForSequenceClassification", CLASSIFIER),
        "AlbertForTokenClassification": Head("TriEmbedForTokenClassification", CLASSIFIER),
        "AlbertForQuestionAnswering": Head("TriEmbedForQuestionAnswering", QUESTION),
        "AlbertForMultipleChoice": Head("TriEmbedForMultipleChoice", CLASSIFIER),
    },
    optional=("pooler",),
)
