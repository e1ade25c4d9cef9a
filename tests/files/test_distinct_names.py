"""Names of files: short where they can be, and never two the same."""

from pathlib import Path

import pytest

from hf_embeddings.files.distinct_names import distinct_names


@pytest.mark.parametrize(
    "paths, names",
    [
        (["a/pairs.tsv", "b/words.tsv"], ["pairs", "words"]),
        (["a/pairs.tsv", "b/pairs.tsv", "b/words.tsv"], ["a/pairs.tsv", "b/pairs.tsv", "words"]),
        (["a/pairs.tsv", "a/pairs.csv"], ["pairs.tsv", "pairs.csv"]),
        (["x/a/set", "y/a/set"], ["x/a/set", "y/a/set"]),
        (["a/set.v1", "a/set.v2"], ["set.v1", "set.v2"]),
    ],
)
def test_names_are_short_and_differ(paths: list[str], names: list[str]) -> None:
    found = distinct_names([Path(path) for path in paths])
    assert found == names and len(set(found)) == len(paths)


def test_a_file_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").touch()
    (tmp_path / "inner").mkdir()
    with pytest.raises(ValueError, match="pairs.tsv: given twice, expected each file once"):
        distinct_names([tmp_path / "pairs.tsv", tmp_path / "inner/../pairs.tsv"])
