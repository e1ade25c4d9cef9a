"""Laws of docstrings: all are found, in the order of the source, without importing what they document."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from hf_embeddings.corpora import docstrings
from hf_embeddings.corpora.document import SourceReader
from hf_embeddings.corpora.sources import CorpusError, read_described_documents, read_documents

SOURCE = '''"""Module."""
from nowhere import add_newdoc, auto_docstring

@auto_docstring(custom_intro="""
    An introduction that is long enough to be documentation, and not just
    the name of something.
""")
class Outer:
    """Class.

        Indented.
    """
    text = """Not a docstring, though it has
    two lines and is long enough to be taken for one, were it in a call."""

    def method(self):
        "Method."

        def inner():
            r"""Inner."""

try:
    if True:
        async def hidden():
            """Hidden."""
except ImportError:
    pass

add_newdoc("place", "name", ("attribute", """
    The documentation of a C function, """ + """
    in two strings that are one after the other."""))
'''


def read(source: str, max_documents: int | None = None, **options: object) -> list[str]:
    return list(read_documents(source, SourceReader(**options), max_documents=max_documents))


def extract(source: bytes) -> list[str]:
    return [text for _, text in docstrings.extract(source)]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site" / "documented"
    (folder / "part").mkdir(parents=True)
    (folder / "__init__.py").write_text(SOURCE + "\nraise RuntimeError('imported')\n")
    (folder / "module.py").write_text('"""Second."""\ndef f():\n    """Third."""\n')
    (folder / "newer.py").write_text('"""Not for this Python."""\ndef f(:\n')
    (folder / "part" / "__init__.py").write_text('"""Fourth."""\n')
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return folder


def test_extract_finds_docstrings_and_documentation_calls() -> None:
    introduction, *rest, newdoc = sorted(extract(SOURCE.encode()), key=lambda text: "long enough" not in text)
    assert introduction.startswith("An introduction that") and introduction.endswith("the name of something.")
    assert {"Module.", "Class.\n\nIndented.", "Method.", "Inner.", "Hidden."} < {*rest, newdoc}
    assert any("C function" in text and "one after the other" in text for text in rest + [newdoc])
    assert not any("Not a docstring" in text for text in rest)
    assert len(rest) + 2 == 7


def test_extract_follows_the_order_of_the_source() -> None:
    source = (
        '"""0"""\nclass A:\n "1"\n def b():\n  "2"\nif x:\n def c():\n  "3"\nelse:\n def d():\n  "4"\ndef e():\n "5"\n'
    )
    assert extract(source.encode()) == list("012345")


def test_extract_stands_long_chains() -> None:
    chain = "if x: pass\n" + "elif x: pass\n" * 50
    assert extract(b'def f():\n  "found"\n' + chain.encode()) == ["found"]


def test_packages_are_read_without_importing_them(package: Path) -> None:
    statistics: Counter[str] = Counter()
    found = read("pydoc:documented", statistics=statistics)
    assert found[0] == "Module." and found[-3:] == ["Second.", "Third.", "Fourth."]
    assert statistics["unparsable_files"] == 1
    assert "documented" not in sys.modules


def test_documents_carry_the_names_of_what_they_document(package: Path) -> None:
    described = list(read_described_documents("pydoc:documented"))
    names = {document.text.splitlines()[0]: document.metadata["title"] for document in described}
    assert names["Module."] == "documented" and names["Fourth."] == "documented.part"
    assert names["Inner."] == "documented.Outer.method.<locals>.inner" and names["Third."] == "documented.module.f"
    assert "documented.place.name.attribute" in names.values()
    assert names["An introduction that is long enough to be documentation, and not just"] == "documented.Outer"
    assert {document.metadata["package"] for document in described} == {"documented"}


def test_documentation_calls_name_their_function() -> None:
    titles = {document.metadata["title"] for document in read_described_documents("pydoc:torch._torch_docs")}
    assert {"torch.abs", "torch.bernoulli"} < titles


def test_packages_parts_modules_and_lists(package: Path) -> None:
    assert read("pydoc:documented.part") == ["Fourth."]
    assert read("pydoc:documented.module, documented.part") == ["Second.", "Third.", "Fourth."]
    assert read("pydoc:documented,documented") == read("pydoc:documented")


def test_packages_do_not_depend_on_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read("pydoc:yaml")
    monkeypatch.setattr(docstrings, "GROUP_BYTES", 40_000)
    assert read("pydoc:yaml") == whole
    assert read("pydoc:yaml", max_documents=3) == whole[:3]


def test_packages_missing_get_the_nearest_name(package: Path) -> None:
    with pytest.raises(CorpusError, match="'documentd' is not installed.*did you mean 'documented'"):
        read("pydoc:documentd")
    for name in ("documented.absent", "documented./etc", "", "..documented"):
        with pytest.raises(CorpusError, match="is not installed"):
            read(f"pydoc:{name}")
    (package / "part" / "__init__.py").write_text("x = 1\n")
    with pytest.raises(CorpusError, match="no documents"):
        read("pydoc:documented.part")
