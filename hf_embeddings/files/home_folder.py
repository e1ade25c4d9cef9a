"""The `~` of a place: shells expand it only where a word begins with it, and never in a file of options."""

import os
import re

_HOME = re.compile(r"(?P<scheme>\w\w+:)?(?P<home>~[^/\\#]*)")  # as in prepared:~/corpus, qdrant:~/store#name


def expand_home(place: str) -> str:
    """Return a place with the folder that `~` or `~user` stands for, as shells do; any other text as it is."""
    match = _HOME.match(place)
    return f"{match['scheme'] or ''}{os.path.expanduser(match['home'])}{place[match.end() :]}" if match else place
