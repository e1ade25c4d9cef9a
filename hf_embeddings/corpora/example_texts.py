"""Raw texts from installed packages as corpora: articles of Wikipedia, a Chinese novel, Chinese news."""

import bz2
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

PAGE = re.compile(r"<page>.*?</page>", flags=re.DOTALL)
TITLE = re.compile(r"<title>(.*?)</title>")
MARKUP = re.compile(r"<text [^>]*>(.*?)</text>", flags=re.DOTALL)
NOT_PROSE = re.compile(r"\s*([=*#:;|!{}]|\S+:\S|$)")  # headings, lists, tables, links to files and categories
SHORTEST_LINE = 80  # characters: shorter lines are captions and remains of tables
SHORTEST_ARTICLE = 500  # characters: shorter pages are redirects
TAG = re.compile(r"/\w+\]?\w*$")  # of a word of the news: its kind, and the end of a name of several words
STOP = re.compile("[。！？；…]")
LONGEST_TITLE, SHORTEST_NEWS = 40, 60  # characters


def wikipedia_articles(file: Path) -> Iterator[dict[str, str]]:
    """Yield title and text of the articles of a bzip2 dump of MediaWiki, without markup."""
    from gensim.corpora.wikicorpus import filter_wiki

    for page in PAGE.findall(bz2.decompress(file.read_bytes()).decode("utf-8")):
        title, markup = TITLE.search(page), MARKUP.search(page)
        if title is None or markup is None or ":" in title[1]:  # with a colon: of another namespace
            continue
        lines = filter_wiki(html.unescape(markup[1])).splitlines()
        prose = [" ".join(line.split()) for line in lines if len(line) >= SHORTEST_LINE and not NOT_PROSE.match(line)]
        text = "\n".join(line.replace("'''", "").replace("''", "") for line in prose)
        if len(text) >= SHORTEST_ARTICLE:
            yield {"title": html.unescape(title[1]), "text": text}


def write_articles(file: Path, target: Path) -> None:
    """Write the articles of a dump as JSON lines."""
    with open(target, "w", encoding="utf-8", newline="\n") as lines:
        for article in wikipedia_articles(file):
            lines.write(json.dumps(article, ensure_ascii=False) + "\n")


def write_chapters(file: Path, target: Path) -> None:
    """Write a JSON list of chapters as a text file: one paragraph a line, blank lines between chapters."""
    chapters = json.loads(file.read_text(encoding="utf-8"))
    texts = ["\n".join(filter(None, map(str.strip, chapter.splitlines()))) for chapter in chapters]
    target.write_text("\n\n".join(texts) + "\n", encoding="utf-8", newline="\n")


def write_news(file: Path, target: Path) -> None:
    """Write the tagged words of a Chinese newspaper as a text file: one paragraph a line, blank lines between articles.

    An article begins with a short line without a stop, behind a line with one.
    """
    articles: list[list[str]] = [[]]
    after_text = True
    for line in file.read_text(encoding="utf-8").splitlines():
        text = "".join(TAG.sub("", word.lstrip("[")) for word in line.split())
        is_text = bool(STOP.search(text))
        if not is_text and after_text and len(text) < LONGEST_TITLE:
            articles.append([])
        after_text = is_text
        articles[-1].append(text)
    texts = ["\n".join(filter(None, article)) for article in articles]
    kept = [text for text in texts if len(text) >= SHORTEST_NEWS]
    target.write_text("\n\n".join(kept) + "\n", encoding="utf-8", newline="\n")
