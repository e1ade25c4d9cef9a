"""The help of LibreOffice as Debian installs it: the same text in some 35 languages, paragraph by paragraph."""

import html
import re
from pathlib import Path

FOLDER = Path("/usr/share/libreoffice/help")
ENGLISH = "en-US"
SHORTEST_PAGE = 3  # paragraphs
_TAG, _PARAGRAPH = re.compile(r"<[^>]*>"), re.compile(r'(?s)<p [^>]*id="(par_\w+)"[^>]*>(.*?)</p>')

Units = dict[tuple[str, str], str]  # page and paragraph -> text


def help_paragraphs(folder: Path) -> Units:
    """Return the paragraphs of one language, by page and id, without markup; none where it is not installed."""
    root = folder / "text"
    return {
        (page.relative_to(root).as_posix(), name): plain_text(text)
        for page in sorted(root.rglob("*.html"))
        for name, text in _PARAGRAPH.findall(page.read_text(encoding="utf-8"))
    }


def plain_text(markup: str) -> str:
    """Return HTML without its tags, each run of white space as a space."""
    return " ".join(html.unescape(_TAG.sub("", markup)).split())


def write_help(source: Path, folder: Path) -> None:
    """Write a text file for each language, a document for each page; what is not translated is left out.

    Raises:
        ValueError: no language is there.
    """
    languages = sorted(path.name for path in source.iterdir() if any((path / "text").rglob("*.html")))
    if not languages:
        raise ValueError(f"{source}: got no language, expected folders of HTML pages; install libreoffice-help-en-us")
    english = set(help_paragraphs(source / ENGLISH).values()) if ENGLISH in languages else set()
    for language in languages:
        pages: dict[str, list[str]] = {}
        for (page, _), text in help_paragraphs(source / language).items():
            if text and (language.startswith("en") or text not in english):
                pages.setdefault(page, []).append(text)
        documents = ["\n".join(page) for page in pages.values() if len(page) >= SHORTEST_PAGE]
        (folder / f"{language}.txt").write_text("\n\n".join(documents) + "\n", encoding="utf-8", newline="\n")
