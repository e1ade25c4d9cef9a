"""Sentences, found by the stops of all scripts, by blank lines, and by line ends or spaces where a text has neither."""

import re
from collections.abc import Iterator

from hf_embeddings.corpora import stops
from hf_embeddings.corpora.chinese import CLASS
from hf_embeddings.corpora.languages import ORDINALS, WITHOUT_STOPS, abbreviations, guess_language
from hf_embeddings.corpora.text_rules import DEFAULT, TextRules
from hf_embeddings.files.lines import with_lone_returns_as_ends

NUMBERED = frozenset("no nos p pp ch chap sec art ref refs ver est ca".split())  # it goes on if a number follows
# "J. Smith" and "U.S. troops" go on, "of dimension N. The" does not: after initials, these words begin a sentence.
STARTERS = frozenset(
    "the this these that those it its if in a an as at by for from to when where while with we you he she they there "
    "note see however each all any both no not use returns return and but or so on only otherwise then default".split()
)
SHORTEST_WORD = 4  # letters of a word that a dot ends a sentence after, though a small letter follows: "max. value"
_CLOSING = r"""["'”’»›)\]}＂＇）】」』〉》〕〗〙］｝*`]"""
_END_OF_LINE = r"[^\S\n]*+ (?: \n | \Z )"


def _boundary(stops: str, dots: str, *, candidates: str, first: str, closing: str = _CLOSING) -> re.Pattern[str]:
    """Return the pattern of what ends a sentence; its group `first` is what follows a dot and white space.

    Linear on any input: repeats are possessive, and a look-behind tries a run of stops at its first character only.

    Args:
        stops: classes of characters that need no space after them.
        dots: of those that do.
        candidates: a class that holds all `stops`, and is tested fast.
        first: what a sentence begins with after a dot and white space.
        closing: the class of what follows a stop and belongs to the sentence.
    """
    return re.compile(
        rf"""[\n{dots}{candidates}…]  # one plain class first: the engine skips to candidates without the alternatives
        (?: (?<=\n) [^\S\n]*+ \n \s*+                                              # a blank line
        |   (?<=[{stops}]) [{dots}{stops}…]*+ {closing}*+                         # they need no space
        |   (?<=…) (?<! [{dots}…]… ) [{dots}{stops}…]*+ {closing}*+ (?! \s*+ [a-z,;，、] )   # "wait… what?" is one
        |   (?<=[{dots}]) (?<! [{dots}…][{dots}] ) [{dots}…]*+ {closing}*+
            (?: (?= {_END_OF_LINE} ) | (?= \s++ (?P<first>{first}) ) | (?= [{CLASS}] ) )
            (?! \s++ [,;:)\]}}] )
        )""",
        re.VERBOSE,
    )


_BEFORE_LANGUAGES = r"[^\s,;:)\]}…=+/]"
_BOUNDARIES = {  # by the number of the rules
    1: _boundary(stops.CHINESE, ".!?", candidates=stops.CHINESE, first=r"[^\sa-zß-öø-ÿа-я,;:)\]}…=+/]"),
    2: _boundary(stops.STOPS, stops.DOTS, candidates=stops.CANDIDATES, first=_BEFORE_LANGUAGES),
    # A sentence may begin with a formula, "=SUM(A1)", or with what was left out, "… and so on"; a space without width
    # may follow a stop, as in Khmer.
    3: _boundary(
        stops.STOPS,
        stops.DOTS,
        candidates=stops.CANDIDATES,
        first=rf"{_BEFORE_LANGUAGES} | =(?=\w) | …(?=\s?\w)",
        closing=_CLOSING.replace("[", "[\u200b", 1),
    ),
}
# Thai, Lao, Burmese and Khmer put spaces between clauses. A space beside a number or a foreign word, and before the
# signs of repetition and abbreviation, ends none.
_CLAUSE_LETTER = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aad\ua9e0-\ua9fe\uaa60-\uaadf"
_CLAUSE_END = re.compile(rf"(?<=[{_CLAUSE_LETTER}])\s++(?=[{_CLAUSE_LETTER}])(?![ๆฯໆຯៗ])")
_LINE_END, _GREEK_QUESTION = re.compile("\n"), re.compile(r";(?=\s++[«“\"(]?[\u0386-\u03ab])")
_INITIALS = re.compile(r"[A-Z]|(?:[A-Za-z]{1,2}\.)+[A-Za-z]{1,2}")
_FIRST_LETTER = re.compile(r"\W{0,40}+(\w?)")  # not looked for further, so that time grows with length only
_NEXT_WORD = re.compile(r"\s*+[^\w\s]*+(\w*)")
_WORD_CHARACTERS = 12  # as far back as an abbreviation is looked for


Span = tuple[int, int]  # the first character of a sentence in its document, and the one after its last


def split_sentences(document: str, rules: TextRules = DEFAULT) -> list[str]:
    """Split a document into sentences; only white space between them is lost."""
    return [document[start:end] for start, end in sentence_spans(document, rules)]


