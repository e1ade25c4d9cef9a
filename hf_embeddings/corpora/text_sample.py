"""What a tokenizer loses of a text: counted on a sample of the documents, in parts that add up."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hf_embeddings.corpora.normalization import TURKISH_CASE
from hf_embeddings.corpora.sentences import split_sentences
from hf_embeddings.corpora.tokenized_corpus import SentenceTokenizer
from hf_embeddings.json_record import JsonRecord

DOCUMENT_CHARACTERS = 4000  # that are looked at in one document
SPANS = 4  # places of a longer document that they are taken from: a book may begin in one script and go on in another
EXAMPLES = 10  # changed characters that are kept in mind
WORD_START = "▁"  # what many normalizers put before a word
JOINERS = "\u200b\u200c\u200d"
CUT_WORD = re.compile(r"\A\S{0,100}\s")  # what a span may begin with, where words have spaces
SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # marks, but of glyphs: emoji in colour, forms of 葛


@dataclass(frozen=True, kw_only=True)
class TextSample(JsonRecord):
    """Counts over some documents."""

    characters: int = 0  # white space aside
    unknown: int = 0  # of them, in the token for what is unknown
    letters: int = 0  # letters, marks, and what parts or joins letters without width, as in Persian and Khmer
    changed: int = 0  # of them, changed by the normalizer in more than case
    examples: dict[str, int] = field(default_factory=dict)  # the changed ones -> how often

    @property
    def unknown_share(self) -> float | None:
        """Share of the characters that is unknown; None where there are none."""
        return self.unknown / self.characters if self.characters else None

    @property
    def changed_share(self) -> float | None:
        """Share of the letters that is changed; None where there are none."""
        return self.changed / self.letters if self.letters else None

    @classmethod
    def of(cls, encoder: SentenceTokenizer, documents: Sequence[str], *, characters: int) -> "TextSample":
        """Count in documents that lie evenly among those given, with about so many `characters`."""
        total = sum(min(len(document), DOCUMENT_CHARACTERS) for document in documents)
        spans = [span for document in documents[:: max(1, -(-total // characters))] for span in _spans(document)]
        texts = [sentence for span in spans for sentence in split_sentences(span, encoder.rules)]
        counts = Counter("".join(SELECTORS.sub("", " ".join(texts)).split()))
        letters = {c: n for c, n in counts.items() if unicodedata.category(c)[0] in "LM" or c in JOINERS}
        changed_letters = Counter({c: n for c, n in letters.items() if _is_changed(c, encoder.normalize(c))})
        return cls(
            characters=counts.total(),
            unknown=encoder.unknown_characters(texts),
            letters=sum(letters.values()),
            changed=changed_letters.total(),
            examples=dict(changed_letters.most_common(EXAMPLES)),
        )

    def __add__(self, other: "TextSample") -> "TextSample":
        names = ("characters", "unknown", "letters", "changed")
        examples = Counter(self.examples) + Counter(other.examples)
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        return TextSample(**sums, examples=dict(examples.most_common(EXAMPLES)))


def _spans(document: str) -> list[str]:
    """Return a short document whole, and of a longer one spans that lie evenly in it and begin with a word."""
    if len(document) <= DOCUMENT_CHARACTERS:
        return [document]
    size = DOCUMENT_CHARACTERS // SPANS
    later = [(len(document) - size) * number // (SPANS - 1) for number in range(1, SPANS)]
    return [document[:size], *(CUT_WORD.sub("", document[start : start + size], count=1) for start in later)]


def _is_changed(character: str, normal_form: str) -> bool:
    """Tell whether more than the case has changed; another way to write the same character is no change."""
    if character == "\u200b" and normal_form.isspace():  # words stay apart
        return False
    if normal_form.replace(WORD_START, "").strip() == TURKISH_CASE.get(unicodedata.normalize("NFC", character)):
        return False
    before, after = (unicodedata.normalize("NFC", text).lower() for text in (character, normal_form))
    return before != after.replace(WORD_START, "").strip()
