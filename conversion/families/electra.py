"""ELECTRA (https://arxiv.org/abs/2003.10555): BERT with factorised tables; generators and discriminators."""

from hf_embeddings.conversion.families.bert import CLASSIFIER, EMBEDDINGS, LAYER, QUESTION
from hf_embeddings.conversion.families.roberta import POOLED
from hf_embeddings.conversion.family import Family, Head
from hf_embeddings.conversion.rules import Choice, Config, Fixed, Key, Only, Unread, Weight


def factorised(default_width: int | None) -> Choice:
    """Tables of `embedding_size`, which TriEmbed leaves out where it is `hidden_size`."""

    def forward(config: Config) -> Config:
        hidden = config.get("hidden_size")
        width = config.get("embedding_size", default_width)
        return {"embedding_size": None if width in (None, hidden) else width}

    def backward(config: Config) -> Config:
        return {"embedding_size": config["embedding_size"] or config["hidden_size"]}

    return Choice(("embedding_size",), ("embedding_size",), forward, backward)


ELECTRA = Family(
    model_type="electra",
    prefix="electra",
    tokenizer_class="ElectraTokenizer",
    config=(
        Key("vocab_size", 30522),
        Key("hidden_size", 256),
        factorised(128),
        Key("num_hidden_layers", 12),
        Key("num_attention_heads", 4),
        Key("intermediate_size", 1024),
        Key("hidden_act", "gelu"),
        Key("hidden_dropout_prob", 0.1),
        Key("attention_probs_dropout_prob", 0.1),
        Key("max_position_embeddings", 512),
        Key("type_vocab_size", 2),
        Key("initializer_range", 0.02),
        Key("layer_norm_eps", 1e-12),
        Key("pad_token_id", 0),
        Key("bos_token_id", None),
        Key("eos_token_id", None),
        Key("classifier_dropout", None),
        Key("tie_word_embeddings", True),
        Fixed("prediction_act", "gelu"),
        Only("is_decoder", (False,)),
        Only("add_cross_attention", (False,)),
        Only("pruned_heads", ({},)),
        Only("position_embedding_type", ("absolute",)),
        Unread(("summary_type", "summary_use_proj", "summary_activation", "summary_last_dropout")),
    ),
    encoder=(*EMBEDDINGS, Weight("embeddings_project", "embeddings.projection"), *LAYER),
    heads={
        "ElectraModel": Head("TriEmbedModel"),
        "ElectraForMaskedLM": Head(
            "TriEmbedForMaskedLM",
            (
                Weight("generator_predictions.dense", "predictions.dense"),
                Weight("generator_predictions.LayerNorm", "predictions.norm"),
                Weight("generator_lm_head", "predictions.decoder"),
            ),
            {"generator_lm_head.weight": "electra.embeddings.word_embeddings.weight"},
        ),
        # The discriminator is a token classifier with one label: was this token replaced?
        "ElectraForPreTraining": Head(
            "TriEmbedForTokenClassification",
            (
                Weight("discriminator_predictions.dense_prediction", "classifier"),
                Weight("discriminator_predictions.dense", "transform.dense"),
            ),
            config=(
                Fixed("id2label", {0: "REPLACED"}),
                Fixed("token_transform", True),
                Choice(
                    ("hidden_act",),
                    ("hidden_act", "pooler_act"),
                    lambda config: dict.fromkeys(("hidden_act", "pooler_act"), config.get("hidden_act", "gelu")),
                    lambda config: {"hidden_act": config["hidden_act"]},
                ),
            ),
        ),
        "ElectraForSequenceClassification": Head(
            "TriEmbedForSequenceClassification", POOLED, config=(Fixed("pooler_act", "gelu"),)
        ),
        "ElectraForTokenClassification": Head("TriEmbedForTokenClassification", CLASSIFIER),
        "ElectraForQuestionAnswering": Head("TriEmbedForQuestionAnswering", QUESTION),
        "ElectraForMultipleChoice": Head(
            "TriEmbedForMultipleChoice",
            (Weight("sequence_summary.summary", "triembed.pooler.dense"), *CLASSIFIER),
            config=(
                Fixed("pooler_act", "gelu"),
                Key("summary_last_dropout", 0.1, "classifier_dropout"),
                Only("summary_type", ("first",)),
                Only("summary_use_proj", (True,)),
                Only("summary_activation", ("gelu",)),
            ),
        ),
    },
    unread=("embeddings.position_ids", "embeddings.token_type_ids"),
)
