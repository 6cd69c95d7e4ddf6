"""A small data set with titles, and models trained on it."""

import pytest

from recbole_micro import run
from tests.support import shop


@pytest.fixture(scope="session")
def shop_data(tmp_path_factory):
    """The folder of the data set `shop`."""
    return shop.write_shop(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def trained(shop_data):
    """What `run` gives of a model of this name, trained once."""
    made: dict[str, dict] = {}

    def of(model: str) -> dict:
        if model not in made:
            made[model] = run(model, "shop", config_dict=shop.options(shop_data))
        return made[model]

    return of


@pytest.fixture(scope="session")
def checkpoint(trained):
    """The checkpoint of a model of this name."""
    return lambda model: trained(model)["checkpoint"]
