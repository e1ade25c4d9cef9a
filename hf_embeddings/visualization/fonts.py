"""A font for every character: matplotlib brings one for Latin, Greek, Cyrillic; other scripts need an installed one.

Matplotlib joins, reorders and turns around what a script asks for (from 3.11 on); a browser finds fonts by itself.
"""

import unicodedata
import warnings
from collections.abc import Iterable
from functools import cache
from typing import Any

BROUGHT = "DejaVu Sans"
PREFERRED = (  # before any other font that has the characters
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "PingFang SC", "Hiragino Sans GB",
    "Microsoft YaHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Noto Sans CJK JP", "Noto Sans CJK KR",
    "Droid Sans Fallback", "SimHei", "Noto Emoji", "Segoe UI Emoji", "Symbola",
)  # fmt: skip
PLACEHOLDERS = ("LastResort", ".LastResort", "Last Resort", "Adobe Blank")  # fonts that have a box for everything
CSS_FAMILIES = (
    "system-ui, 'Noto Sans', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', 'WenQuanYi Micro Hei', "
    "'Noto Sans Arabic', 'Noto Sans Hebrew', 'Noto Sans Devanagari', 'Noto Sans Bengali', 'Noto Sans Tamil', "
    "'Noto Sans Thai', 'Noto Sans Khmer', 'Noto Sans Ethiopic', 'Noto Color Emoji', 'Apple Color Emoji', "
    "'Segoe UI Emoji', sans-serif"
)
CJK = ("CJK", "HANGUL", "HIRAGANA", "KATAKANA", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH")
CJK_PACKAGE = "fonts-noto-cjk (or fonts-wqy-microhei, 1.6 MB)"
INVISIBLE = ("Cc", "Cf", "Cs", "Cn", "Co", "Zs", "Zl", "Zp")  # categories that need no glyph, or have none anywhere


def as_written(labels: Iterable[str]) -> dict[str, Any]:
    """Return what matplotlib needs to write texts as they are: their fonts, and no mathematics between dollars."""
    return {"family": families(labels), "parse_math": False}


def families(labels: Iterable[str]) -> list[str]:
    """Return the font families for labels, in the order of matplotlib's fallback; warn where a font is missing.

    Fonts count that are on the disk now: matplotlib's own list is as old as its cache, so that a font installed after
    the first picture would never be found.
    """
    codes = {ord(character) for label in labels for character in label if _needs_glyph(character)} - _brought()
    names: list[str] = []
    for family, path in _installed() if codes else ():
        if codes and (own_codes := codes & _characters(path)):
            _add(path)
            names.append(family)
            codes -= own_codes
    if codes:
        warnings.warn(_hint({chr(code) for code in codes}), stacklevel=3)
    return [BROUGHT, *names]


def _needs_glyph(character: str) -> bool:
    return unicodedata.category(character) not in INVISIBLE and not "\ufe00" <= character <= "\ufe0f"


def _hint(missing: set[str]) -> str:
    """Say which scripts are drawn as boxes, and what to install for them."""
    scripts = {_script(character) for character in missing}
    packages = sorted({_package(script) for script in scripts})
    return (
        f"no font with {', '.join(sorted(scripts))} characters is installed, so they are drawn as boxes; install one: "
        f"apt-get install {' '.join(packages)}"
    )


def _script(character: str) -> str:
    name = unicodedata.name(character, "").split(" ")[0]
    if name.startswith(CJK):
        return "Chinese, Japanese or Korean"
    return "emoji and symbol" if unicodedata.category(character) in ("So", "Sk") else name.capitalize() or "unnamed"


def _package(script: str) -> str:
    return {"Chinese, Japanese or Korean": CJK_PACKAGE, "emoji and symbol": "fonts-symbola"}.get(
        script, "fonts-noto-core"
    )


@cache
def _brought() -> frozenset[int]:
    from matplotlib import font_manager

    return _characters(font_manager.findfont(BROUGHT))


@cache
def _installed() -> list[tuple[str, str]]:
    """Return the families and files of plain upright fonts on this machine, the best first."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    fonts: dict[str, str] = {}
    for path in sorted(font_manager.findSystemFonts()):
        try:
            font = FT2Font(path)
        except (OSError, RuntimeError):  # a format that matplotlib does not draw, such as fonts of coloured bitmaps
            continue
        if font.scalable and font.style_name in ("Regular", "Book", "Normal", "Roman"):
            fonts.setdefault(font.family_name, path)
    return sorted((item for item in fonts.items() if item[0] not in PLACEHOLDERS), key=lambda item: _rank(item[0]))


def _rank(family: str) -> tuple[int, bool, int, str]:
    """Order families: those preferred, then plain ones of Noto, then short names."""
    place = PREFERRED.index(family) if family in PREFERRED else len(PREFERRED)
    return place, not family.startswith("Noto Sans"), len(family), family


@cache
def _characters(path: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(path).get_charmap())


@cache
def _add(path: str) -> None:
    """Let matplotlib know a font that its list may lack."""
    from matplotlib import font_manager

    if path not in {font.fname for font in font_manager.fontManager.ttflist}:
        font_manager.fontManager.addfont(path)
