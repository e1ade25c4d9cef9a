"""The colours of pictures and pages, light and dark: told apart with any kind of colour vision (Okabe and Ito 2008)."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Theme:
    """What is drawn in which colour."""

    ground: str
    card: str  # of what lies over the ground
    ink: str
    dim: str  # of what is said beside
    rule: str
    soft: str
    accent: str
    accent_ink: str
    none: str  # of what has no value
    series: tuple[str, ...]
    scale: tuple[str, ...]  # from the lowest value to the highest (viridis, without what fades on this ground)
    weights: str  # map of matplotlib from nothing to much
    signs: str  # map of matplotlib from below zero to above


LIGHT = Theme(
    ground="#ffffff", card="#ffffff", ink="#1b2430", dim="#5b6675", rule="#d3d9e1", soft="#eef1f5", accent="#0061a8",
    accent_ink="#ffffff", none="#a9b1bc",
    series=("#0072b2", "#c65400", "#00845e", "#a3478a", "#b97a00", "#3d9bd1", "#5b6675"),
    scale=("#440154", "#433e85", "#2e6f8e", "#1f9a8a", "#4ec36b", "#a2cf20"), weights="Blues", signs="RdBu_r",
)  # fmt: skip
DARK = Theme(
    ground="#10151c", card="#19202a", ink="#e6ebf2", dim="#9aa7b8", rule="#3a4656", soft="#232c38", accent="#6cb8f0",
    accent_ink="#10151c", none="#5d6877",
    series=("#56b4e9", "#f0883e", "#35c29a", "#d79ac8", "#f0c24f", "#8fb8ff", "#9aa7b8"),
    scale=("#5a61ad", "#3d86a5", "#23a98f", "#51c46a", "#a0da39", "#fde725"), weights="dark_weights",
    signs="dark_signs",
)  # fmt: skip
THEMES = {"light": LIGHT, "dark": DARK}
_chosen: ContextVar[Theme] = ContextVar("theme", default=LIGHT)


def theme() -> Theme:
    """Return the colours that pictures are drawn in now."""
    return _chosen.get()


@contextmanager
def drawn_in(chosen: Theme) -> Iterator[Theme]:
    """Draw in these colours within the block."""
    token = _chosen.set(chosen)
    try:
        yield chosen
    finally:
        _chosen.reset(token)


def series(index: int) -> str:
    """Return the colour of a series by its number; after the last, the first comes again."""
    own = theme().series
    return own[index % len(own)]


def striking() -> str:
    """Return the colour of what stands out beside grey."""
    return series(1)


def css_colours() -> str:
    """Return both themes as custom properties of CSS: `--ink`, `--series-0`, ...; `data-theme` of the root chooses."""
    return "\n".join(
        f'{":root" if name == "light" else ""}{"," if name == "light" else ""}:root[data-theme="{name}"] '
        f"{{ color-scheme: {name}; {_properties(own)} }}"
        for name, own in THEMES.items()
    )


def _properties(own: Theme) -> str:
    parts = []
    for field in fields(own):
        value, name = getattr(own, field.name), field.name.replace("_", "-")
        if isinstance(value, tuple):
            parts += [f"--{name}-{place}: {colour};" for place, colour in enumerate(value)]
        elif value.startswith("#"):
            parts.append(f"--{name}: {value};")
    return " ".join(parts)
