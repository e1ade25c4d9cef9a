"""A prepared corpus on the disk: the names of its files and arrays, for those who write and those who read them."""

from pathlib import Path

import numpy as np

from hf_embeddings.corpora.selection import HELD_OUT, TRAINING
from hf_embeddings.corpora.tokenized_corpus import TokenizedCorpus
from hf_embeddings.files.shards import Shard

INDEX = "index.safetensors"
ROLES = {"training": TRAINING, "held_out": HELD_OUT}


def chunks_of(path: Path) -> Path:
    """Return the path of the chunks of a shard."""
    return path.with_name(f"{path.stem}-chunks.safetensors")


def shard_corpus(arrays: Shard) -> TokenizedCorpus:
    """Return the documents of one shard."""
    return TokenizedCorpus(
        tokens=arrays["tokens"],
        continues=arrays["continues"],
        sentence_starts=arrays["sentence_starts"].astype(np.int64),
        document_starts=arrays["document_starts"].astype(np.int64),
        empty_sentences=0,
    )
