"""A font for every character: Chinese, Japanese and Korean labels need one that matplotlib does not bring."""

import warnings
from functools import cache

CJK_FAMILIES = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "PingFang SC", "Hiragino Sans GB",
    "Microsoft YaHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Noto Sans CJK JP", "Droid Sans Fallback", "SimHei",
)  # fmt: skip
CSS_FAMILIES = (
    "system-ui, 'Noto Sans', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', 'WenQuanYi Micro Hei', sans-serif"
)
HINT = (
    "no font with Chinese characters is installed, so they are drawn as boxes; install one: "
    "apt-get install fonts-noto-cjk (or fonts-wqy-microhei, 1.6 MB)"
)


@cache
def cjk_family() -> str | None:
    """Return the first installed family that has Chinese characters, or None."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return next((family for family in CJK_FAMILIES if family in installed), None)


def families(labels: list[str]) -> list[str]:
    """Return the font families for labels, in the order of matplotlib's fallback; warn where a font is missing."""
    if not any("\u2e80" <= character <= "\uffdc" for label in labels for character in label):
        return ["DejaVu Sans"]
    found = cjk_family()
    if found is None:
        warnings.warn(HINT, stacklevel=2)
        return ["DejaVu Sans"]
    return ["DejaVu Sans", found]
