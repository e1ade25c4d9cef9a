"""Sentences by our rules and by libraries: which cuts come back where sentences of known ends are joined, and how fast.

    python -m benchmarks.sentences [--libraries sentencex icu4py ...] [--json FILE]

Text: the LibreOffice help and the Debian handbook, whose paragraphs are aligned over languages, from wherever their
Debian packages are unpacked (libreoffice-help-*, debian-handbook). A paragraph counts as one sentence where both its
Chinese and its Japanese translation have one full stop (。, which ends nothing but sentences) and have it at the end:
what stands in the paragraph in another language, such as "z. B. 3.5", is then known not to end one. Eight paragraphs in
a row make a document. Our rules were written with an eye on every other document; the rest is measured.
"""

import argparse
import json
import re
import statistics
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from hf_embeddings.corpora import stops
from hf_embeddings.corpora.help_texts import FOLDER, help_paragraphs, plain_text
from hf_embeddings.corpora.sentences import split_sentences
from hf_embeddings.corpora.text_rules import TextRules

Split = Callable[[str, str], list[str]]  # text and language -> sentences
Figures = dict[str, float | None]  # by column
Units = dict[tuple[str, int | str], str]  # file and paragraph -> text

HANDBOOK = Path("/usr/share/doc/debian-handbook/html")
LANGUAGES = "en de fr es it pl ru el tr vi ar fa hi km ko ja zh".split()
PIVOTS = ("zh", "ja")
UNSPACED = {"zh", "ja"}  # nothing stands between their sentences
FOLDERS = {"zh": "zh-CN", "en": "en-US"}  # where it is not the language itself
SENTENCES, DOCUMENTS = 8, 160  # of a document; of a language and a package, at most
TIMED = 100_000  # characters of a language
ROUNDS = 3
_ENDS = re.compile(rf"[{stops.DOTS}{stops.STOPS}]\W*\Z")
_PARA = re.compile(r'(?s)<div class="para">(.*?)</div>')


