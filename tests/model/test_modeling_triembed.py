"""Laws of the model: parity with BERT, agreement of the kernels, padding, order, ties, saving and loading."""

import subprocess
import sys

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForPreTraining, BertConfig, BertForPreTraining

import hf_embeddings
from hf_embeddings import POSITION_TYPES, TriEmbedConfig, TriEmbedForPreTraining, TriEmbedModel
from hf_embeddings.model.configuration_triembed import AUTO_MAP

TYPES = [*POSITION_TYPES, "learned+relative_bias", "rope+alibi", "learned+relative_key+alibi", "tupe+cosine_bias"]
SIZES = dict(
    vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
    max_position_embeddings=40,
)  # fmt: skip


def make(position: str = "learned", cls: type = TriEmbedForPreTraining, **changes):
    torch.manual_seed(0)
    config = TriEmbedConfig(**SIZES | {"position_embedding_type": position} | changes)
    model = cls(config).eval()
    with torch.no_grad():  # large enough weights that every part of the model shows in the output
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randint(1, 99, (3, 12)), torch.tensor([[1] * 12, [1] * 7 + [0] * 5, [0] * 4 + [1] * 8])


MODERN = {"norm_position": "pre", "feed_forward_type": "gated", "norm_bias": False}


CASES = [*((name, {}) for name in TYPES), ("learned", MODERN), ("rope", MODERN)]
COMPILED = ("learned", "alibi", "disentangled")  # one without a bias, one with, one whose bias reads query and key
FLEX = [  # compiled for each, which takes seconds
    pytest.param("flex_attention", *case, marks=() if case[0] in COMPILED and not case[1] else pytest.mark.slow)
    for case in CASES
]


