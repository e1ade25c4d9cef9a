"""Hook of mkdocs: pages may link to files of the repository outside docs, which the site then carries as copies.

So the same links work where the pages are read as files of the repository. A Markdown file becomes a page of the site.
"""

import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
FOLDER = "repository"  # of the copies, within the site
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)[^)#\s]+")  # the target in [text](target) or ![text](target)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a copy of each file outside docs that a page links to, and of what such a copy links to in turn."""
    docs = Path(config.docs_dir).resolve()
    waiting = [docs / file.src_uri for file in files.documentation_pages()]
    outside: dict[str, Path] = {}
    while waiting:
        page = waiting.pop()
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            path = (page.parent / link).resolve()
            name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""
            if name and path.is_file() and not path.is_relative_to(docs) and name not in outside:
                outside[name] = path
                waiting += [path] if path.suffix == ".md" else []
    for name, path in outside.items():
        files.append(File.generated(config, f"{FOLDER}/{name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links that leave docs to the copies, and links of a copy into docs to the pages there."""
    place = PurePosixPath(page.file.src_uri)
    docs = Path(config.docs_dir).resolve()
    is_copy = place.parts[0] == FOLDER
    origin = ROOT / PurePosixPath(*place.parts[1:]) if is_copy else docs / place

    def target(link: str) -> str:
        path = (origin.parent / link).resolve()
        if path.is_relative_to(docs):
            within = path.relative_to(docs).as_posix()
        elif path.is_relative_to(ROOT):
            within = f"{FOLDER}/{path.relative_to(ROOT).as_posix()}"
        else:
            return link
        is_page = files.get_file_from_path(within) is not None and (is_copy or within.startswith(f"{FOLDER}/"))
        return "../" * (len(place.parts) - 1) + within if is_page else link

    return LINK.sub(lambda match: target(match[0]), markdown)