def main() -> None:
    """Print a table for each package of text, and one of speed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--libraries", nargs="*", default=list(LIBRARIES))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    splitters = {"ours": _ours, "language given": _of_language, "rules 2": _earlier} | {
        name: LIBRARIES[name]() for name in options.libraries
    }
    texts = {"LibreOffice help": joined(help_units), "Debian handbook": joined(handbook_units)}
    figures: dict[str, dict[str, Figures]] = {}
    for package, languages in texts.items():
        for case in ("as written", "in lower case"):
            title = f"{package}, {case}"
            figures[title] = {}
            for language, documents in languages.items():
                if case == "in lower case":
                    documents = [[sentence.lower() for sentence in document] for document in documents]
                    if documents == languages[language]:
                        continue
                sizes: Figures = {"sentences": sum(map(len, documents))}
                figures[title][language] = sizes | {name: f1(documents, language, s) for name, s in splitters.items()}
            show(title + ": F1 of the cuts, %", figures[title], list(splitters))
    figures["seconds per MB"] = times(texts, splitters)
    show("Seconds for 1 MB of UTF-8", figures["seconds per MB"], list(splitters))
    print(", ".join(f"{name} {version(name)}" for name in options.libraries))
    if options.json:
        options.json.write_text(
            json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n"
        )


def show(title: str, rows: dict[str, Figures], names: list[str]) -> None:
    """Print a table, with the mean of each column over the languages that it has all of."""
    names = [name for name in ["sentences", *names] if any(name in row for row in rows.values())]
    print(f"\n## {title}\n\n| language | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for language, row in rows.items():
        print(f"| {language} | {' | '.join(_cell(name, row.get(name)) for name in names)} |")
    full = {name: [row.get(name) for row in rows.values()] for name in names if name != "sentences"}
    means = [_cell(name, statistics.mean(x or 0.0 for x in v)) if None not in v else "" for name, v in full.items()]
    print(f"| **mean** |{' |' * ('sentences' in names)} {' | '.join(means)} |")


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if name == "sentences" else f"{value:.3g}" if value < 2 else f"{value:.1f}"


def f1(documents: list[list[str]], language: str, split: Split) -> float | None:
    """Return F1 of the cuts inside documents, in %; None where a library has no such language."""
    right = found = known = 0
    space = "" if language in UNSPACED else " "
    for sentences in documents:
        try:
            cuts = _cuts(split(space.join(sentences), language))
        except KeyError:
            return None
        truth = _cuts(sentences)
        right, found, known = right + len(cuts & truth), found + len(cuts), known + len(truth)
    return 200 * right / (found + known)


def _cuts(sentences: list[str]) -> set[int]:
    """Return how many characters, white space aside, stand before each cut."""
    ends, total = set(), 0
    for sentence in sentences:
        total += len("".join(sentence.split()))
        ends.add(total)
    return ends - {0, total}


def times(texts: dict[str, dict[str, list[list[str]]]], splitters: dict[str, Split]) -> dict[str, Figures]:
    """Return the seconds that 1 MB takes, the best of interleaved rounds."""
    rows: dict[str, Figures] = {}
    for language in LANGUAGES:
        space = "" if language in UNSPACED else " "
        documents = [space.join(document) for text in texts.values() for document in text.get(language, [])]
        documents = list(_up_to(documents, TIMED))
        size = 1e-9 + sum(len(document.encode()) for document in documents) / 1e6
        best: dict[str, float] = {}
        for _ in range(ROUNDS):
            for name, split in splitters.items():
                start = time.process_time()
                try:
                    for document in documents:
                        split(document, language)
                except KeyError:
                    continue
                best[name] = min(best.get(name, 1e9), (time.process_time() - start) / size)
        rows[language] = dict(best)
    return rows


def _up_to(documents: list[str], characters: int) -> Iterable[str]:
    for document in documents:
        yield document
        characters -= len(document)
        if characters < 0:
            return


def joined(units_of: Callable[[str], Units]) -> dict[str, list[list[str]]]:
    """Return documents of known sentences, by language."""
    pivots = [units_of(language) for language in PIVOTS]
    single = {key for key, text in pivots[0].items() if all(_is_one(pivot.get(key, "")) for pivot in pivots)}
    english, documents = units_of("en"), {}
    for language in LANGUAGES:
        units = units_of(language)
        known = [text for key, text in units.items() if key in single and _ENDS.search(text)]
        if language != "en":
            untranslated = set(english.values())
            known = [text for text in known if text not in untranslated]
        known = list(dict.fromkeys(known))  # what stands on many pages is taken once
        parts = [known[start : start + SENTENCES] for start in range(0, len(known) - SENTENCES + 1, SENTENCES)]
        if len(parts) >= 10:
            documents[language] = list(islice(parts[:: max(1, len(parts) // DOCUMENTS)], DOCUMENTS))[1::2]
    return documents


def _is_one(text: str) -> bool:
    return text.endswith("。") and len(re.findall("[。！？]", text)) == 1


def help_units(language: str) -> Units:
    """Return the paragraphs of the help by file and id; none where it is not installed."""
    return dict(help_paragraphs(FOLDER / FOLDERS.get(language, language)))


def handbook_units(language: str) -> Units:
    """Return the paragraphs of the handbook by file and number, for pages that have as many in English."""
    english, units = HANDBOOK / "en-US", Units()
    for root in sorted(HANDBOOK.glob(f"{FOLDERS.get(language, language + '-*')}")):
        for page in sorted(root.glob("*.html")):
            original = english / page.name
            counts = [len(_paragraphs(path)) for path in (page, original) if path.exists()]
            if len(counts) == 2 and counts[0] == counts[1]:
                units |= {(page.name, number): text for number, text in enumerate(_paragraphs(page))}
    return units


def _paragraphs(page: Path) -> list[str]:
    return [plain_text(text) for text in _PARA.findall(page.read_text(encoding="utf-8"))]


def _ours(text: str, language: str) -> list[str]:
    return split_sentences(text)


def _of_language(text: str, language: str) -> list[str]:
    return split_sentences(text, TextRules(language=language))


def _earlier(text: str, language: str) -> list[str]:
    return split_sentences(text, TextRules(number=2))


def _sentencex() -> Split:
    import sentencex

    return lambda text, language: list(sentencex.segment(language, text))


def _icu4py() -> Split:
    from icu4py.breakers import SentenceBreaker

    return lambda text, language: list(SentenceBreaker(text, language))


def _uniseg() -> Split:
    from uniseg.sentencebreak import sentences

    return lambda text, language: list(sentences(text))


def _pysbd() -> Split:
    import pysbd
    from pysbd.languages import LANGUAGE_CODES

    splitters = {language: pysbd.Segmenter(language, clean=False) for language in LANGUAGE_CODES}
    return lambda text, language: splitters[language].segment(text)


LIBRARIES: dict[str, Callable[[], Split]] = {
    "sentencex": _sentencex,
    "icu4py": _icu4py,
    "uniseg": _uniseg,
    "pysbd": _pysbd,
}

if __name__ == "__main__":
    main()
