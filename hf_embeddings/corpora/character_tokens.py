"""K-mers: runs of k letters side by side, as genomic encoders read DNA (6-mers of the Nucleotide Transformer).

They do not overlap: of overlapping k-mers, the neighbours of a masked one would spell it out.
"""

from collections import Counter
from collections.abc import Iterable

from tokenizers import Regex, normalizers, pre_tokenizers

from hf_embeddings.corpora.normalization import WORD_START


def kmer_splitter(length: int) -> pre_tokenizers.PreTokenizer:
    """Return the splitting of words into runs of `length` letters from their beginning, and what is left of them."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Split(WORD_START, "isolated"),
            pre_tokenizers.Split(Regex(f".{{{length}}}"), "isolated"),
        ]
    )


def kmers(
    documents: Iterable[str],
    normalizer: normalizers.Normalizer,
    splitter: pre_tokenizers.PreTokenizer,
    *,
    length: int,
    min_frequency: int,
) -> list[str]:
    """Return the runs of `length` letters that a splitter makes of documents, the most frequent first.

    Shorter ones, at the ends of words, are left to single letters.
    """
    counts: Counter[str] = Counter()
    for document in documents:
        counts.update(piece for piece, _ in splitter.pre_tokenize_str(normalizer.normalize_str(document)))
    frequent = ((-n, piece) for piece, n in counts.items() if n >= min_frequency and len(piece) == length)
    return [piece for _, piece in sorted(frequent)]
