"""A sample of sentences: from all over a corpus, the same whatever their order."""

from pathlib import Path

from hf_embeddings.evaluation.word_lists import read_sentences, sample_sentences


def test_a_sample_comes_from_all_over_and_depends_on_the_texts_alone(tmp_path: Path) -> None:
    lines = [f"This is the sentence number {number} of the corpus." for number in range(300)]
    for name, order in (("there", lines), ("back", [*reversed(lines), *lines])):
        (tmp_path / f"{name}.txt").write_text("\n\n".join(order), encoding="utf-8")
    sample = sample_sentences(str(tmp_path / "there.txt"), 60)
    assert sample == sample_sentences(str(tmp_path / "back.txt"), 60) and len(set(sample)) == 60
    assert sample_sentences(str(tmp_path / "there.txt"), 30) == sample[:30]
    places = sorted(map(lines.index, sample))
    assert places[0] < 40 and places[-1] > 260 and 120 < sum(places) / 60 < 180
    assert read_sentences(str(tmp_path / "there.txt"), 60) == lines[:60]
