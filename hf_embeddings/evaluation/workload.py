"""How long each measure takes beside the others: what the time left of an evaluation is told by.

Nearly all of the time goes into encoding, and that is counted: a text costs its characters, as far as the model reads
them, and a little by itself. The rest is set beside that, as measured with a model of six layers.
"""

from collections.abc import Mapping, Sequence
from itertools import chain

from hf_embeddings.evaluation.grammar import Language, minimal_pairs
from hf_embeddings.evaluation.retrieval_set import RetrievalSet
from hf_embeddings.evaluation.test_sets import Analogies, ScoredPairs, WordLists, texts_of
from hf_embeddings.evaluation.weat import SENTENCES

TEXT = 20.0  # of a text, beside its characters
CHARACTERS_PER_TOKEN = 4  # about; what is longer than the model reads costs no more
TABLE_ROW = 10.0  # of a row of the token table that is compared with all others
COPIES = 9  # of a sentence, one for each token that is hidden
PLACES = 3.0  # the documents that show position bias, and the layers, beside the sentences once
SIZES = 0.5  # the neighbours at all sizes, beside the sentences once
PAIR = 5e-4  # of a query and a text that are compared at all sizes


def texts_cost(texts: Sequence[str], max_length: int) -> list[float]:
    """Return what each text costs to encode."""
    longest = CHARACTERS_PER_TOKEN * max_length
    return [min(len(text), longest) + TEXT for text in texts]


class Workload:
    """What measures cost with a model that reads `max_length` tokens."""

    def __init__(self, max_length: int) -> None:
        self.max_length = max_length

    def encoding(self, texts: Sequence[str]) -> float:
        """Return the cost of encoding texts."""
        return sum(texts_cost(texts, self.max_length))

    def similarity(self, data: ScoredPairs) -> float:
        """Return the cost of scored pairs."""
        return self.encoding(texts_of(data))

    def analogies(self, data: Analogies) -> float:
        """Return the cost of questions."""
        return self.encoding(list({word for word in chain(*chain(*data.sections.values()))}))

    def retrieval(self, data: RetrievalSet) -> float:
        """Return the cost of a retrieval set."""
        return self.encoding(data.queries) + self.encoding(data.candidates)

    def bias(self, tests: Mapping[str, WordLists]) -> float:
        """Return the cost of association tests, of words and of sentences."""
        words = [list(chain(*groups.values())) for groups in tests.values()]
        return sum((1 + len(SENTENCES)) * self.encoding(group) for group in words)

    def grammar(self, language: Language) -> float:
        """Return the cost of minimal pairs, of which each token is hidden once."""
        pairs = minimal_pairs(language)
        return COPIES * self.encoding([text for pair in pairs for text in (pair.right, pair.wrong)])

    def table(self, rows: int) -> float:
        """Return the cost of the token table."""
        return TABLE_ROW * rows

    def text(self, sentences: Sequence[str]) -> float:
        """Return the cost of the geometry of sentences."""
        return (1 + PLACES) * self.encoding(sentences)

    def sizes(self, sentences: Sequence[str], sets: Mapping[str, RetrievalSet]) -> float:
        """Return the cost of all sizes; the vectors are there already."""
        pairs = sum(len(data.queries) * len(data.candidates) for data in sets.values())
        return SIZES * self.encoding(sentences) + PAIR * pairs
