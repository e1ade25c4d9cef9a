"""The tiny random sentence encoder of the tests of search, as a teacher."""

from tests.search.conftest import model_folder, texts

__all__ = ["model_folder", "texts"]
