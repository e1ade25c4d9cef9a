"""Laws of changing positions: what must stay stays bit by bit, start values come near, healing heals."""

import json
from pathlib import Path

import pytest
import torch
from transformers import BertTokenizer

from hf_embeddings import TriEmbedConfig, TriEmbedForMaskedLM, TriEmbedModel
from hf_embeddings.conversion import ConversionError
from hf_embeddings.conversion.surgery import head_rotation
from hf_embeddings.conversion.surgery.distillation import Frame, mask, states_of, tokens_of, windows_of
from hf_embeddings.conversion.surgery.head_order import align_heads
from hf_embeddings.conversion.surgery.head_rotation import turn_heads
from hf_embeddings.conversion.surgery.healing import Healing
from hf_embeddings.conversion.surgery.position_fits import attention_profile
from hf_embeddings.conversion.surgery.reposition import reposition
from tests.conversion.laws import SIZES

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(94))]


def write(folder: Path, position: str = "learned", cls: type = TriEmbedForMaskedLM, **changes: object):
    torch.manual_seed(0)
    model = cls(TriEmbedConfig(**SIZES | {"position_embedding_type": position} | changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizer(vocab=str(folder / "vocab.txt"), model_max_length=40).save_pretrained(folder)
    return model


def load(folder: Path, cls: type = TriEmbedForMaskedLM):
    return cls.from_pretrained(folder).eval()


def ids(length: int = 12) -> torch.Tensor:
    return torch.randint(5, 99, (3, length), generator=torch.Generator().manual_seed(3))


def texts(count: int, seed: int) -> list[str]:
    """Return documents of words that follow each other by a rule, so that there is something to predict."""
    draw = torch.Generator().manual_seed(seed)
    starts = torch.randint(0, 94, (count,), generator=draw).tolist()
    return [" ".join(f"w{(start + 3 * i) % 94}" for i in range(60)) for start in starts]


def test_a_longer_table_changes_no_output_within_the_old_length(tmp_path: Path) -> None:
    old = write(tmp_path / "source")
    report = reposition(tmp_path / "source", tmp_path / "target", max_position_embeddings=90)
    new = load(tmp_path / "target")
    with torch.no_grad():
        assert torch.equal(new(ids(40)).logits, old(ids(40)).logits)
        assert new(ids(90)).logits.isfinite().all()
    assert report.max_position_embeddings == (40, 90)
    assert json.loads((tmp_path / "target/tokenizer_config.json").read_text())["model_max_length"] == 90


def test_interpolation_stretches(tmp_path: Path) -> None:
    old = write(tmp_path / "source")
    reposition(tmp_path / "source", tmp_path / "target", max_position_embeddings=79, interpolate=True)
    tables = [model.base_model.embeddings.position.learned.table.weight for model in (old, load(tmp_path / "target"))]
    torch.testing.assert_close(tables[1][::2], tables[0])  # every second row is an old one


@pytest.mark.parametrize("kind", ["relative_key", "relative_key_query"])
def test_longer_relative_keys_are_clipped_ones(kind: str, tmp_path: Path) -> None:
    old = write(tmp_path / "source", kind)
    reposition(tmp_path / "source", tmp_path / "target", max_position_embeddings=60)
    with torch.no_grad():  # the old model clips beyond its table: the new one has the clipped rows written out
        torch.testing.assert_close(load(tmp_path / "target")(ids(60)).logits, old(ids(60)).logits, atol=1e-5, rtol=1e-5)


def test_a_table_read_by_sentences_changes_no_text_of_one(tmp_path: Path) -> None:
    old = write(tmp_path / "source")
    reposition(tmp_path / "source", tmp_path / "target", to="bipe")
    with torch.no_grad():
        torch.testing.assert_close(load(tmp_path / "target")(ids()).logits, old(ids()).logits, atol=1e-5, rtol=0)
    assert load(tmp_path / "target").config.position_parameters == {"bipe": {"separators": []}}


def test_sinusoids_become_a_table_exactly(tmp_path: Path) -> None:
    old = write(tmp_path / "source", "sinusoidal")
    reposition(tmp_path / "source", tmp_path / "target", to="learned")
    with torch.no_grad():
        torch.testing.assert_close(load(tmp_path / "target")(ids()).logits, old(ids()).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("added", ["relative_bias", "relative_key"])
def test_what_is_added_to_old_positions_starts_with_nothing(added: str, tmp_path: Path) -> None:
    old = write(tmp_path / "source")
    reposition(tmp_path / "source", tmp_path / "target", to=f"learned+{added}")
    with torch.no_grad():
        torch.testing.assert_close(load(tmp_path / "target")(ids()).logits, old(ids()).logits, atol=1e-5, rtol=1e-5)


def test_a_constant_table_can_be_left_out_exactly(tmp_path: Path) -> None:
    """What all positions have in common moves to the segments, or to the tokens, where it changes no prediction."""
    for segments in (2, 0):
        old = write(tmp_path / f"s{segments}", type_vocab_size=segments)
        table = old.base_model.embeddings.position.learned.table.weight
        with torch.no_grad():
            table.copy_(table[:1].expand_as(table))
        old.save_pretrained(tmp_path / f"s{segments}")
        reposition(tmp_path / f"s{segments}", tmp_path / f"t{segments}", to="none")
        with torch.no_grad():
            new, before = load(tmp_path / f"t{segments}")(ids()).logits, old(ids()).logits
        torch.testing.assert_close(new.log_softmax(-1), before.log_softmax(-1), atol=1e-5, rtol=1e-5)


def test_what_only_the_first_position_adds_moves_to_the_first_token(tmp_path: Path) -> None:
    old = write(tmp_path / "source")
    table = old.base_model.embeddings.position.learned.table.weight
    with torch.no_grad():
        table[1:] = table[1]
    old.save_pretrained(tmp_path / "source")
    reposition(tmp_path / "source", tmp_path / "target", to="none")
    rows = torch.cat((torch.full((3, 1), WORDS.index("[CLS]")), ids()), dim=1)
    with torch.no_grad():
        made, wanted = (model.base_model(rows).last_hidden_state for model in (load(tmp_path / "target"), old))
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-5)


def agreement(old, new) -> float:
    """Return how far the attention of two encoders differs on average (total variation)."""
    weights = []
    for model in (old.base_model, new.base_model):
        model.set_attn_implementation("eager")
        with torch.no_grad():
            weights.append(torch.stack(model(ids(30), output_attentions=True).attentions))
    return (weights[0] - weights[1]).abs().sum(-1).mean().item() / 2


# Random queries point nowhere, so that no key vector can meet them all: trained ones leave more to fit.
@pytest.mark.parametrize(
    "to, share", [("relative_bias", 0.2), ("alibi_asymmetric", 0.2), ("relative_key", 0.9), ("relative_key_query", 1)]
)
def test_start_values_keep_attention_nearer_than_none(to: str, share: float, tmp_path: Path) -> None:
    old = write(tmp_path / "source", "alibi")
    for kind in (to, "none"):
        reposition(tmp_path / "source", tmp_path / kind, to=kind)
    assert agreement(old, load(tmp_path / to)) < share * agreement(old, load(tmp_path / "none"))


def test_slopes_of_alibi_are_found_again(tmp_path: Path) -> None:
    old = write(tmp_path / "source", "alibi", cls=TriEmbedModel, num_hidden_layers=1)
    reposition(tmp_path / "source", tmp_path / "target", to="alibi_asymmetric")
    new = load(tmp_path / "target", TriEmbedModel)
    slopes = torch.tensor(old.embeddings.position.alibi.slopes)
    found = new.embeddings.position.alibi_asymmetric.log_slopes.exp()
    torch.testing.assert_close(found, slopes.expand(2, -1), atol=0.02, rtol=0.2)
    profile = attention_profile(old, ids(20))
    assert profile.shape == (1, 4, 39)


def test_ordered_heads_change_no_output(tmp_path: Path) -> None:
    """Heads that were shuffled in each layer come back in one order."""
    model = write(tmp_path / "source", "none", cls=TriEmbedModel)
    profile = torch.randn(4, 39, generator=torch.Generator().manual_seed(0))
    shuffled = torch.stack([profile[order] for order in ([0, 1, 2, 3], [2, 0, 3, 1], [3, 2, 1, 0])])
    with torch.no_grad():
        expected = model(ids()).last_hidden_state
        weights = model.layers[1].attention.query.weight.clone()
        aligned = align_heads(model, shuffled)
        torch.testing.assert_close(model(ids()).last_hidden_state, expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(aligned[0], aligned[1]) and torch.equal(aligned[0], aligned[2])
    assert not torch.equal(model.layers[1].attention.query.weight, weights)
    slopes = torch.tensor([0.1, 0.4, 0.2, 0.3])
    wanted = -slopes[:, None] * torch.arange(-19, 20).abs()
    assert torch.equal(align_heads(model, wanted[[2, 3, 1, 0]].expand(3, -1, -1), wanted)[0], wanted)


def test_turned_heads_change_no_attention(tmp_path: Path, monkeypatch) -> None:
    """Without the rotation, that is: what RoPE turns least is what weighs most."""
    old = write(tmp_path / "source", "none", cls=TriEmbedModel)
    write(tmp_path / "rope", "rope", cls=TriEmbedModel)
    new = load(tmp_path / "rope", TriEmbedModel)
    new.load_state_dict(old.state_dict())
    monkeypatch.setattr(head_rotation, "TOLERATED", 0.0)  # nothing is cleared
    turn_heads(new, old, attention_profile(old, ids(20)), ids(20))
    turned = TriEmbedModel(TriEmbedConfig(**SIZES | {"position_embedding_type": "none"})).eval()
    turned.load_state_dict(new.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(turned(ids()).last_hidden_state, old(ids()).last_hidden_state, atol=1e-4, rtol=1e-4)
    attention, states = new.layers[0].attention, old(ids(20), output_hidden_states=True).hidden_states[0]
    shares = [
        linear(states).unflatten(2, (-1, attention.head_dim)).square().mean(dim=(0, 1))
        for linear in (attention.query, attention.key)
    ]
    torch.testing.assert_close(*shares, atol=1e-3, rtol=1e-2)  # balanced: both carry the same
    half = attention.head_dim // 2
    pairs = shares[0].unflatten(1, (2, half)).sum(dim=1)  # the pair i turns faster than the pair i + 1
    assert (pairs.diff(dim=1) > 0).all()


def test_free_pairs_of_rope_draw_attention_by_distance(tmp_path: Path) -> None:
    """Heads of low rank, as trained ones are, leave most pairs free."""
    old = write(tmp_path / "source", "alibi_asymmetric", num_attention_heads=1)
    with torch.no_grad():
        old.base_model.embeddings.position.alibi_asymmetric.log_slopes.copy_(torch.tensor([[0.5], [0.1]]).log())
        for layer in old.base_model.layers:
            for linear in (layer.attention.query, layer.attention.key):
                linear.weight[4:] *= 1e-3
                linear.bias[4:] *= 1e-3
    old.save_pretrained(tmp_path / "source")
    for kind in ("rope", "none"):
        reposition(tmp_path / "source", tmp_path / kind, to=kind)
    assert agreement(old, load(tmp_path / "rope")) < 0.5 * agreement(old, load(tmp_path / "none"))


def frame(folder: Path) -> Frame:
    return Frame.of(BertTokenizer.from_pretrained(folder))


def test_masks_hit_no_special_token(tmp_path: Path) -> None:
    write(tmp_path / "source")
    text = torch.cat((torch.full((1000,), 3), ids(10).flatten().repeat(167)))
    masked, chosen = mask(text, frame(tmp_path / "source"), torch.Generator().manual_seed(0))
    assert not chosen[:1000].any() and (masked[chosen] == 4).all() and torch.equal(masked[~chosen], text[~chosen])
    assert abs(chosen[1000:].float().mean() - 0.15) < 4 * (0.15 * 0.85 / 5000) ** 0.5


def test_what_is_too_long_is_read_in_windows(tmp_path: Path) -> None:
    """Each window is a row of its own; a longer row stands for all of them."""
    model, around = write(tmp_path / "source"), frame(tmp_path / "source")
    text = ids(76)
    assert (windows_of(model, around, 38), windows_of(model, around, 39), windows_of(model, around, 76)) == (1, 2, 2)
    with torch.no_grad():
        both = states_of(model, text, around, 2)
        apart = [states_of(model, part, around) for part in text.split(38, dim=1)]
    assert both.shape == (3, 3, 78, 32)
    torch.testing.assert_close(both[:, :, 1:-1], torch.cat([part[:, :, 1:-1] for part in apart], dim=2))
    torch.testing.assert_close(both[:, :, [0, -1]], sum(part[:, :, [0, -1]] for part in apart) / 2)
    places = around.places(torch.arange(76).expand(3, -1) == 5)
    assert torch.equal(around.around(text).flatten()[places], text[:, 5])


def error(old, folder: Path) -> float:
    """Return the squared error of hidden states on texts that were not trained on, beside their square."""
    tokenizer = BertTokenizer.from_pretrained(folder)
    rows = frame(folder).around(tokens_of(texts(20, 1), tokenizer, most=30 * 22, least=1).view(30, 22))
    with torch.no_grad():
        made, wanted = (model(rows).last_hidden_state for model in (load(folder, TriEmbedModel), old))
    return ((made - wanted).square().mean() / wanted.square().mean()).item()


def test_healing_brings_the_model_back(tmp_path: Path) -> None:
    old = write(tmp_path / "source", "alibi_asymmetric", cls=TriEmbedModel)
    slopes = torch.tensor([[1.0, 0.5, 0.2, 0.1], [0.1, 0.2, 0.5, 1.0]])
    with torch.no_grad():
        old.embeddings.position.alibi_asymmetric.log_slopes.copy_(slopes.log())
    old.save_pretrained(tmp_path / "source")
    reposition(tmp_path / "source", tmp_path / "unhealed", to="fire")
    report = reposition(
        tmp_path / "source",
        tmp_path / "healed",
        to="fire",
        texts=texts(80, 0),
        held_out=texts(20, 1),
        healing=Healing(steps=100, batch_size=8, length=24, learning_rate=3e-3),
    )
    assert error(old, tmp_path / "healed") < 0.1 * error(old, tmp_path / "unhealed")
    assert report.healing_steps == 100 and set(report.figures) == {"source", "transplanted", "healed"}
    assert "| healed | 24 | kept |" in json.loads((tmp_path / "healed/origin.json").read_text())["description"]


def test_extension_is_measured_at_twice_the_length(tmp_path: Path) -> None:
    write(tmp_path / "source")
    report = reposition(tmp_path / "source", tmp_path / "target", max_position_embeddings=80, held_out=texts(40, 1))
    assert set(report.figures["transplanted"]) == {"40", "78"} and set(report.figures["source"]) == {"40"}
    within = report.figures["transplanted"]["40"]  # where the rows are the old ones
    assert within["mlm_accuracy"] == report.figures["source"]["40"]["mlm_accuracy"]
    assert within["similarity_correlation"] == pytest.approx(1) and report.kept["transplanted"].keys() == {"40", "78"}


def test_new_rows_learn_and_old_outputs_stay(tmp_path: Path) -> None:
    old = write(tmp_path / "source")
    healing = Healing(steps=4, batch_size=4, length=20)
    for kind, given in (("healed", healing), ("unhealed", None)):
        reposition(tmp_path / "source", tmp_path / kind, max_position_embeddings=80, texts=texts(20, 0), healing=given)
    new, unhealed = load(tmp_path / "healed"), load(tmp_path / "unhealed")
    with torch.no_grad():
        assert torch.equal(new(ids(40)).logits, old(ids(40)).logits)
        assert not torch.equal(new(ids(80)).logits, unhealed(ids(80)).logits)


REFUSED = [
    ({"to": "learned"}, "nothing to change"),
    ({"to": "rpoe"}, "did you mean 'rope'"),
    ({"to": "alibi", "rope_parameters": {"rope_theta": 1.0}}, "rope_parameters: given"),
    ({"max_position_embeddings": 0}, "got 0"),
    ({"to": "rope", "interpolate": True}, "max_position_embeddings is None"),
    ({"to": "rope", "held_out": ["w1"]}, "fill no row"),
]


@pytest.mark.parametrize("options, message", REFUSED)
def test_refused_in_one_line(options: dict, message: str, tmp_path: Path) -> None:
    write(tmp_path / "source")
    with pytest.raises(ConversionError) as error:
        reposition(tmp_path / "source", tmp_path / "target", **options)
    assert message in str(error.value) and "\n" not in str(error.value) and not (tmp_path / "target").exists()
