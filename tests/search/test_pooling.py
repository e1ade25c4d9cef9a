"""Each pooling equals a loop over the texts."""

import pytest
import torch

from hf_embeddings.search.pooling import POOLINGS

SLOW = {"mean": lambda part: part.mean(0), "cls": lambda part: part[0], "max": lambda part: part.max(0).values}


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pooling_equals_a_loop(name: str, dtype: torch.dtype) -> None:
    lengths = torch.tensor([1, 5, 2, 9])
    hidden = torch.randn(17, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = torch.stack([SLOW[name](part.float()) for part in hidden.split(lengths.tolist())])
    torch.testing.assert_close(POOLINGS[name](hidden, lengths), expected)


def test_every_pooling_has_its_loop() -> None:
    assert SLOW.keys() == POOLINGS.keys()