@pytest.mark.parametrize("kernel, position, extra", [*(("sdpa", *case) for case in CASES), *FLEX])
def test_kernels_agree_with_padding_on_either_side(kernel: str, position: str, extra: dict) -> None:
    model = make(position, **extra)
    ids, mask = batch()
    outputs = []
    for name in ("eager", kernel):
        model.set_attn_implementation(name)
        with torch.no_grad():
            outputs.append(model(ids, attention_mask=mask).prediction_logits[mask.bool()])
    torch.testing.assert_close(outputs[1], outputs[0], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("position", TYPES)
def test_padding_changes_nothing(position: str) -> None:
    model = make(position, cls=TriEmbedModel)
    ids, mask = batch()
    with torch.no_grad():
        padded = model(ids, attention_mask=mask).last_hidden_state
        for row, keep in enumerate(mask.bool()):
            alone = model(ids[row : row + 1, keep]).last_hidden_state[0]
            torch.testing.assert_close(padded[row, keep], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("position", TYPES)
def test_order_matters_except_without_positions(position: str) -> None:
    model = make(position, cls=TriEmbedModel)
    # [CLS] cat chases dog [SEP]: without the marks, a plain reversal is one that symmetric distances cannot see.
    cat_chases_dog, order = torch.tensor([[2, 5, 6, 7, 3]]), torch.tensor([0, 3, 2, 1, 4])
    with torch.no_grad():
        straight = model(cat_chases_dog).last_hidden_state[0]
        turned = model(cat_chases_dog[:, order]).last_hidden_state[0]
    difference = (straight[order] - turned).abs().max().item()
    assert difference < 1e-5 if position == "none" else difference > 1e-4


@pytest.mark.parametrize("position", TYPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_saved_means_loadable(position: str, dtype: torch.dtype, tmp_path) -> None:
    model = make(position).to(dtype)
    model.save_pretrained(tmp_path)
    again = AutoModelForPreTraining.from_pretrained(tmp_path, dtype=dtype).eval()
    ids, mask = batch()
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
    with torch.no_grad():
        before, after = (m(ids, attention_mask=mask).prediction_logits for m in (model, again))
    torch.testing.assert_close(after, before, atol=1e-6, rtol=0)


WITHOUT_PACKAGE = """
import sys
sys.modules["hf_embeddings"] = None
import torch
from transformers import AutoModelForPreTraining, AutoModel, AutoModelForMaskedLM
for folder in sys.argv[1:]:
    model = AutoModelForPreTraining.from_pretrained(folder, trust_remote_code=True).eval()
    assert type(model).__module__.startswith("transformers_modules"), type(model).__module__
    ids, mask, expected = torch.load(folder + "/expected.pt")
    with torch.no_grad():
        logits = model(ids, attention_mask=mask).prediction_logits
    assert (logits - expected).abs().max() <= 1e-6, (folder, (logits - expected).abs().max())
AutoModel.from_pretrained(folder, trust_remote_code=True)
AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True)
model.save_pretrained(folder + "/again")
"""


def test_loadable_without_the_package(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    ids, mask = batch()
    folders = [tmp_path / f"model_{position}" for position in POSITION_TYPES]
    for position, folder in zip(POSITION_TYPES, folders, strict=True):
        # Options other than the defaults must travel as well.
        options = {"disentangled": {"position_buckets": 6, "share_att_key": True}, "fourier": {"num_frequencies": 5}}
        chosen = {position: options[position]} if position in options else None
        model = make(position, position_parameters=chosen)
        model.save_pretrained(folder)
        with torch.no_grad():
            torch.save((ids, mask, model(ids, attention_mask=mask).prediction_logits), folder / "expected.pt")
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_PACKAGE, *map(str, folders)], capture_output=True, text=True, cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert (folders[-1] / "again" / "positions.py").exists()


def bert_names(name: str) -> str:
    """Name of a BERT parameter for one of ours."""
    for ours, theirs in (
        ("triembed.embeddings.token", "bert.embeddings.word_embeddings"),
        ("triembed.embeddings.position.learned.table", "bert.embeddings.position_embeddings"),
        ("triembed.embeddings.segment", "bert.embeddings.token_type_embeddings"),
        ("triembed.embeddings.norm", "bert.embeddings.LayerNorm"),
        ("triembed.layers", "bert.encoder.layer"),
        ("attention.query", "attention.self.query"),
        ("attention.key", "attention.self.key"),
        ("attention.value", "attention.self.value"),
        ("attention.out", "attention.output.dense"),
        ("attention_norm", "attention.output.LayerNorm"),
        ("feed_forward.up", "intermediate.dense"),
        ("feed_forward.down", "output.dense"),
        ("feed_forward_norm", "output.LayerNorm"),
        ("triembed.pooler", "bert.pooler"),
        ("predictions.dense", "cls.predictions.transform.dense"),
        ("predictions.norm", "cls.predictions.transform.LayerNorm"),
        ("predictions.decoder", "cls.predictions.decoder"),
        ("seq_relationship", "cls.seq_relationship"),
    ):
        name = name.replace(ours, theirs)
    return name


def test_equals_bert_in_logits_and_gradients() -> None:
    ours = make()
    bert = BertForPreTraining(BertConfig(**SIZES)).eval()
    theirs = dict(bert.named_parameters(remove_duplicate=False))
    with torch.no_grad():
        for name, parameter in ours.named_parameters(remove_duplicate=False):
            theirs[bert_names(name)].copy_(parameter)
        theirs["cls.predictions.bias"].copy_(ours.predictions.decoder.bias)
    ids, mask = batch()
    mask[2] = 1
    segments = (torch.arange(12) > 5).long().expand(3, -1)
    labels, pairs = torch.where(mask.bool() & (ids % 3 == 0), ids, -100), torch.tensor([0, 1, 1])
    results = [
        m(ids, attention_mask=mask, token_type_ids=segments, labels=labels, next_sentence_label=pairs)
        for m in (ours, bert)
    ]
    kept = mask.bool()
    torch.testing.assert_close(
        results[0].prediction_logits[kept], results[1].prediction_logits[kept], atol=2e-6, rtol=1e-6
    )
    torch.testing.assert_close(results[0].seq_relationship_logits, results[1].seq_relationship_logits)
    for result in results:
        result.loss.backward()
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[bert_names(name)].grad, atol=1e-5, rtol=1e-5, msg=name)


def test_the_input_is_the_sum_of_its_parts() -> None:
    model = make(cls=TriEmbedModel)
    ids, _ = batch()
    segments = torch.zeros_like(ids)
    parts = model.embedding_parts(ids, token_type_ids=segments)
    summed = parts.token + parts.segment + parts.position
    states = model(ids, token_type_ids=segments, output_hidden_states=True).hidden_states
    torch.testing.assert_close(model.embeddings.norm(summed), states[0])
    other = model.embedding_parts(ids, token_type_ids=1 - segments)
    assert torch.equal(other.token, parts.token) and torch.equal(other.position, parts.position)
    assert not torch.equal(other.segment, parts.segment)


def test_embedding_scale_is_sqrt_of_the_width() -> None:
    ids, _ = batch()
    plain, scaled = (make(cls=TriEmbedModel, embedding_scale=flag).embedding_parts(ids).token for flag in (False, True))
    torch.testing.assert_close(scaled, plain * 32**0.5)


def test_no_segments_refuses_segment_ids() -> None:
    model = make(type_vocab_size=0, cls=TriEmbedModel)
    ids, _ = batch()
    assert model.embedding_parts(ids).segment is None
    with pytest.raises(ValueError, match="type_vocab_size is 0"):
        model(ids, token_type_ids=torch.zeros_like(ids))


def test_scoring_masked_rows_only_gives_the_same_rows() -> None:
    model = make()
    ids, _ = batch()
    rows = torch.tensor([1, 14, 30])
    with torch.no_grad():
        full = model(ids).prediction_logits.flatten(0, 1)[rows]
        torch.testing.assert_close(model(ids, masked_lm_positions=rows).prediction_logits, full)


def test_no_label_gives_zero_loss_and_tables_stay_tied() -> None:
    model = make()
    ids, _ = batch()
    assert model(ids, labels=torch.full_like(ids, -100)).loss.item() == 0
    model.resize_token_embeddings(120)
    assert model.predictions.decoder.weight is model.triembed.embeddings.token.weight
    assert model.predictions.decoder.bias.shape == (120,)


@pytest.mark.parametrize("position", ["bipe", "cable", "rope", "relative_bias"])
def test_compiles_into_one_graph(position: str) -> None:
    model = make(position, cls=TriEmbedModel)
    ids, mask = batch()
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="eager")
    with torch.no_grad():
        torch.testing.assert_close(
            compiled(ids, attention_mask=mask).last_hidden_state, model(ids, attention_mask=mask).last_hidden_state
        )


@pytest.mark.parametrize("position", TYPES)
def test_gradient_checkpointing_gives_the_same_gradients(position: str) -> None:
    gradients = []
    for checkpointing in (False, True):
        model = make(position, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).train()
        if checkpointing:
            model.gradient_checkpointing_enable()
        ids, mask = batch()
        model(ids, attention_mask=mask, labels=ids).loss.backward()
        gradients.append(model.triembed.layers[0].attention.query.weight.grad)
    torch.testing.assert_close(gradients[1], gradients[0])


@pytest.mark.parametrize("cls", ["MaskedLM", "TokenClassification", "SequenceClassification"])
def test_accumulated_losses_add_up(cls: str) -> None:
    model = make(cls=getattr(hf_embeddings, f"TriEmbedFor{cls}"))
    ids, _ = batch()
    labels = torch.tensor([0, 1, 1]) if cls == "SequenceClassification" else (ids % 2).masked_fill(ids % 3 == 0, -100)
    count = (labels != -100).sum()
    whole = model(ids, labels=labels).loss
    split = sum(model(ids[i : i + 1], labels=labels[i : i + 1], num_items_in_batch=count).loss for i in range(3))
    torch.testing.assert_close(split, whole)


def test_missing_encoder_weights_are_an_error(tmp_path) -> None:
    make().save_pretrained(tmp_path)
    config = TriEmbedConfig(**SIZES | {"num_hidden_layers": 3})
    with pytest.raises(ValueError, match="missing weights for TriEmbedModel: layers.2"):
        AutoModel.from_pretrained(tmp_path, config=config)


def test_a_decoder_that_is_not_the_token_table_is_an_error(tmp_path) -> None:
    make(tie_word_embeddings=False).save_pretrained(tmp_path)
    untied = AutoModelForPreTraining.from_pretrained(tmp_path)
    assert not torch.equal(untied.predictions.decoder.weight, untied.get_input_embeddings().weight)
    untied.config.tie_word_embeddings = True
    untied.config.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="tie_word_embeddings is true, but predictions.decoder.weight"):
        AutoModelForPreTraining.from_pretrained(tmp_path)


