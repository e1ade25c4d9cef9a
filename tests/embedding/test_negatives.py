"""Mined texts are the nearest wrong ones, as a look at all of them finds them."""

import numpy as np

from hf_embeddings.embedding.negatives import mine
from hf_embeddings.embedding.rows import Row
from hf_embeddings.progress import silent_phase
from hf_embeddings.search.encoder import Encoder
from tests.embedding.small import PAIRS, small_options


def test_mined_texts_are_the_nearest_that_are_not_right(tmp_path) -> None:
    small_options(tmp_path)
    rows = [Row(pair) for pair in PAIRS[:40]] + [Row((PAIRS[0][0], PAIRS[5][1]))]  # two texts are right for one query
    encoder = Encoder.load(tmp_path / "base", precision="fp32")
    mined = mine(rows, encoder, count=3, margin=1.0, phases=silent_phase)
    texts = list(dict.fromkeys(row.texts[1] for row in rows))
    vectors = encoder.encode(texts).astype(np.float64)
    for row, found in zip(rows, mined, strict=True):
        right = {other.texts[1] for other in rows if other.texts[0] == row.texts[0]}
        assert found.texts[:2] == row.texts and not right & set(found.texts[2:])
        scores = dict(zip(texts, vectors @ encoder.encode([row.texts[0]])[0], strict=True))
        allowed = sorted(
            (scores[text] for text in texts if text not in right and scores[text] <= scores[row.texts[1]] + 1e-6),
            reverse=True,
        )
        if len(allowed) >= 3:
            np.testing.assert_allclose([scores[text] for text in found.texts[2:]], allowed[:3], atol=1e-6)
