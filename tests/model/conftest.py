"""How flex attention is compiled in these tests."""

import pytest
import torch


@pytest.fixture(autouse=True)
def static_shapes():
    """Compile for each shape: on CPU, torch 2.13 writes wrong C++ for a bias over lengths that it made symbols."""
    with torch._dynamo.config.patch(automatic_dynamic_shapes=False, recompile_limit=256):
        yield
