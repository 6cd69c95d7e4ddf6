"""Registration: RecBole finds the plugin's models, in this process and in others."""

import sys

import pytest
from recbole.utils import get_model

from recbole_micro import Config
from recbole_micro.models.registry import MODELS
from recbole_micro.recbole_patches import register
from recbole_micro.recbole_patches.table import PATCHES
from tests.support.processes import run_code


@pytest.mark.parametrize("name", MODELS)
def test_get_model_finds_the_plugins_own_class(name):
    model = get_model(name)
    assert (model.__module__, model.__name__) == (MODELS[name], name)
    own = sys.modules[MODELS[name]]
    assert sys.modules[f"{register.ALIAS_PACKAGE}.{name.lower()}"] is own
    assert own.__spec__.name == MODELS[name]


def test_registering_again_changes_nothing():
    finders, methods = list(sys.meta_path), dict(vars(Config))
    register.register()
    assert sys.meta_path == finders
    assert dict(vars(Config)) == methods


SPAWN = """
import sys
from multiprocessing import get_context

if __name__ == "__main__":
    import recbole_micro.cli
    from recbole_micro.options.config import find_model

    print([name for name in ("recbole_micro.models.micro", "ray") if name in sys.modules])
    with get_context("spawn").Pool(1) as pool:
        print(pool.apply(find_model, ("MICRO",)).__module__)
        print(pool.apply(str, (recbole_micro.Config("MICRO", "tiny"),)).count("knn_k"))
"""


def test_the_import_is_lazy_and_a_spawned_worker_finds_the_models(tmp_path):
    """The worker imports nothing of the plugin by itself: what is sent to it does."""
    ran = run_code(SPAWN, cwd=tmp_path)
    assert ran.stdout.split() == ["[]", "recbole_micro.models.micro", "1"], ran.stderr


def test_applying_twice_changes_nothing():
    before = [
        getattr(patch.target(), patch.name) for patch in PATCHES if patch.how in ("wrap", "replace", "edit")
    ]
    register.register()
    after = [
        getattr(patch.target(), patch.name) for patch in PATCHES if patch.how in ("wrap", "replace", "edit")
    ]
    assert all(one is other for one, other in zip(before, after, strict=True))
