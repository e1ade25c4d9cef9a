"""What runs are judged by: shuffles that change the order alone, and two tasks, of which one needs it."""

from collections import Counter

import numpy as np
import pytest
import torch

from hf_embeddings.lab.judgement import GROUPS, LENGTH, examples_of, shuffle_groups
from hf_embeddings.lab.tables import Table
from hf_embeddings.pretraining.examples.batches import Vocabulary

CLS, SEP, MASK = 2, 3, 4
VOCABULARY = Vocabulary(pad=0, cls=CLS, sep=SEP, mask=MASK, ordinary=np.arange(5, 60))


@pytest.mark.parametrize("size", GROUPS)
def test_a_shuffle_keeps_segments_groups_and_what_is_hidden(size: int) -> None:
    segments = [list(range(10, 21)), list(range(30, 37)), [40], list(range(41, 54))]
    ids = [CLS, *segments[0], SEP, *segments[1], SEP, CLS, *segments[2], SEP, *segments[3], SEP]
    hidden = [ids.index(token) for token in (12, 33, 50)]
    batch = {
        "input_ids": torch.tensor([ids]),
        "cu_seq_lens": torch.tensor([0, 21, len(ids)]),
        "masked_lm_positions": torch.tensor(hidden),
        "labels": torch.tensor([12, 33, 50]),
    }
    found = shuffle_groups(batch, size, {CLS, SEP}, np.random.default_rng(0))
    row, start = found["input_ids"][0].tolist(), 0
    assert row != ids and torch.equal(found["labels"], torch.tensor(row)[found["masked_lm_positions"]])
    assert [place for place, token in enumerate(row) if token in (CLS, SEP)] == [0, 12, 20, 21, 23, 37]
    for segment in segments:
        start = next(place for place in range(start, len(row)) if row[place] in segment)
        own = row[start : start + len(segment)]
        assert sorted(own) == segment
        groups = {tuple(segment[at : at + size]) for at in range(0, len(segment), size)}
        assert all(any(group == tuple(own[at : at + len(group)]) for at in range(len(own))) for group in groups)


def test_words_alone_tell_one_task_and_not_the_other() -> None:
    random = np.random.default_rng(0)
    for task, tells in (("order", False), ("content", True)):
        ids, labels = examples_of(task, VOCABULARY, 400, random)
        assert ids.shape == (400, LENGTH) and 150 < int(labels.sum()) < 250
        words = [Counter(row.tolist()) for row in ids]
        by_label = [[own for own, label in zip(words, labels, strict=True) if label == value] for value in (0, 1)]
        always = [set.intersection(*(set(own) for own in group)) for group in by_label]
        assert (always[0] != always[1]) == tells and len(always[0]) == 4  # [CLS], [SEP] and two words


def test_latex_of_a_table_holds_what_markdown_does() -> None:
    table = Table("Losses at 5 %", ["type", "loss"], [["`rope_a`", "**1.0 ± 0.1**"]])
    assert table.markdown().splitlines() == ["| type | loss |", "| --- | --- |", "| `rope_a` | **1.0 ± 0.1** |"]
    assert r"\texttt{rope\_a} & \textbf{1.0 $\pm$ 0.1} \\" in table.latex()
    assert r"\caption{Losses at 5 \%}" in table.latex()
