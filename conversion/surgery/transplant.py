"""Carry the weights of a model over into one with other positions, which start near what the old ones did."""

import torch

from hf_embeddings.conversion.surgery.head_order import align_heads
from hf_embeddings.conversion.surgery.head_rotation import turn_heads
from hf_embeddings.conversion.surgery.position_fits import (
    FITS,
    LAYER_FITS,
    attention_profile,
    bias_by_distance,
    fit_layer_keys,
    keep_what_is_common,
)
from hf_embeddings.model.modeling_triembed import TriEmbedModel, TriEmbedPreTrainedModel
from hf_embeddings.model.position_sentences import BilevelPosition
from hf_embeddings.model.position_signal import PositionType
from hf_embeddings.model.position_tables import LearnedPosition
from hf_embeddings.model.positions import Positions

SORTED = ("alibi",)  # types without weights whose heads look at different distances
TURNED = "heads turned so that what matters most turns least, attention by distance drawn with the rest"


@torch.no_grad()
def transplant(old: TriEmbedPreTrainedModel, new: TriEmbedPreTrainedModel, first_token: int | None) -> dict[str, str]:
    """Carry all weights over, and give those of new positions start values; return how."""
    _copy_what_fits(old, new)
    old_encoder, new_encoder = old.base_model, new.base_model
    old_parts, new_parts = old_encoder.embeddings.position, new_encoder.embeddings.position
    ids = _tokens_in_no_order(old)
    added_types = new_parts.keys() - old_parts.keys()
    origins = {name: _fill(part, name, old_parts, new_parts) for name, part in new_parts.items()}
    turned = {name for name in added_types if new_parts[name].rotary and not new_parts[name].segmented}
    turns_heads = bool(turned) and not _reads_plain_heads(old_parts, new_parts)
    profile = (
        attention_profile(old_encoder, ids) if turns_heads or added_types & {*SORTED, *FITS, *LAYER_FITS} else None
    )
    if profile is not None and old_parts.keys() <= new_parts.keys():
        profile.zero_()  # the old positions stay and draw their attention themselves: what is added starts with nothing
    if turns_heads and profile is not None:
        turn_heads(new_encoder, old_encoder, profile, ids)
        origins |= {name: f"{TURNED}; {origins[name]}" for name in turned}
    if profile is not None:
        ordered_types = _fit(old_encoder, new_encoder, added_types, profile, ids)
        origins |= {name: f"heads ordered by where they look; {origins[name]}" for name in ordered_types}
    if added_types or len(old_parts) > len(new_parts):
        tables = old_encoder.embeddings.token.weight.shape[1] == old.config.input_size
        kept_share = keep_what_is_common(old_encoder, new_encoder, first_token if tables else None)
        if kept_share == kept_share:
            origins["old vectors"] = (
                f"{kept_share:.0%} of their squared length moved to segments, tokens and the first token"
            )
    return origins


def _copy_what_fits(old: TriEmbedPreTrainedModel, new: TriEmbedPreTrainedModel) -> None:
    weights = old.state_dict()
    for name, slot in new.state_dict().items():
        if name in weights and weights[name].shape == slot.shape:
            slot.copy_(weights[name])


def _fit(
    old: TriEmbedModel, new: TriEmbedModel, added_types: set[str], profile: torch.Tensor, ids: torch.Tensor
) -> set[str]:
    """Give new positions the values that come nearest to the profile; return those that heads were ordered for."""
    parts: dict[str, PositionType] = dict(new.embeddings.position.items())
    ordered_types = added_types & {*SORTED, *FITS}
    for name in sorted(added_types & set(LAYER_FITS)):
        fit_layer_keys(new, name, profile, old, ids)
    if any(_tells_heads_apart(parts[name]) for name in parts.keys() - added_types):
        ordered_types = set()
    if ordered_types:
        target_bias = bias_by_distance(parts["alibi"], ids.shape[1]) if "alibi" in added_types else None
        profile = align_heads(new, profile, target_bias)
    for name in sorted(added_types & set(FITS)):
        FITS[name](parts[name], profile, old, ids)
    return ordered_types


def _fill(part: PositionType, name: str, old_parts: Positions, new_parts: Positions) -> str:
    """Say where the values of one of the new parts come from; those of a learned table are filled in here."""
    if name in old_parts:
        return "carried over"
    if (name in FITS or name in LAYER_FITS) and old_parts.keys() <= new_parts.keys():
        return "starts with nothing, beside the old positions"
    if name in FITS or name in LAYER_FITS:
        return "least squares over the source's attention by distance"
    if isinstance(part, LearnedPosition | BilevelPosition):
        return _fill_table(part, old_parts)
    if any(True for _ in part.parameters()) or part.layer_part is not None:
        return "as in a new model: no closed form is known"
    return "has no weights"


def _reads_plain_heads(old_parts: Positions, new_parts: Positions) -> bool:
    """Return whether turned queries and keys would mislead the old or new positions of a model."""
    return any(p.rotary for p in old_parts.values()) or any(p.layer_part is not None for p in new_parts.values())


def _tells_heads_apart(part: PositionType) -> bool:
    return part.pairwise or part.folds or part.layer_part is not None


def _tokens_in_no_order(model: TriEmbedPreTrainedModel) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    length = min(128, model.config.max_position_embeddings)
    return torch.randint(model.config.vocab_size, (16, length), generator=generator)


def _fill_table(part: LearnedPosition | BilevelPosition, old_parts: Positions) -> str:
    summand = old_parts(torch.arange(part.length)[None]).summand
    part.table.weight.zero_()
    if summand is None:
        return "zeros: the model starts without, and learns"
    part.table.weight[-part.length :] = summand[0]
    return "equal to the source's vectors" + (", counted in each sentence" if part.segmented else "")
