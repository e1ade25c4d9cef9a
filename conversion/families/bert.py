"""BERT (https://arxiv.org/abs/1810.04805), as transformers stores it."""

from dataclasses import replace

from hf_embeddings.conversion import modeling_bert_layouts
from hf_embeddings.conversion.family import Family, Head, LayoutCode
from hf_embeddings.conversion.rules import Fixed, Key, Only, Unread, Weight

EMBEDDINGS = (
    Weight("embeddings.word_embeddings", "embeddings.token"),
    Weight("embeddings.position_embeddings", "embeddings.position.learned.table"),
    Weight("embeddings.token_type_embeddings", "embeddings.segment"),
    Weight("embeddings.LayerNorm", "embeddings.norm"),
)
LAYER = (
    Weight("encoder.layer.{}.attention.self.query", "layers.{}.attention.query"),
    Weight("encoder.layer.{}.attention.self.key", "layers.{}.attention.key"),
    Weight("encoder.layer.{}.attention.self.value", "layers.{}.attention.value"),
    Weight("encoder.layer.{}.attention.output.dense", "layers.{}.attention.out"),
    Weight("encoder.layer.{}.attention.output.LayerNorm", "layers.{}.attention_norm"),
    Weight("encoder.layer.{}.intermediate.dense", "layers.{}.feed_forward.up"),
    Weight("encoder.layer.{}.output.dense", "layers.{}.feed_forward.down"),
    Weight("encoder.layer.{}.output.LayerNorm", "layers.{}.feed_forward_norm"),
)
PREDICTIONS = (
    Weight("cls.predictions.transform.dense", "predictions.dense"),
    Weight("cls.predictions.transform.LayerNorm", "predictions.norm"),
    Weight("cls.predictions.decoder.weight", "predictions.decoder.weight"),
    Weight("cls.predictions.bias", "predictions.decoder.bias"),
)
SAME = {
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}
PAIRS = (Weight("cls.seq_relationship", "seq_relationship"),)
CLASSIFIER = (Weight("classifier", "classifier"),)
QUESTION = (Weight("qa_outputs", "qa_outputs"),)

POSITIONS = (Only("position_embedding_type", ("absolute",)),)

BERT = Family(
    model_type="bert",
    prefix="bert",
    tokenizer_class="BertTokenizer",
    config=(
        Key("vocab_size", 30522),
        Key("hidden_size", 768),
        Key("num_hidden_layers", 12),
        Key("num_attention_heads", 12),
        Key("intermediate_size", 3072),
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
        Only("is_decoder", (False,)),
        Only("add_cross_attention", (False,)),
        Only("pruned_heads", ({},)),
        *POSITIONS,
    ),
    encoder=(
        *EMBEDDINGS,
        *LAYER,
        Weight("pooler.dense", "pooler.dense"),
    ),
    heads={
        "BertModel": Head("TriEmbedModel"),
        "BertForPreTraining": Head("TriEmbedForPreTraining", PREDICTIONS + PAIRS, SAME),
        "BertForMaskedLM": Head("TriEmbedForMaskedLM", PREDICTIONS, SAME),
        "BertForNextSentencePrediction": Head("TriEmbedForNextSentencePrediction", PAIRS),
        "BertForSequenceClassification": Head("TriEmbedForSequenceClassification", CLASSIFIER),
        "BertForTokenClassification": Head("TriEmbedForTokenClassification", CLASSIFIER),
        "BertForQuestionAnswering": Head("TriEmbedForQuestionAnswering", QUESTION),
        "BertForMultipleChoice": Head("TriEmbedForMultipleChoice", CLASSIFIER),
    },
    unread=("embeddings.position_ids", "embeddings.token_type_ids"),
    optional=("pooler",),
)

RELATIVE_KEY_CODE = LayoutCode(
    modeling_bert_layouts,
    "RelativeKey",
    modeling_bert_layouts.HEADS,
    "transformers 4 runs this model as its own BERT. transformers 5 does not",
)
# transformers 5 has dropped these: its BERT would run such a checkpoint with random learned positions instead.
RELATIVE_KEY, RELATIVE_KEY_QUERY = (
    replace(
        BERT,
        name=f"bert_{kind}",
        marks={"position_embedding_type": (kind,)},
        written={"position_embedding_type": kind},
        config=(
            *(rule for rule in BERT.config if rule not in POSITIONS),
            Fixed("position_embedding_type", kind),
            Unread(("position_embedding_type",)),
        ),
        encoder=(
            *(rule for rule in BERT.encoder if "position" not in rule.sources[0]),
            Weight(
                "encoder.layer.{}.attention.self.distance_embedding", f"layers.{{}}.attention.position.{kind}.table"
            ),
        ),
        # transformers 4 stored a table of absolute positions here too, and never looked at it.
        unread=(*BERT.unread, "embeddings.position_embeddings.weight"),
        own_code=RELATIVE_KEY_CODE,
    )
    for kind in ("relative_key", "relative_key_query")
)
