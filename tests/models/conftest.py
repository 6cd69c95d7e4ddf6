"""What the tests of the models share."""

import pytest

from tests.support.dense import Bench


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    """The small data set on which models are held against their equations."""
    return Bench(tmp_path_factory.mktemp("bench"))
