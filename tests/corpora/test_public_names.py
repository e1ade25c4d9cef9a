"""Names as users write them: through imports by name, by stars and under `if`, to where things are defined."""

from pathlib import Path

import pytest

from hf_embeddings.corpora.public_names import PublicNames, is_public, name_publicly
from hf_embeddings.corpora.sources import read_described_documents

FILES = {
    "__init__.py": """
from . import tools
from ._core import add, _hidden
from .long.path.deep import Deep as Deep
import os
try:
    from .maths import *
except ImportError:
    pass
""",
    "_core/__init__.py": "from .kernels import *\nfrom .. import tools\n",
    "_core/kernels.py": "from ._compiled import *\n__all__ = ['add', 'scale']\ndef _hidden(): 'Hidden.'\n",
    "_core/documents.py": """
add_docstring('shop._core.kernels', 'add', '''Add two numbers to each other, in the way
that a compiled function does it, with a long explanation.''')
""",
    "long/__init__.py": "",
    "long/path/__init__.py": "from .deep import Deep\n",
    "long/path/deep.py": """
class Deep:
    'Deep.'
    def method(self):
        'Method.'
        def inner(): 'Inner.'
""",
    "maths.py": """
from . import _core
__all__ = ['root']
__all__ += ['power']
def root(): 'Root.'
def power(): 'Power.'
def helper(): 'Helper.'
""",
    "open.py": "__all__ = ['one']\n__all__.extend(_rest)\ndef one(): 'One.'\ndef two(): 'Two.'\n",
    "other/__init__.py": "from ..open import *\nfrom ..maths import root\nfrom . import missing\n",
    "other/shop.py": "'A module of the name of the package.'\n",
    "tools.py": "'Tools.'\nfrom .broken import nothing\n",
    "broken.py": "def (\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, source in FILES.items():
        path = tmp_path / "site" / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path / "site" / "shop"


def test_the_shortest_name_counts(package: Path) -> None:
    names = PublicNames("shop")
    for defined, public in {
        "shop._core.kernels.add": "shop.add",  # by name, through a star, to what a C module defines
        "shop.long.path.deep.Deep.method": "shop.Deep.method",
        "shop.maths.root": "shop.root",  # shorter than shop.other.root
        "shop.maths.power": "shop.power",
        "shop.maths.helper": "shop.maths.helper",  # not in __all__
        "shop.open.two": "shop.other.two",  # __all__ is computed: what has no underscore counts
        "shop._core.kernels._hidden": "shop._core.kernels._hidden",
        "shop.tools": "shop.tools",
        "elsewhere.thing": "elsewhere.thing",
    }.items():
        assert names.of(defined) == public


def test_documents_get_public_names(package: Path) -> None:
    found = {d.text.split()[0]: d.metadata for d in name_publicly(read_described_documents("pydoc:shop"))}
    titles = {word: (metadata["title"], metadata["public"]) for word, metadata in found.items()}
    assert titles["Deep."] == ("shop.Deep", True) and titles["Method."] == ("shop.Deep.method", True)
    assert titles["Add"] == ("shop.add", True) and titles["Root."] == ("shop.root", True)
    assert titles["Hidden."] == ("shop._core.kernels._hidden", False)
    assert titles["Inner."] == ("shop.Deep.method.<locals>.inner", False)
    assert titles["A"] == ("shop.other.shop", True)


def test_names_of_a_part_are_those_of_the_whole(package: Path) -> None:
    titles = [d.metadata["title"] for d in name_publicly(read_described_documents("pydoc:shop.long"))]
    assert titles[:2] == ["shop.Deep", "shop.Deep.method"]


def test_the_libraries_that_people_search() -> None:
    for package, names in {
        "numpy": {"numpy.linalg._linalg.solve": "numpy.linalg.solve", "numpy._core.umath.add": "numpy.add"},
        "torch": {"torch.random.manual_seed": "torch.manual_seed", "torch.nn.modules.linear.Linear": "torch.nn.Linear"},
        "accelerate": {"accelerate.accelerator.Accelerator": "accelerate.Accelerator"},
    }.items():
        found = PublicNames(package)
        assert {name: found.of(name) for name in names} == names


def test_what_is_public() -> None:
    assert is_public("torch.nn.Module.__call__") and is_public("a.B2.c_d")
    assert not any(map(is_public, ("a._b.c", "a.<locals>.b", "a.__mangled", "_a", "a.2")))
