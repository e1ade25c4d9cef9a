"""What the fault tests share."""

import pytest

from hf_embeddings.pretraining.checkpoints.verification import verify_run
from tests.faults.small_run import finish, settings, weights


@pytest.fixture(scope="session")
def reference(tmp_path_factory) -> str:
    """The weights of the run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("reference") / "run"
    assert finish(settings(folder, checkpoints__save_steps=8)) == 0
    assert not any(verify_run(folder).values())
    return weights(folder)