def sentence_spans(document: str, rules: TextRules = DEFAULT) -> list[Span]:
    """Return where the sentences of a document are, white space around them left out.

    Beside a blank line, a sentence ends, by `rules.sentences`:

    - `stops`: at a stop of any script.
    - `lines`: also at the end of each line.
    - `spaces`: also at white space in scripts that write none between words, such as Thai.
    - `none`: nowhere, not even at a blank line; the document is one sentence.
    - `auto`: at stops; at spaces in Thai and Lao; at the ends of lines in a document that has neither a stop nor a
      blank line.
    """
    if rules.sentences == "none":
        return _spans(document, [])
    if rules.number == 1:
        return _spans(document, [match.end() for match in _ends(document, _BOUNDARIES[1], "en")])
    document = with_lone_returns_as_ends(document)
    language = "en" if rules.number == 2 else rules.language or guess_language(document)
    stops = _stops(document, language, rules.number)
    further = set()
    if rules.sentences in ("lines", "spaces") or (rules.sentences == "auto" and not stops):
        further.add(_LINE_END)
    if rules.sentences == "spaces" or (rules.sentences == "auto" and language in WITHOUT_STOPS):
        further.add(_CLAUSE_END)
    if language == "el":
        further.add(_GREEK_QUESTION)
    if further:
        stops = sorted({*stops, *(match.end() for pattern in further for match in pattern.finditer(document))})
    return _spans(document, stops)


def _ends(document: str, boundary: re.Pattern[str], language: str | None) -> Iterator[re.Match[str]]:
    start = 0
    for match in boundary.finditer(document):
        if not (match[0].startswith(".") and _goes_on(document, start, match, language)):
            start = match.end()
            yield match


def _stops(document: str, language: str | None, rules: int) -> list[int]:
    """Return where sentences end by stops and blank lines.

    After a dot, a lower-case letter begins a sentence where the word before the dot is too long for an abbreviation
    or has no case itself, and elsewhere only in a text that is written in lower case. None does after more than a dot:
    "Why?" she asked. wait.. what?
    """
    stops = []
    small = set()
    for match in _ends(document, _BOUNDARIES[rules], language):
        if (match["first"] or "").islower():
            if len(match[0]) > 1:
                continue
            if rules < 3 or not _is_word(document, match.start()):
                small.add(match.end())
        stops.append(match.end())
    if small and not _is_small(document, stops):
        return [end for end in stops if end not in small]
    return stops


def _is_word(document: str, stop: int) -> bool:
    """Tell whether what stands before a dot is too long for an abbreviation, of a script without case, or a bracket."""
    before = document[max(0, stop - SHORTEST_WORD) : stop]
    last = before[-1:]
    if last in (")", "]") or (last.isalpha() and last.lower() == last.upper()):
        return True
    return len(before) == SHORTEST_WORD and before.isalpha()


def _is_small(document: str, stops: list[int]) -> bool:
    """Tell whether a text is written in lower case: it begins so, and so do nearly all sentences."""
    firsts = [letter for start in (0, *stops) for letter in _FIRST_LETTER.findall(document, start, start + 50)[:1]]
    small = sum(letter.islower() for letter in firsts)
    return firsts[0].islower() and small >= 10 * sum(letter.isupper() for letter in firsts)


def _spans(document: str, stops: list[int]) -> list[Span]:
    spans = []
    start = 0
    for end in [*stops, len(document)]:
        sentence = document[start:end].strip()
        if sentence:
            first = document.index(sentence[0], start)
            spans.append((first, first + len(sentence)))
        start = end
    return spans


def _goes_on(document: str, start: int, match: re.Match[str], language: str | None) -> bool:
    """Tell whether the full stop belongs to an abbreviation, a number or initials; the sentence begins at `start`."""
    if match.group().startswith(".."):
        return False
    stop = match.start()
    before = document[max(start, stop - _WORD_CHARACTERS) : stop]
    if not before or before[-1].isspace():
        return False
    word = before.split()[-1].lstrip("\"'“‘([{<*_`~-")
    if word.lower() in abbreviations(language):
        return True
    if word.isdecimal():  # "1. Install" at the start of a line, or an array such as "[0. 1.]"
        line = before[before.rfind("\n") + 1 :]
        heads_line = line.strip() == word and (len(line) < len(before) or stop - start <= len(before))
        is_ordinal = heads_line or language in ORDINALS
        return (is_ordinal and len(word) <= 2) or _next_word(document, match).isdecimal()
    if word.lower() in NUMBERED:
        return _next_word(document, match).isdecimal()
    return bool(_INITIALS.fullmatch(word)) and _next_word(document, match).lower() not in STARTERS


def _next_word(document: str, match: re.Match[str]) -> str:
    word = _NEXT_WORD.match(document, match.end())
    return word.group(1) if word else ""
