"""What the colours of words in a picture can say: their group, frequency, script, cluster, tokens, or a column.

Shapes: N words, D width.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np

from hf_embeddings.analysis.geometry import unit_rows
from hf_embeddings.corpora.word_starts import word_pieces
from hf_embeddings.evaluation.table_files import MISSING
from hf_embeddings.evaluation.vectors import Vectors
from hf_embeddings.evaluation.word_lists import WordList
from hf_embeddings.visualization.colouring import Colouring, Groups, Scale

GROUP, FREQUENCY, SCRIPT, CLUSTER, TOKENS = CHOICES = ("group", "frequency", "script", "cluster", "tokens")
MOST_CLUSTERS = 7  # one for each colour
SAMPLE = 2000  # vectors that the number of clusters is chosen on
SCRIPTS = {  # the first word of a letter's name, where it is not the name of the script
    "CJK": "Chinese characters", "IDEOGRAPHIC": "Chinese characters", "HIRAGANA": "Kana", "KATAKANA": "Kana",
    "HALFWIDTH": "Kana", "DIGIT": "digits", "FULLWIDTH": "Latin",
}  # fmt: skip


def check_choice(choice: str | None, words: WordList | None) -> None:
    """Raise where the colours can neither show what is asked for by name nor by a column of the words.

    Raises:
        ValueError: names what there is.
    """
    columns = list(words.columns) if words is not None else []
    if choice is not None and choice not in (*CHOICES, *columns):
        if words is not None:
            own = f", or a column of --file: {', '.join(columns) or 'its first row names none (word<TAB>name ...)'}"
        else:
            own = ", or a column of --file"
        raise ValueError(f"--color-by: got {choice!r}, expected {', '.join(CHOICES)}{own}")


def colourings(vectors: Vectors, words: WordList, matrix: np.ndarray, *, first: str | None) -> list[Colouring]:
    """Return all that colours can show of words, what is asked for first.

    Clusters cost time and are left out unless they are asked for; so is the frequency where the words have no counts.

    Args:
        vectors: where the words' tokens come from.
        words: N words.
        matrix: (N, D) their vectors, for clusters.
        first: one of `CHOICES` or a column of the words; None: their group.
    """
    pieces = word_pieces(vectors.encoder.tokenizer, words.words)
    kinds: dict[str, Colouring] = {
        GROUP: Groups(GROUP, words.groups),
        SCRIPT: Groups(SCRIPT, [script_of(word) for word in words.words]),
        TOKENS: Groups(TOKENS, [_tokens(len(ids)) for ids in pieces]),
        **{name: column(name, cells) for name, cells in words.columns.items()},
    }
    if words.counts is not None:
        kinds[FREQUENCY] = Scale(FREQUENCY, np.array(words.counts, float), "times in the corpus", logarithmic=True)
    if first == CLUSTER:
        kinds[CLUSTER] = clusters(matrix, words.words)
    wanted = kinds.pop(first or GROUP)
    return [wanted, *(own for own in kinds.values() if isinstance(own, Scale) or len(own.names) > 1)]


def script_of(word: str) -> str:
    """Return the script of most letters of a word, as Unicode names it."""
    names = [unicodedata.name(letter, "").split(" ")[0] for letter in word if unicodedata.category(letter)[0] in "LMN"]
    scripts = Counter(SCRIPTS.get(name, name.capitalize()) for name in names if name)
    return scripts.most_common(1)[0][0] if scripts else "other signs"


def clusters(matrix: np.ndarray, words: Sequence[str]) -> Groups:
    """Group vectors (N, D) by k-means on their directions; the silhouette chooses how many clusters there are.

    Each has the names of the two words nearest its middle.

    Raises:
        ValueError: fewer than four words.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    if len(matrix) < 4:
        raise ValueError(f"--color-by {CLUSTER}: got {len(matrix)} words, expected at least 4")
    unit = unit_rows(matrix)
    sample = unit[np.random.default_rng(0).permutation(len(unit))[:SAMPLE]]
    scores = {}
    for count in range(2, min(MOST_CLUSTERS, len(matrix) - 1) + 1):
        of = KMeans(count, n_init=3, random_state=0).fit_predict(sample)
        scores[count] = float(silhouette_score(sample, of, metric="cosine")) if len(set(of)) > 1 else -1.0
    best = max(scores, key=lambda count: scores[count])
    model = KMeans(best, n_init=3, random_state=0).fit(unit)
    nearest = (unit @ unit_rows(model.cluster_centers_).T).argsort(axis=0)[::-1]
    own = model.labels_
    names = {}
    for cluster in range(best):
        rows = [row for row in nearest[:, cluster] if own[row] == cluster][:2]
        names[cluster] = ", ".join(words[row][:20] for row in rows)
    return Groups(CLUSTER, [names[cluster] for cluster in own], f"k-means, silhouette {scores[best]:.2f}")


def column(name: str, cells: Sequence[str]) -> Colouring:
    """Return a column of a table as a scale, if all its cells that hold something are numbers, else as groups."""
    values = [_number(cell) for cell in cells]
    known = [value for value in values if value is not None and not np.isnan(value)]
    if None in values or not known:
        return Groups(name, [cell or "none" for cell in cells])
    wide = min(known) > 0 and max(known) >= 100 * min(known)
    return Scale(name, np.array(values, float), logarithmic=wide)


def _number(cell: str) -> float | None:
    """Return a cell as a number, NaN where it is empty, None where it is text."""
    if cell.casefold() in MISSING:
        return float("nan")
    try:
        value = float(cell.replace(",", ""))
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _tokens(count: int) -> str:
    return "1 token" if count == 1 else f"{count} tokens" if count < 4 else "4 or more tokens"