def test_a_decoder_that_no_checkpoint_holds_is_tied_or_an_error(tmp_path, monkeypatch) -> None:
    make().save_pretrained(tmp_path)
    tie = TriEmbedForPreTraining.tie_weights
    calls = []

    def late(model, *arguments, **options) -> None:  # as if transformers forgot to tie, and did it when asked again
        calls.append(model)
        if len(calls) > 2:
            tie(model, *arguments, **options)

    for patched, outcome in ((late, "tied"), (lambda *_, **__: None, "refused")):
        monkeypatch.setattr(TriEmbedForPreTraining, "tie_weights", patched)
        if outcome == "refused":
            with pytest.raises(ValueError, match="did not tie predictions.decoder.weight"):
                TriEmbedForPreTraining.from_pretrained(tmp_path)
        else:
            model = TriEmbedForPreTraining.from_pretrained(tmp_path)
            assert model.predictions.decoder.weight is model.get_input_embeddings().weight


@pytest.mark.parametrize("part", ["predictions.norm.weight", "seq_relationship.bias", "triembed.pooler.dense.weight"])
def test_a_head_is_in_the_checkpoint_as_a_whole_or_not_at_all(part: str, tmp_path) -> None:
    make().save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    rest = {name: tensor for name, tensor in weights.items() if name != part}
    save_file(rest, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=f"missing weights for TriEmbedForPreTraining: {part}"):
        TriEmbedForPreTraining.from_pretrained(tmp_path)
    module = part.removeprefix("triembed.").split(".")[0]
    none = {name: tensor for name, tensor in weights.items() if module not in name.split(".")}
    save_file(none, tmp_path / "model.safetensors", metadata={"format": "pt"})
    TriEmbedForPreTraining.from_pretrained(tmp_path)


def test_too_long_for_a_table_is_an_error_in_words() -> None:
    with pytest.raises(ValueError, match="41 tokens.*max_position_embeddings 40"):
        make()(torch.ones(1, 41, dtype=torch.long))


def test_flash_attention_refuses_a_bias_in_words() -> None:
    with pytest.raises(ValueError, match="flash attention cannot add the score bias"):
        make("alibi").set_attn_implementation("flash_attention_2")


def test_every_auto_class_is_registered() -> None:
    for auto_class, path in AUTO_MAP.items():
        if auto_class != "AutoConfig":
            made = getattr(transformers, auto_class).from_config(TriEmbedConfig(**SIZES))
            assert type(made).__name__ == path.split(".")[1]
