"""What the colours of points say: the group of each, or its place on a scale.

Shapes: N points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_embeddings.visualization.colours import series, theme


@dataclass(frozen=True)
class Groups:
    """A name for each point; each name gets a colour and an entry in the legend, in the order of appearance."""

    name: str  # of what is shown, such as "script"
    of: Sequence[str]  # N names
    detail: str = ""  # how the groups were made

    @property
    def names(self) -> list[str]:
        """The different names."""
        return list(dict.fromkeys(self.of))

    def rows(self, name: str) -> list[int]:
        """Return the points of a name."""
        return [row for row, own in enumerate(self.of) if own == name]

    def page_data(self) -> dict[str, Any]:
        """Return what the page reads."""
        places = {name: place for place, name in enumerate(self.names)}
        of = [places[name] for name in self.of]
        return {"kind": "groups", "name": self.name, "detail": self.detail, "names": self.names, "of": of}

    def inks(self) -> list[str]:
        """Return the colour of each point."""
        places = {name: place for place, name in enumerate(self.names)}
        return [series(places[name]) for name in self.of]


@dataclass(frozen=True)
class Scale:
    """A number for each point; NaN where there is none."""

    name: str  # of what is shown, such as "frequency"
    values: np.ndarray  # (N,)
    unit: str = ""
    logarithmic: bool = False  # of values above 0; 0 has no colour

    def shares(self) -> np.ndarray:
        """Return the place (N,) of each value on the scale, from 0 to 1; NaN where there is none."""
        values = self._measured()
        low, high = self._bounds(values)
        return (values - low) / (high - low) if high > low else np.where(np.isnan(values), np.nan, 0.5)

    def bounds(self) -> tuple[float, float]:
        """Return the lowest and the highest value that has a colour."""
        low, high = self._bounds(self._measured())
        return (10.0**low, 10.0**high) if self.logarithmic else (low, high)

    def page_data(self) -> dict[str, Any]:
        """Return what the page reads."""
        low, high = self.bounds()
        shares = [None if np.isnan(share) else round(float(share), 4) for share in self.shares()]
        texts = ["-" if np.isnan(value) else shown(value) for value in self.values]
        unit = f"{self.unit}{', logarithmic' if self.logarithmic else ''}"
        ends = {"low": shown(low), "high": shown(high)}
        return {"kind": "scale", "name": self.name, "of": shares, "texts": texts, "unit": unit, **ends}

    def inks(self) -> list[str]:
        """Return the colour of each point."""
        from matplotlib.colors import to_hex

        from hf_embeddings.visualization.style import scale_map

        colours = scale_map()
        return [theme().none if np.isnan(share) else to_hex(colours(share)) for share in self.shares()]

    def _measured(self) -> np.ndarray:
        values = np.asarray(self.values, dtype=float)
        return np.log10(np.where(values > 0, values, np.nan)) if self.logarithmic else values

    @staticmethod
    def _bounds(values: np.ndarray) -> tuple[float, float]:
        known = values[~np.isnan(values)]
        return (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)


Colouring = Groups | Scale


def shown(value: float) -> str:
    """Return a number for people: whole ones and large ones with commas, others with three figures."""
    is_whole = abs(value - round(value)) < 1e-6 * max(1.0, abs(value))
    return f"{value:,.0f}" if is_whole or abs(value) >= 1000 else f"{value:.3g}"
