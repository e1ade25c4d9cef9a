"""RoBERTa (https://arxiv.org/abs/1907.11692) and the two families that differ from it in name and vocabulary only."""

from hf_embeddings.conversion.families.bert import CLASSIFIER, LAYER, QUESTION
from hf_embeddings.conversion.family import Family, Head
from hf_embeddings.conversion.rules import Choice, Config, ConversionError, Fixed, Key, Only, Weight

PREDICTIONS = (
    Weight("lm_head.dense", "predictions.dense"),
    Weight("lm_head.layer_norm", "predictions.norm"),
    Weight("lm_head.decoder.weight", "predictions.decoder.weight"),
    Weight("lm_head.bias", "predictions.decoder.bias"),
)
# The classification head is a pooler and a classifier under other names.
POOLED = (Weight("classifier.dense", "triembed.pooler.dense"), Weight("classifier.out_proj", "classifier"))


def same(prefix: str) -> dict[str, str]:
    """Second names of an lm_head whose encoder stands under `prefix`."""
    return {
        "lm_head.decoder.weight": f"{prefix}.embeddings.word_embeddings.weight",
        "lm_head.decoder.bias": "lm_head.bias",
    }


def _offset(config: Config) -> Config:
    """Positions are numbered from the padding id on, so the table has that many rows, and one, before the first."""
    padding, rows = config.get("pad_token_id", 1), config.get("max_position_embeddings", 512)
    if not isinstance(padding, int) or not isinstance(rows, int) or rows <= padding + 1:
        raise ConversionError(
            f"config: max_position_embeddings {rows!r} with pad_token_id {padding!r}; expected more rows than "
            "pad_token_id + 1, where positions start"
        )
    return {
        "pad_token_id": padding,
        "max_position_embeddings": rows - padding - 1,
        "position_parameters": {"learned": {"offset": padding + 1}},
    }


def _rows(config: Config) -> Config:
    offset = ((config["position_parameters"] or {}).get("learned") or {}).get("offset", 0)
    if offset == 0 or offset != (config["pad_token_id"] or 0) + 1:
        raise ConversionError(
            f"position_parameters: learned.offset is {offset}, and this family can hold pad_token_id + 1 only "
            f"(pad_token_id is {config['pad_token_id']})"
        )
    return {
        "pad_token_id": config["pad_token_id"],
        "max_position_embeddings": config["max_position_embeddings"] + offset,
    }


OFFSET = Choice(
    ("pad_token_id", "max_position_embeddings"),
    ("pad_token_id", "max_position_embeddings", "position_parameters"),
    _offset,
    _rows,
)


def _roberta(model_type: str, classes: str, *, vocab_size: int, tokenizer_class: str) -> Family:
    return Family(
        model_type=model_type,
        prefix="roberta",
        tokenizer_class=tokenizer_class,
        config=(
            Key("vocab_size", vocab_size),
            Key("hidden_size", 768),
            Key("num_hidden_layers", 12),
            Key("num_attention_heads", 12),
            Key("intermediate_size", 3072),
            Key("hidden_act", "gelu"),
            Key("hidden_dropout_prob", 0.1),
            Key("attention_probs_dropout_prob", 0.1),
            Key("type_vocab_size", 2),
            Key("initializer_range", 0.02),
            Key("layer_norm_eps", 1e-12),
            Key("bos_token_id", 0),
            Key("eos_token_id", 2),
            Key("classifier_dropout", None),
            Key("tie_word_embeddings", True),
            Fixed("prediction_act", "gelu"),
            OFFSET,
            Only("is_decoder", (False,)),
            Only("add_cross_attention", (False,)),
            Only("pruned_heads", ({},)),
            Only("position_embedding_type", ("absolute",)),
        ),
        encoder=(
            Weight("embeddings.word_embeddings", "embeddings.token"),
            Weight("embeddings.position_embeddings", "embeddings.position.learned.table"),
            Weight("embeddings.token_type_embeddings", "embeddings.segment"),
            Weight("embeddings.LayerNorm", "embeddings.norm"),
            *LAYER,
            Weight("pooler.dense", "pooler.dense"),
        ),
        heads={
            f"{classes}Model": Head("TriEmbedModel"),
            f"{classes}ForMaskedLM": Head("TriEmbedForMaskedLM", PREDICTIONS, same("roberta")),
            f"{classes}ForSequenceClassification": Head("TriEmbedForSequenceClassification", POOLED),
            f"{classes}ForTokenClassification": Head("TriEmbedForTokenClassification", CLASSIFIER),
            f"{classes}ForQuestionAnswering": Head("TriEmbedForQuestionAnswering", QUESTION),
            f"{classes}ForMultipleChoice": Head("TriEmbedForMultipleChoice", CLASSIFIER),
        },
        unread=("embeddings.position_ids", "embeddings.token_type_ids"),
        optional=("pooler",),
        typical={"max_position_embeddings": (514, 1026, 4098, 8194), "type_vocab_size": (1,)},
    )


ROBERTA = _roberta("roberta", "Roberta", vocab_size=50265, tokenizer_class="RobertaTokenizer")
XLM_ROBERTA = _roberta("xlm-roberta", "XLMRoberta", vocab_size=30522, tokenizer_class="XLMRobertaTokenizer")
CAMEMBERT = _roberta("camembert", "Camembert", vocab_size=30522, tokenizer_class="CamembertTokenizer")
