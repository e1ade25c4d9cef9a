"""A missing optional library is one line with its cure."""

import pytest

from hf_embeddings.cli.extras import require


def test_a_missing_library_names_the_pip_line() -> None:
    require("viz", "json")
    with pytest.raises(ValueError, match=r"nowhere_at_all: not installed; run: pip install 'hf-embeddings\[viz\]'"):
        require("viz", "json", "nowhere_at_all")
