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
LINK = re.compile(r"(\]\()((?:\.\./)+[^)#\s]+)")
IMAGE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a copy of each file that a page links to, and of the pictures that such a file shows."""
    outside: dict[str, Path] = {}
    for file in files.documentation_pages():
        source = Path(config.docs_dir) / file.src_uri
        for _, link in LINK.findall(source.read_text(encoding="utf-8")):
            path = (source.parent / link).resolve()
            if path.is_file() and not path.is_relative_to(Path(config.docs_dir).resolve()):
                outside[path.relative_to(ROOT).as_posix()] = path
    for path in [path for path in outside.values() if path.suffix == ".md"]:
        for image in IMAGE.findall(path.read_text(encoding="utf-8")):
            shown = (path.parent / image).resolve()
            if shown.is_file() and not shown.is_relative_to(Path(config.docs_dir).resolve()):
                outside[shown.relative_to(ROOT).as_posix()] = shown
    for name, path in outside.items():
        files.append(File.generated(config, f"{FOLDER}/{name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links that leave docs to the copies, and links of a copy into docs to the pages there."""
    place = PurePosixPath(page.file.src_uri)
    docs = Path(config.docs_dir).resolve()
    copied = place.parts[0] == FOLDER
    origin = ROOT / PurePosixPath(*place.parts[1:]) if copied else docs / place

    def target(link: str) -> str:
        path = (origin.parent / link).resolve()
        if path.is_relative_to(docs):
            within = path.relative_to(docs).as_posix()
        elif path.is_relative_to(ROOT):
            within = f"{FOLDER}/{path.relative_to(ROOT).as_posix()}"
        else:
            return link
        known = files.get_file_from_path(within) is not None
        return "../" * (len(place.parts) - 1) + within if known else link

    pattern = re.compile(r"(\]\()((?!\w+:|#)[^)#\s]+)") if copied else LINK
    return pattern.sub(lambda found: found[1] + target(found[2]), markdown)
