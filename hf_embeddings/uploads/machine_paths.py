"""Absolute paths: names of users, projects and disks of this machine, which are nobody's business and lead nowhere."""

import re
from collections.abc import Iterator
from mmap import mmap

_COMPONENT = r"[^/\s,:;'\"<>|()\[\]{}]+"
# A value that is a path as a whole, and one within a longer value, such as prepared:/data/corpus.
_WHOLE = re.compile(r"(?:/[^/\n,]+(?:/[^/\n,]+)+/?|[A-Za-z]:[\\/][^\n,]+|\\\\[^\\\n]+\\[^\n,]+|file:/[^\n,]+)")
_WITHIN = re.compile(rf"(?<![^\s,:;='\"(])(?:/{_COMPONENT}){{2,}}/?|\b[A-Za-z]:\\{_COMPONENT}")
_HOME = re.compile(rb"(?:/home|/Users|\b[A-Za-z]:\\+Users)[/\\]+([\w.-]+)[/\\]")
# Names that documentation gives to nobody, and those of well-known images and services.
_NOBODY = re.compile(rb"(?i)(?:your_?-?)?(?:user_?-?)?(?:name)?|user|me|you|xx+|\.+|runner|jovyan|ubuntu|appuser")


def is_machine_path(value: str) -> bool:
    """Tell whether a value as a whole is an absolute path of two parts or more."""
    return _WHOLE.fullmatch(value) is not None


def find_home(content: "bytes | mmap") -> str | None:
    """Return the path of somebody's home directory in some bytes; None where there is none."""
    match = next((match for match in _HOME.finditer(content) if not _NOBODY.fullmatch(match[1])), None)
    return match[0].decode(errors="replace") if match else None


def shorten(value: object) -> object:
    """Return a value of JSON or YAML with every absolute path in it cut to its last part."""
    if isinstance(value, str):
        return _shorten_text(value)
    if isinstance(value, dict):
        return {shorten(name): shorten(inner) for name, inner in value.items()}
    return [shorten(inner) for inner in value] if isinstance(value, list) else value


def values_of(value: object) -> Iterator[tuple[str, str]]:
    """Yield every string in a value of JSON or YAML, with the key it stands under."""
    waiting: list[tuple[str, object]] = [("", value)]
    seen_ids: set[int] = set()  # what YAML's aliases share is looked at once
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, dict | list) and id(value) not in seen_ids:
            seen_ids.add(id(value))
            pairs = value.items() if isinstance(value, dict) else ((key, inner) for inner in value)
            for name, inner in pairs:
                waiting.append((str(name), inner))
                if isinstance(value, dict):
                    waiting.append((str(name), str(name)))


def _shorten_text(value: str) -> str:
    return _last_part(value) if is_machine_path(value) else _WITHIN.sub(lambda match: _last_part(match[0]), value)


def _last_part(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]
