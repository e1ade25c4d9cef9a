"""A corpus whose tokens tell where they are from: document d consists of token 5 + d alone."""

import numpy as np

from hf_embeddings.corpora.tokenized_corpus import TokenizedCorpus
from hf_embeddings.pretraining.examples.batches import Vocabulary

VOCABULARY = Vocabulary(pad=0, cls=2, sep=3, mask=4, ordinary=np.arange(5, 5000))


def numbered_corpus(documents: int = 60) -> TokenizedCorpus:
    """Return documents of 1 to 8 sentences of 2 to 29 tokens."""
    random = np.random.default_rng(0)
    tokens, sentences, starts = [], [0], [0]
    for document in range(documents):
        for _ in range(random.integers(1, 9)):
            tokens += [5 + document] * int(random.integers(2, 30))
            sentences.append(len(tokens))
        starts.append(len(sentences) - 1)
    return TokenizedCorpus(
        tokens=np.array(tokens, dtype=np.uint16),
        continues=np.zeros(len(tokens), dtype=bool),
        sentence_starts=np.array(sentences),
        document_starts=np.array(starts),
        empty_sentences=0,
    )
