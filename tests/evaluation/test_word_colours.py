"""What colours say of words: scripts by their letters, clusters by their vectors, columns as numbers or names."""

from pathlib import Path

import numpy as np
import pytest

from hf_embeddings.evaluation.word_colours import check_choice, clusters, column, script_of
from hf_embeddings.evaluation.word_lists import WordList, count_words, read_words
from hf_embeddings.visualization.colouring import Groups, Scale


@pytest.mark.parametrize(
    "word, script",
    [("国王", "Chinese characters"), ("king", "Latin"), ("царь", "Cyrillic"), ("ねこ", "Kana"), ("مرحبا", "Arabic"),
     ("हिन्दी", "Devanagari"), ("2024", "digits"), ("naïve1", "Latin"), ("!?", "other signs")],
)  # fmt: skip
def test_the_script_is_that_of_most_letters(word: str, script: str) -> None:
    assert script_of(word) == script


def test_clusters_are_those_of_the_directions() -> None:
    random = np.random.default_rng(0)
    centres = np.repeat(np.eye(3, 8), 10, axis=0)
    vectors = (centres + 0.05 * random.normal(size=centres.shape)) * random.uniform(0.5, 20, size=(30, 1))
    found = clusters(vectors, [f"w{row}" for row in range(30)])
    assert [len(set(found.of[start : start + 10])) for start in (0, 10, 20)] == [1, 1, 1] and len(found.names) == 3
    assert found.detail.startswith("k-means, silhouette 0.9")
    assert all(set(name.split(", ")) <= {f"w{row}" for row in found.rows(name)} for name in found.names)


def test_a_column_of_numbers_is_a_scale_and_any_other_groups() -> None:
    scale = column("age", ["1", "2.5", "", "1,000"])
    assert isinstance(scale, Scale) and scale.logarithmic
    np.testing.assert_array_equal(scale.values, [1, 2.5, np.nan, 1000])
    assert column("kind", ["1", "a", ""]) == Groups("kind", ["1", "a", "none"])


@pytest.mark.parametrize("name, between", [("words.tsv", "\t"), ("words.csv", ",")])
def test_a_table_names_its_columns(name: str, between: str, tmp_path: Path) -> None:
    rows = [["word", "group", "age"], ["cat", "animals", "3"], ["king", "people"], ["cat", "animals", "9"]]
    (tmp_path / name).write_text("\n".join(between.join(row) for row in rows))
    assert read_words(tmp_path / name) == WordList(["cat", "king"], ["animals", "people"], {"age": ["3", ""]})


def test_a_choice_that_is_not_there_is_refused_with_those_that_are() -> None:
    check_choice("age", WordList(["cat"], ["a"], {"age": ["3"]}))
    with pytest.raises(ValueError, match="got 'colour', expected group, .* or a column of --file: age"):
        check_choice("colour", WordList(["cat"], ["a"], {"age": ["3"]}))
    with pytest.raises(ValueError, match="its first row names none"):
        check_choice("colour", WordList(["cat"], ["a"]))


def test_words_are_counted_as_words_and_those_without_spaces_anywhere(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The cat sat. A Cat, catalogue; New York. 猫追狗，狗追猫。")
    assert count_words(["cat", "Cat", "new york", "猫", "dog"], str(tmp_path / "a.txt")) == [2, 2, 1, 2, 0]
