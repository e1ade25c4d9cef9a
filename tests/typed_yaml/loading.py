"""Options files of tests: fixtures that load a small one, or show that it cannot be loaded."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hf_embeddings.pretraining.options import PretrainingOptions
from hf_embeddings.pretraining.options_file import load_options
from hf_embeddings.typed_yaml.nodes import OptionsError

MINIMAL = "output_dir: out\nmodel: {base: tiny.json}\ncorpus:\n  source: pydoc:os\n"  # what is added stands on line 5
Load = Callable[..., PretrainingOptions]
Fail = Callable[..., str]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load the minimal file with `added` after it and `overrides` on top."""

    def load(added: str = "", *overrides: str) -> PretrainingOptions:
        (tmp_path / "run.yaml").write_text(MINIMAL + added, encoding="utf-8")
        return load_options(tmp_path / "run.yaml", overrides)

    return load


@pytest.fixture
def fail(tmp_path: Path) -> Fail:
    """Load a file that must fail, check the form of the error, and return it without the folder."""

    def fail(content: str | bytes, *overrides: str) -> str:
        (tmp_path / "run.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
        with pytest.raises(OptionsError) as raised:
            load_options(tmp_path / "run.yaml", overrides)
        return checked(raised.value, tmp_path)

    return fail


def checked(error: OptionsError, folder: Path) -> str:
    line = str(error).replace(f"{folder}/", "")
    assert len(line.splitlines()) == 1
    assert "got " in line and ", expected " in line and "; " in line
    return line
