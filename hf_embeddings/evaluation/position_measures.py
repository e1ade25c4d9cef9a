"""The laws of a position type, measured inside and beyond the trained length: of a type by name, or of a checkpoint."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from hf_embeddings.analysis.position_laws import SHIFTS, PositionLaws, linear_map_fit, score_laws, vector_laws
from hf_embeddings.evaluation.position_probe import PositionProbe, probe_checkpoint, probe_type
from hf_embeddings.loading.saved_model import make_config, read_config
from hf_embeddings.loading.stored_weights import check_finite
from hf_embeddings.model.modeling_triembed import TriEmbedModel
from hf_embeddings.pretraining.architecture import read_architecture
from hf_embeddings.records.positions import LawsBeyond, PositionReport

LONGEST = 512


def measure_positions(
    name: str, *, config: Path, length: int | None, longest: int = LONGEST
) -> tuple[PositionReport, PositionProbe]:
    """Return the laws of a type or checkpoint, inside and beyond the trained length, and the probe they come from.

    Without a length, it is the trained one, or `longest`.
    """
    probe_at, trained_length = _prober(name, config)
    length = min(trained_length, longest) if length is None else length
    if not 8 <= length <= trained_length:
        raise ValueError(
            f"--length: got {length} for {name}, expected 8 to {trained_length} positions, the trained length"
        )
    probe = probe_at(0, length)

    report = PositionReport(
        **vars(_laws(probe)), start=0, end=length, measured_on=probe.measured_on, extrapolation=None
    )
    try:
        beyond = probe_at(trained_length, trained_length + length)
    except (ValueError, IndexError) as error:
        reason = str(error) if isinstance(error, ValueError) else f"no vector for position {trained_length}"
        return replace(report, extrapolation_ends=reason), probe
    extrapolation = LawsBeyond(
        **vars(_laws(beyond)),
        start=trained_length,
        end=trained_length + length,
        relative_linearity_carried_over=_carried_over(probe, beyond),
    )
    return replace(report, extrapolation=extrapolation), probe


def _laws(probe: PositionProbe) -> PositionLaws:
    return score_laws(probe.scores) if probe.vectors is None else vector_laws(probe.vectors, probe.scores)


def _carried_over(probe: PositionProbe, beyond: PositionProbe) -> float | None:
    """Return how much of the vectors beyond the linear maps explain that the vectors within have given."""
    if probe.vectors is None or beyond.vectors is None:
        return None
    fits = [
        fit for k in SHIFTS if k <= len(probe.vectors) // 4
        if (fit := linear_map_fit(beyond.vectors, k, fit_on=probe.vectors)) is not None
    ]  # fmt: skip
    return sum(fits) / len(fits) if fits else None


def _prober(name: str, config: Path) -> tuple[Callable[[int, int], PositionProbe], int]:
    """Return a function from a range of positions to a probe, and the trained length."""
    if (Path(name) / "config.json").is_file():
        read_config(name)  # before memory is taken for it
        model = TriEmbedModel.from_pretrained(name, attn_implementation="eager", dtype="float32")
        check_finite(model.named_parameters(), name)
        return (lambda *span: probe_checkpoint(model, torch.arange(*span))), model.config.max_position_embeddings
    fields = read_architecture(config)
    if "rope" not in name.split("+"):
        fields = {key: value for key, value in fields.items() if not key.startswith("rope_")}
    fields |= {"position_embedding_type": name, "num_hidden_layers": 1, "vocab_size": 8, "attention_bias": True}
    fields |= {"layer_types": None, "sliding_window": None, "pad_token_id": 0}
    type_config = make_config(fields, config, foreign=False)
    return (lambda *span: probe_type(type_config, torch.arange(*span))), type_config.max_position_embeddings
