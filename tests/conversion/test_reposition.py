"""Laws of changing positions: what must stay stays bit by bit, start values come near, healing heals."""

import json
from pathlib import Path

import pytest
import torch
from transformers import BertTokenizer

from hf_embeddings import TriEmbedConfig, TriEmbedForMaskedLM, TriEmbedModel
from hf_embeddings.conversion import ConversionError
from hf_embeddings.conversion.healing import Healing, mask_rows, rows_of
from hf_embeddings.conversion.reposition import reposition
from hf_embeddings.conversion.transplants import attention_profile
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


def test_sinusoids_become_a_table_exactly(tmp_path: Path) -> None:
    old = write(tmp_path / "source", "sinusoidal")
    reposition(tmp_path / "source", tmp_path / "target", to="learned")
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


def test_masks_hit_no_special_token(tmp_path: Path) -> None:
    write(tmp_path / "source")
    tokenizer = BertTokenizer.from_pretrained(tmp_path / "source")
    rows = torch.cat((torch.full((500, 1), 2), ids(10).repeat(167, 1)[:500], torch.full((500, 1), 3)), dim=1)
    masked, chosen = mask_rows(rows, tokenizer, torch.Generator().manual_seed(0))
    assert not chosen[:, [0, -1]].any() and (masked[chosen] == 4).all() and torch.equal(masked[~chosen], rows[~chosen])
    assert abs(chosen[:, 1:-1].float().mean() - 0.15) < 4 * (0.15 * 0.85 / 5000) ** 0.5


def error(old, folder: Path) -> float:
    """Return the squared error of hidden states on texts that were not trained on, beside their square."""
    tokenizer = BertTokenizer.from_pretrained(folder)
    rows = rows_of(texts(20, 1), tokenizer, 24, most=30)
    with torch.no_grad():
        made, wanted = (model.base_model(rows).last_hidden_state for model in (load(folder), old))
    return ((made - wanted).square().mean() / wanted.square().mean()).item()


def test_healing_brings_the_model_back(tmp_path: Path) -> None:
    old = write(tmp_path / "source")
    reposition(tmp_path / "source", tmp_path / "unhealed", to="rope")
    report = reposition(
        tmp_path / "source",
        tmp_path / "healed",
        to="rope",
        texts=texts(80, 0),
        held_out=texts(20, 1),
        healing=Healing(steps=200, batch_size=8, length=24, learning_rate=3e-3),
    )
    assert error(old, tmp_path / "healed") < 0.75 * error(old, tmp_path / "unhealed")
    assert report.healing_steps == 200 and set(report.figures) == {"source", "transplanted", "healed"}
    assert "| healed | 24 | mlm accuracy |" in json.loads((tmp_path / "healed/origin.json").read_text())["description"]


def test_extension_is_measured_at_twice_the_length(tmp_path: Path) -> None:
    write(tmp_path / "source")
    report = reposition(tmp_path / "source", tmp_path / "target", max_position_embeddings=80, held_out=texts(40, 1))
    assert set(report.figures["transplanted"]) == {"40", "80"} and set(report.figures["source"]) == {"40"}


REFUSED = [
    ({"to": "learned"}, "nothing to change"),
    ({"to": "rpoe"}, "did you mean 'rope'"),
    ({"to": "alibi", "rope_parameters": {"rope_theta": 1.0}}, "rope_parameters: given"),
    ({"max_position_embeddings": 0}, "got 0"),
    ({"to": "rope", "held_out": ["w1"]}, "fill no row"),
]


@pytest.mark.parametrize("options, message", REFUSED)
def test_refused_in_one_line(options: dict, message: str, tmp_path: Path) -> None:
    write(tmp_path / "source")
    with pytest.raises(ConversionError) as error:
        reposition(tmp_path / "source", tmp_path / "target", **options)
    assert message in str(error.value) and "\n" not in str(error.value) and not (tmp_path / "target").exists()
