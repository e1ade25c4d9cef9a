"""Write docs/reference/encoders.md: `python -m docs.generator.encoders`. A test holds the page equal to what is tried.

Each row is a published encoder: the names and shapes of its weights, the keys of its config.json, and what a conversion
of a small twin with random weights gives. Nothing is downloaded.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from docs.generator import layouts as of
from docs.generator.layouts import SIZES, under, write_twin
from hf_embeddings.conversion import ConversionError, convert

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "encoders.md"
NOTE = "<!-- Written by `python -m docs.generator.encoders` from trials. Change the code, then rerun it. -->"
TOLERANCE = 1e-5
Config = dict[str, object]

PLAIN: Config = {
    "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 32,
    "initializer_range": 0.02, "intermediate_size": 64, "max_position_embeddings": 40, "num_attention_heads": 4,
    "num_hidden_layers": of.LAYERS, "type_vocab_size": 2, "vocab_size": SIZES["V"],
}  # fmt: skip
BERT = PLAIN | {"layer_norm_eps": 1e-12, "model_type": "bert", "pad_token_id": 0, "gradient_checkpointing": False,
                "position_embedding_type": "absolute", "transformers_version": "4.8.2", "use_cache": True}  # fmt: skip
POOLER_KEYS = {"directionality": "bidi", "pooler_fc_size": 768, "pooler_num_attention_heads": 12,
               "pooler_num_fc_layers": 3, "pooler_size_per_head": 128, "pooler_type": "first_token_transform",
               }  # fmt: skip
ROBERTA = PLAIN | {"layer_norm_eps": 1e-5, "model_type": "roberta", "pad_token_id": 1, "bos_token_id": 0,
                   "eos_token_id": 2, "max_position_embeddings": 42, "type_vocab_size": 1}  # fmt: skip
XLM_R = ROBERTA | {"model_type": "xlm-roberta", "output_past": True}
LABELS: Config = {"id2label": {0: "A", 1: "B", 2: "C"}, "label2id": {"A": 0, "B": 1, "C": 2}}
SCORE: Config = {"id2label": {0: "LABEL_0"}, "label2id": {"LABEL_0": 0}}
MPNET = {key: value for key, value in ROBERTA.items() if key != "type_vocab_size"}
MPNET |= {"model_type": "mpnet", "relative_attention_num_buckets": 32}
DISTILBERT: Config = {
    "activation": "gelu", "attention_dropout": 0.1, "dim": 32, "dropout": 0.1, "hidden_dim": 64,
    "initializer_range": 0.02, "max_position_embeddings": 40, "model_type": "distilbert", "n_heads": 4,
    "n_layers": of.LAYERS, "pad_token_id": 0, "qa_dropout": 0.1, "seq_classif_dropout": 0.2,
    "sinusoidal_pos_embds": False, "tie_weights_": True, "vocab_size": SIZES["V"],
}  # fmt: skip
DEBERTA_V3 = PLAIN | {
    "model_type": "deberta-v2", "relative_attention": True, "position_buckets": 8, "norm_rel_ebd": "layer_norm",
    "share_att_key": True, "pos_att_type": "p2c|c2p", "layer_norm_eps": 1e-7, "max_relative_positions": -1,
    "position_biased_input": False, "type_vocab_size": 0,
}  # fmt: skip
DEBERTA = PLAIN | {
    "model_type": "deberta", "relative_attention": True, "pos_att_type": "c2p|p2c", "layer_norm_eps": 1e-7,
    "max_relative_positions": -1, "position_biased_input": False, "type_vocab_size": 0, "padding_idx": 0,
    "pooler_dropout": 0, "pooler_hidden_act": "gelu", "pooler_hidden_size": 32,
}  # fmt: skip
MODERNBERT: Config = {
    "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 2, "classifier_activation": "gelu",
    "classifier_bias": False, "classifier_dropout": 0.0, "classifier_pooling": "mean", "cls_token_id": 1,
    "decoder_bias": True, "deterministic_flash_attn": False, "embedding_dropout": 0.0, "eos_token_id": 1,
    "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "gradient_checkpointing": False,
    "hidden_activation": "gelu", "hidden_size": 32, "initializer_cutoff_factor": 2.0, "initializer_range": 0.02,
    "intermediate_size": 64, "layer_norm_eps": 1e-05, "local_attention": 6, "local_rope_theta": 10000.0,
    "max_position_embeddings": 40, "mlp_bias": False, "mlp_dropout": 0.0, "model_type": "modernbert",
    "norm_bias": False, "norm_eps": 1e-05, "num_attention_heads": 4, "num_hidden_layers": of.LAYERS, "pad_token_id": 0,
    "position_embedding_type": "absolute", "sep_token_id": 1, "reference_compile": None, "vocab_size": SIZES["V"],
}  # fmt: skip
NOMIC: Config = {
    "activation_function": "swiglu", "architectures": ["NomicBertModel"], "attn_pdrop": 0.0, "causal": False,
    "dense_seq_output": True, "embd_pdrop": 0.0, "fused_bias_fc": True, "fused_dropout_add_ln": True,
    "initializer_range": 0.02, "layer_norm_epsilon": 1e-12, "mlp_fc1_bias": False, "mlp_fc2_bias": False,
    "model_type": "nomic_bert", "n_embd": 32, "n_head": 4, "n_inner": 64, "n_layer": of.LAYERS, "n_positions": 40,
    "parallel_block": False, "prenorm": False, "qkv_proj_bias": False, "rotary_emb_base": 1000,
    "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False, "rotary_emb_scale_base": None,
    "rotary_scaling_factor": None, "type_vocab_size": 2, "use_flash_attn": True, "use_rms_norm": False,
    "vocab_size": SIZES["V"], "auto_map": {"AutoModel": "nomic-ai/nomic-bert-2048--modeling.NomicBertModel"},
}  # fmt: skip
NEW = PLAIN | {
    "auto_map": {"AutoModel": "Alibaba-NLP/new-impl--modeling.NewModel"}, "classifier_dropout": None,
    "layer_norm_eps": 1e-12, "layer_norm_type": "layer_norm", "logn_attention_clip1": False,
    "logn_attention_scale": False, "model_type": "new", "pack_qkv": True, "pad_token_id": 0,
    "position_embedding_type": "rope", "rope_scaling": {"factor": 2.0, "type": "ntk"}, "rope_theta": 500000,
    "type_vocab_size": 0, "unpad_inputs": False, "use_memory_efficient_attention": False,
}  # fmt: skip
JINA_V2 = PLAIN | {
    "architectures": ["JinaBertForMaskedLM"], "attn_implementation": None, "emb_pooler": "mean",
    "auto_map": {"AutoModel": "jinaai/jina-bert-implementation--modeling_bert.JinaBertModel"},
    "feed_forward_type": "geglu", "layer_norm_eps": 1e-12, "model_max_length": 8192, "model_type": "bert",
    "pad_token_id": 0, "position_embedding_type": "alibi",
}  # fmt: skip
JINA_V3 = ROBERTA | {"model_type": "jina_embeddings_v3", "architectures": ["JinaEmbeddingsV3Model"],
                     "max_position_embeddings": 40, "rope_parameters": {"rope_theta": 20000.0, "rope_type": "default"},
                     }  # fmt: skip
JINA_V3_ADAPTERS = ROBERTA | {
    "model_type": "xlm-roberta", "architectures": ["XLMRobertaModel"], "max_position_embeddings": 40,
    "auto_map": {"AutoModel": "jinaai/xlm-roberta-flash-implementation--modeling_lora.XLMRobertaLoRA"},
    "emb_pooler": None, "load_trained_adapters": True, "lora_adaptations": ["retrieval.query", "text-matching"],
    "lora_alpha": 1, "lora_dropout_p": 0.0, "lora_main_params_trainable": False, "lora_rank": 4,
    "matryoshka_dimensions": [32], "position_embedding_type": "rotary", "rotary_emb_base": 20000.0,
    "task_instructions": {"retrieval.query": "", "text-matching": ""}, "truncate_dim": None, "use_flash_attn": True,
}  # fmt: skip
ALBERT = PLAIN | {
    "model_type": "albert", "classifier_dropout_prob": 0.1, "embedding_size": 16, "hidden_act": "gelu_new",
    "down_scale_factor": 1, "gap_size": 0, "inner_group_num": 1, "layer_norm_eps": 1e-12, "net_structure_type": 0,
    "num_hidden_groups": 1, "num_memory_blocks": 0, "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0,
}  # fmt: skip
EUROBERT: Config = {
    "architectures": ["EuroBertForMaskedLM"], "attention_bias": False, "attention_dropout": 0.0,
    "auto_map": {"AutoModel": "modeling_eurobert.EuroBertModel"}, "bos_token": "<|begin_of_text|>", "bos_token_id": 1,
    "clf_pooling": "late", "eos_token": "<|end_of_text|>", "eos_token_id": 2, "head_dim": 8, "hidden_act": "silu",
    "hidden_dropout": 0.0, "hidden_size": 32, "initializer_range": 0.02, "intermediate_size": 64, "mask_token_id": 3,
    "max_position_embeddings": 40, "mlp_bias": False, "model_type": "eurobert", "num_attention_heads": 4,
    "num_hidden_layers": of.LAYERS, "num_key_value_heads": 4, "pad_token_id": 2, "pretraining_tp": 1,
    "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 250000, "tie_word_embeddings": False, "use_cache": False,
    "vocab_size": SIZES["V"],
}  # fmt: skip

TASK = under("bert.", of.BERT)
PRETRAINED = TASK + under("bert.", of.POOLER) + of.MLM + of.NSP
ROBERTA_TASK = under("roberta.", of.ROBERTA)
ROBERTA_MLM = ROBERTA_TASK + under("roberta.", of.POOLER) + of.LM_HEAD
ROBERTA_CLASSIFIER = ROBERTA_TASK + "classifier.dense D,D+\nclassifier.out_proj L,D+\n"
TWICE = "!lm_head.decoder.weight =roberta.embeddings.word_embeddings.weight\n!lm_head.decoder.bias =lm_head.bias\n"
RERANKER = ROBERTA_CLASSIFIER.replace(" L,D+", " 1,D+")


def named(config: Config, *classes: str, **changes: object) -> Config:
    """Return a config that declares classes, with changes."""
    return config | changes | ({"architectures": list(classes)} if classes else {})


BERTS = named(BERT, "BertModel")
XLM_RS = named(XLM_R, "XLMRobertaModel")


@dataclass(frozen=True)
class Encoder:
    """Published encoders with one layout and one config, up to sizes and labels."""

    ids: str  # of the Hub, separated by spaces
    layout: str
    config: Config
    options: Config = field(default_factory=dict)  # of `convert`, where it needs any
    reason: str = ""  # why it is refused


ENCODERS = (
    Encoder("google-bert/bert-base-uncased google-bert/bert-base-cased google-bert/bert-large-uncased",
            PRETRAINED, named(BERT, "BertForMaskedLM")),
    Encoder("google-bert/bert-base-chinese google-bert/bert-base-multilingual-cased hfl/chinese-macbert-base "
            "hfl/chinese-roberta-wwm-ext hfl/chinese-bert-wwm-ext",
            PRETRAINED, named(BERT, "BertForMaskedLM", **POOLER_KEYS)),
    Encoder("prajjwal1/bert-tiny allenai/scibert_scivocab_uncased", PRETRAINED, PLAIN),
    Encoder("emilyalsentzer/Bio_ClinicalBERT", PRETRAINED, PLAIN | {"model_type": "bert", "layer_norm_eps": 1e-12}),
    Encoder("huawei-noah/TinyBERT_General_4L_312D", PRETRAINED + "fit_denses.0 16,D+\nfit_denses.1 16,D+\n",
            PLAIN | {"cell": {}, "structure": [], "pre_trained": "", "training": "", "emb_size": 312},
            {"drop": ("fit_denses.*",)}),
    Encoder("sentence-transformers/all-MiniLM-L6-v2 sentence-transformers/all-MiniLM-L12-v2 "
            "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2 BAAI/bge-small-en-v1.5 BAAI/bge-base-en-v1.5 "
            "BAAI/bge-large-en-v1.5 BAAI/bge-large-zh-v1.5 intfloat/e5-base-v2 intfloat/multilingual-e5-small "
            "thenlper/gte-base Snowflake/snowflake-arctic-embed-m mixedbread-ai/mxbai-embed-large-v1 "
            "sentence-transformers/LaBSE shibing624/text2vec-base-chinese allenai/specter", of.BERT + of.POOLER, BERTS),
    Encoder("cross-encoder/ms-marco-MiniLM-L6-v2", TASK + under("bert.", of.POOLER) + "classifier 1,D+\n",
            named(BERT, "BertForSequenceClassification", **SCORE,
                  sbert_ce_default_activation_function="torch.nn.modules.linear.Identity")),
    Encoder("ProsusAI/finbert nlptown/bert-base-multilingual-uncased-sentiment",
            TASK + under("bert.", of.POOLER) + "classifier L,D+\n",
            named(BERT, "BertForSequenceClassification", **LABELS, _num_labels=3, finetuning_task="sentiment")),
    Encoder("dslim/bert-base-NER", TASK + under("bert.", of.POOLER) + "classifier L,D+\n",
            named(BERT, "BertForTokenClassification", **LABELS, _num_labels=9)),
    Encoder("google-bert/bert-large-uncased-whole-word-masking-finetuned-squad",
            TASK + under("bert.", of.POOLER) + "qa_outputs 2,D+\n", named(BERT, "BertForQuestionAnswering")),
    Encoder("colbert-ir/colbertv2.0", TASK + under("bert.", of.POOLER) + "linear 16,D\n",
            named(BERT, "HF_ColBERT"), {"drop": ("linear.*",)}),
    Encoder("nghuyong/ernie-3.0-base-zh",
            under("ernie.", of.BERT + "embeddings.task_type_embeddings 3,D\n" + of.POOLER) + of.MLM,
            named(BERT, "ErnieForMaskedLM", model_type="ernie", use_task_id=True, task_type_vocab_size=3)),
    Encoder("FacebookAI/roberta-base FacebookAI/roberta-large distilbert/distilroberta-base", ROBERTA_MLM,
            named(ROBERTA, "RobertaForMaskedLM")),
    Encoder("FacebookAI/roberta-large-mnli cardiffnlp/twitter-roberta-base-sentiment-latest",
            ROBERTA_CLASSIFIER + under("roberta.", of.POOLER),
            named(ROBERTA, "RobertaForSequenceClassification", **LABELS, _num_labels=3)),
    Encoder("microsoft/codebert-base microsoft/unixcoder-base sentence-transformers/all-distilroberta-v1",
            of.ROBERTA + of.POOLER, named(ROBERTA, "RobertaModel")),
    Encoder("vinai/phobert-base-v2", ROBERTA_MLM + TWICE,
            named(ROBERTA, "RobertaForMaskedLM", tokenizer_class="PhobertTokenizer")),
    Encoder("FacebookAI/xlm-roberta-base FacebookAI/xlm-roberta-large", ROBERTA_MLM,
            named(XLM_R, "XLMRobertaForMaskedLM")),
    Encoder("BAAI/bge-m3 intfloat/multilingual-e5-base intfloat/multilingual-e5-large "
            "intfloat/multilingual-e5-large-instruct sentence-transformers/paraphrase-multilingual-mpnet-base-v2 "
            "Snowflake/snowflake-arctic-embed-l-v2.0", of.ROBERTA + of.POOLER, XLM_RS),
    Encoder("BAAI/bge-reranker-v2-m3 BAAI/bge-reranker-base", RERANKER,
            named(XLM_R, "XLMRobertaForSequenceClassification", **SCORE)),
    Encoder("almanach/camembert-base", ROBERTA_MLM, named(ROBERTA, "CamembertForMaskedLM", model_type="camembert")),
    Encoder("facebook/xlm-roberta-xl", under("roberta.", of.XLM_R_XL + of.POOLER) + of.LM_HEAD,
            named(XLM_R, "XLMRobertaXLForMaskedLM", model_type="xlm-roberta-xl")),
    Encoder("microsoft/mpnet-base",
            under("mpnet.", of.MPNET + of.POOLER) + of.LM_HEAD + TWICE.replace("=roberta", "=mpnet"),
            named(MPNET, "MPNetForMaskedLM")),
    Encoder("sentence-transformers/all-mpnet-base-v2 sentence-transformers/multi-qa-mpnet-base-dot-v1",
            of.MPNET + of.POOLER, named(MPNET, "MPNetForMaskedLM")),
    Encoder("distilbert/distilbert-base-uncased distilbert/distilbert-base-multilingual-cased",
            under("distilbert.", of.DISTILBERT)
            + "vocab_transform D,D+\nvocab_layer_norm D+\n!vocab_projector.bias V\n"
            "!vocab_projector.weight =distilbert.embeddings.word_embeddings.weight\n",
            named(DISTILBERT, "DistilBertForMaskedLM")),
    Encoder("distilbert/distilbert-base-uncased-finetuned-sst-2-english",
            under("distilbert.", of.DISTILBERT) + "pre_classifier D,D+\nclassifier L,D+\n",
            named(DISTILBERT, "DistilBertForSequenceClassification", **LABELS, finetuning_task="sst-2")),
    Encoder("google/electra-base-discriminator google/electra-large-discriminator",
            under("electra.", of.BERT) + of.ELECTRA_HEAD,
            named(BERT, "ElectraForPreTraining", model_type="electra", embedding_size=32, summary_type="first",
                  summary_use_proj=True, summary_activation="gelu", summary_last_dropout=0.1)),
    Encoder("microsoft/deberta-v3-base microsoft/deberta-v3-large microsoft/mdeberta-v3-base",
            under("deberta.", of.DEBERTA_V3) + of.DEBERTA_V3_REST, DEBERTA_V3),
    Encoder("MoritzLaurer/DeBERTa-v3-base-mnli-fever-anli protectai/deberta-v3-base-prompt-injection-v2",
            under("deberta.", of.DEBERTA_V3) + of.POOLER + "classifier L,D+\n",
            named(DEBERTA_V3, "DebertaV2ForSequenceClassification", **LABELS, pooler_dropout=0,
                  pooler_hidden_act="gelu", pooler_hidden_size=32)),
    Encoder("microsoft/deberta-base", under("deberta.", of.DEBERTA) + of.DEBERTA_REST, DEBERTA),
    Encoder("answerdotai/ModernBERT-base answerdotai/ModernBERT-large jhu-clsp/mmBERT-base jhu-clsp/ettin-encoder-150m",
            under("model.", of.MODERNBERT) + "head.dense D,D\nhead.norm D\n!decoder.bias V\n",
            named(MODERNBERT, "ModernBertForMaskedLM", sparse_prediction=False, sparse_pred_ignore_index=-100,
                  repad_logits_with_grad=False)),
    Encoder("Alibaba-NLP/gte-modernbert-base nomic-ai/modernbert-embed-base", of.MODERNBERT,
            named(MODERNBERT, "ModernBertModel")),
    Encoder("nomic-ai/nomic-embed-text-v1.5 nomic-ai/nomic-embed-text-v1 Snowflake/snowflake-arctic-embed-m-long",
            of.NOMIC, NOMIC),
    Encoder("Alibaba-NLP/gte-base-en-v1.5 Alibaba-NLP/gte-large-en-v1.5", under("new.", of.NEW),
            named(NEW, "NewModel")),
    Encoder("Alibaba-NLP/gte-multilingual-base", under("new.", of.NEW + "embeddings.token_type_embeddings 1,D\n")
            + "classifier L,D+\n",
            named(NEW, "NewForTokenClassification", **LABELS, type_vocab_size=1,
                  rope_scaling={"factor": 8.0, "type": "ntk"}, rope_theta=20000)),
    Encoder("jinaai/jina-embeddings-v2-base-en jinaai/jina-embeddings-v2-small-en", of.JINA_V2, JINA_V2),
    Encoder("jinaai/jina-embeddings-v2-base-code jinaai/jina-embeddings-v2-base-de", of.JINA_V2_QK, JINA_V2,
            reason="it normalises query and key, and each layer has a third norm with a residual of its own: two "
            "switches in the model, for four checkpoints"),
    Encoder("jinaai/jina-embeddings-v3", under("roberta.", of.adapted(of.JINA_V3)), JINA_V3_ADAPTERS,
            {"task": "text-matching"}),
    Encoder("jinaai/jina-embeddings-v3-hf", under("roberta.", of.JINA_V3), JINA_V3),
    Encoder("albert/albert-base-v2", under("albert.", of.ALBERT) + of.ALBERT_MLM, named(ALBERT, "AlbertForMaskedLM")),
    Encoder("EuroBERT/EuroBERT-210m EuroBERT/EuroBERT-610m", under("model.", of.EUROBERT) + "lm_head V,D\n", EUROBERT,
            {"head": "EuroBertModel"}),
    Encoder("facebook/esm2_t6_8M_UR50D", under("esm.", of.BERT), named(PLAIN, "EsmForMaskedLM", model_type="esm"),
            reason="token dropout scales each input by the share of its masked tokens: the embeddings would have to "
            "know the mask token, the padding and the documents of a packed row"),
    Encoder("chandar-lab/NeoBERT", of.NEOBERT, named(PLAIN, "NeoBERTLMHead", model_type="neobert"),
            reason="transformers has no class for it; rotations of neighbours, RMS norms and a fused projection are "
            "there, and a reference of its own would have to be written to compare with"),
    Encoder("allenai/longformer-base-4096", ROBERTA_MLM,
            named(ROBERTA, "LongformerForMaskedLM", model_type="longformer"),
            reason="global attention has projections of its own"),
)  # fmt: skip


@lru_cache
def trial(encoder_index: int) -> tuple[str, str, str, str]:
    """Return family, position type, class and what was found of an encoder, as a conversion of its twin gives it."""
    encoder = ENCODERS[encoder_index]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_twin(folder / "source", encoder.layout, encoder.config)
        try:
            report = convert(folder / "source", folder / "ours", **encoder.options)  # type: ignore[arg-type]
        except ConversionError as error:
            assert encoder.reason, f"{encoder.ids}: {error}"
            return str(encoder.config.get("model_type")), "-", "refused", f"{encoder.reason}"
    assert not encoder.reason, f"{encoder.ids}: is converted now; remove its reason"
    difference = report.largest_difference
    assert difference is not None and difference <= TOLERANCE, f"{encoder.ids}: differs by {difference}"
    return (
        report.family,
        report.position_embedding_type,
        report.target_class,
        "; ".join(_found(encoder, report.left_out)),
    )


def _found(encoder: Encoder, left_out: tuple[str, ...]) -> Iterator[str]:
    for option, value in encoder.options.items():
        if option in ("drop", "head", "task"):
            yield f"`--{option} {value[0] if isinstance(value, tuple) else value}`"
    parts = sorted({name.rpartition(".")[0].removesuffix(".dense") for name in left_out})
    if parts:
        yield f"without {', '.join(f'`{part}`' for part in parts)}"


def page() -> str:
    """Return the page."""
    lines = [
        "# Published encoders",
        NOTE,
        "What `hf-embeddings convert` makes of widely used encoders. Each row was tried with a twin: names, shapes and "
        "config keys of the published checkpoint, written down here without downloading it, with small sizes and "
        f"random numbers. All outputs equal those of transformers within {TOLERANCE:g} in fp32.",
        "| encoder | family | positions | becomes | to know |\n|---|---|---|---|---|",
    ]
    rows = []
    for index, encoder in enumerate(ENCODERS):
        family, positions, made, found = trial(index)
        position = f"`{positions}`" if positions != "-" else "-"
        rows += [f"| `{name}` | `{family}` | {position} | {made} | {found} |" for name in encoder.ids.split()]
    return "\n\n".join(lines) + "\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
