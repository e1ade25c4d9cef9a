"""DistilBERT (https://arxiv.org/abs/1910.01108): BERT without segments and without a pooler."""

from hf_embeddings.conversion.families.bert import CLASSIFIER, QUESTION
from hf_embeddings.conversion.family import Family, Head
from hf_embeddings.conversion.rules import Fixed, Key, Only, Unread, Weight

POOLED = (Weight("pre_classifier", "triembed.pooler.dense"), Weight("classifier", "classifier"))
POOLED_CONFIG = (Fixed("pooler_act", "relu"), Key("seq_classif_dropout", 0.2, "classifier_dropout"))

DISTILBERT = Family(
    model_type="distilbert",
    prefix="distilbert",
    tokenizer_class="DistilBertTokenizer",
    config=(
        Key("vocab_size", 30522),
        Key("dim", 768, "hidden_size"),
        Key("n_layers", 6, "num_hidden_layers"),
        Key("n_heads", 12, "num_attention_heads"),
        Key("hidden_dim", 3072, "intermediate_size"),
        Key("activation", "gelu", "hidden_act"),
        Key("dropout", 0.1, "hidden_dropout_prob"),
        Key("attention_dropout", 0.1, "attention_probs_dropout_prob"),
        Key("max_position_embeddings", 512),
        Key("initializer_range", 0.02),
        Key("pad_token_id", 0),
        Key("bos_token_id", None),
        Key("eos_token_id", None),
        Key("tie_word_embeddings", True),
        Fixed("type_vocab_size", 0),
        Fixed("layer_norm_eps", 1e-12),
        Only("pruned_heads", ({},)),
        Unread(("sinusoidal_pos_embds", "qa_dropout", "seq_classif_dropout")),  # sinusoids are where training began
    ),
    encoder=(
        Weight("embeddings.word_embeddings", "embeddings.token"),
        Weight("embeddings.position_embeddings", "embeddings.position.learned.table"),
        Weight("embeddings.LayerNorm", "embeddings.norm"),
        Weight("transformer.layer.{}.attention.q_lin", "layers.{}.attention.query"),
        Weight("transformer.layer.{}.attention.k_lin", "layers.{}.attention.key"),
        Weight("transformer.layer.{}.attention.v_lin", "layers.{}.attention.value"),
        Weight("transformer.layer.{}.attention.out_lin", "layers.{}.attention.out"),
        Weight("transformer.layer.{}.sa_layer_norm", "layers.{}.attention_norm"),
        Weight("transformer.layer.{}.ffn.lin1", "layers.{}.feed_forward.up"),
        Weight("transformer.layer.{}.ffn.lin2", "layers.{}.feed_forward.down"),
        Weight("transformer.layer.{}.output_layer_norm", "layers.{}.feed_forward_norm"),
    ),
    heads={
        "DistilBertModel": Head("TriEmbedModel"),
        "DistilBertForMaskedLM": Head(
            "TriEmbedForMaskedLM",
            (
                Weight("vocab_transform", "predictions.dense"),
                Weight("vocab_layer_norm", "predictions.norm"),
                Weight("vocab_projector", "predictions.decoder"),
            ),
            {"vocab_projector.weight": "distilbert.embeddings.word_embeddings.weight"},
        ),
        "DistilBertForSequenceClassification": Head("TriEmbedForSequenceClassification", POOLED, config=POOLED_CONFIG),
        "DistilBertForTokenClassification": Head("TriEmbedForTokenClassification", CLASSIFIER),
        "DistilBertForQuestionAnswering": Head(
            "TriEmbedForQuestionAnswering", QUESTION, config=(Key("qa_dropout", 0.1, "classifier_dropout"),)
        ),
        "DistilBertForMultipleChoice": Head("TriEmbedForMultipleChoice", POOLED, config=POOLED_CONFIG),
    },
    unread=("embeddings.position_ids",),
)
