"""Sentences of English and Chinese text, found by their punctuation."""

import re

from hf_embeddings.corpora.chinese import CLASS

ABBREVIATIONS = frozenset(  # the sentence goes on after them
    "e.g i.e eg ie cf vs etc al dr mr mrs ms prof sr jr st fig figs eq eqs ed eds vol approx resp incl viz dept univ "
    "inc ltd co corp jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
NUMBERED = frozenset("no nos p pp ch chap sec art ref refs ver est ca".split())  # it goes on if a number follows
# "J. Smith" and "U.S. troops" go on, "of dimension N. The" does not: after initials, these words begin a sentence.
STARTERS = frozenset(
    "the this these that those it its if in a an as at by for from to when where while with we you he she they there "
    "note see however each all any both no not use returns return and but or so on only otherwise then default".split()
)

_CLOSING = r"""["'”’»)\]}＂＇）】」』〉》〕〗〙］｝*`]"""
_END_OF_LINE = r"[^\S\n]*+ (?: \n | \Z )"
# Linear on any input: repeats are possessive, and a look-behind tries a run of stops at its first character only.
_BOUNDARY = re.compile(
    rf"""[\n.!?。！？；…]  # one plain class first: the engine then skips to candidates without trying the alternatives
    (?: (?<=\n) [^\S\n]*+ \n \s*+                                              # a blank line
    |   (?<=[。！？；]) [.!?。！？；…]*+ {_CLOSING}*+                            # Chinese stops need no space
    |   (?<=…) (?<! [.!?…]… ) [.!?。！？；…]*+ {_CLOSING}*+ (?! \s*+ [a-z,;，、] )   # "wait… what?" is one sentence
    |   (?<=[.!?]) (?<! [.!?…][.!?] ) [.!?…]*+ {_CLOSING}*+
        (?: (?= {_END_OF_LINE} ) | (?= \s++ [^\sa-zß-öø-ÿа-я,;:)\]}}…=+/] ) | (?= [{CLASS}] ) )
        (?! \s++ [,;:)\]}}] )
    )""",
    re.VERBOSE,
)
_INITIALS = re.compile(r"[A-Z]|(?:[A-Za-z]{1,2}\.)+[A-Za-z]{1,2}")
_NEXT_WORD = re.compile(r"\s*+[^\w\s]*+(\w*)")
_WORD_CHARACTERS = 12  # as far back as an abbreviation is looked for


def split_sentences(document: str) -> list[str]:
    """Split a document into sentences; only white space between them is lost."""
    sentences = []
    start = 0
    for match in _BOUNDARY.finditer(document):
        if match.group().startswith(".") and _continues(document, start, match):
            continue
        sentence = document[start : match.end()].strip()
        if sentence:
            sentences.append(sentence)
        start = match.end()
    rest = document[start:].strip()
    return [*sentences, rest] if rest else sentences


def _continues(document: str, start: int, match: re.Match[str]) -> bool:
    """Tell whether the full stop belongs to an abbreviation, a number or initials; the sentence begins at `start`."""
    if match.group().startswith(".."):
        return False
    stop = match.start()
    before = document[max(start, stop - _WORD_CHARACTERS) : stop]
    if not before or before[-1].isspace():
        return False
    word = before.split()[-1].lstrip("\"'“‘([{<*_`~-")
    if word.lower() in ABBREVIATIONS:
        return True
    if word.isdecimal():  # "1. Install" at the start of a line, or an array such as "[0. 1.]"
        line = before[before.rfind("\n") + 1 :]
        heads_line = line.strip() == word and (len(line) < len(before) or stop - start <= len(before))
        return (heads_line and len(word) <= 2) or _next_word(document, match).isdecimal()
    if word.lower() in NUMBERED:
        return _next_word(document, match).isdecimal()
    return bool(_INITIALS.fullmatch(word)) and _next_word(document, match).lower() not in STARTERS


def _next_word(document: str, match: re.Match[str]) -> str:
    found = _NEXT_WORD.match(document, match.end())
    return found.group(1) if found else ""
