"""Fixtures that load a small options file, or show that it cannot be loaded."""

from tests.typed_yaml.loading import fail, load  # noqa: F401
