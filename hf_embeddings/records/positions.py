"""What `hf-embeddings positions` measures of a position type or a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from hf_embeddings.analysis.position_laws import PositionLaws
from hf_embeddings.json_record import absent


@dataclass(frozen=True, kw_only=True)
class RangeLaws(PositionLaws):
    """The laws of positions `start` to `end` - 1; in the JSON the two are called `from` and `to`."""

    start: int
    end: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, which `from_dict` reads."""
        values = super().to_dict()
        return {"from": values.pop("start"), "to": values.pop("end")} | values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read plain data."""
        ends = {name: values[key] for name, key in (("start", "from"), ("end", "to")) if key in values}
        return super().from_dict({**values, **ends})


@dataclass(frozen=True, kw_only=True)
class LawsBeyond(RangeLaws):
    """The laws of as many positions beyond the trained length."""

    # R2 of the maps M(k) that were learned within the trained length.
    relative_linearity_carried_over: float | None = absent()


@dataclass(frozen=True, kw_only=True)
class PositionReport(RangeLaws):
    """The laws within the trained length, and beyond it."""

    measured_on: str
    extrapolation: LawsBeyond | None
    extrapolation_ends: str | None = absent()  # why there are no positions beyond
    picture: str | None = absent()  # path
