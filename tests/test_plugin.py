"""Registration: RecBole finds the plugin's models, in this process and in others."""

import sys
from types import SimpleNamespace

import pytest
import torch
from recbole.utils import get_model

from recbole_micro import Config
from recbole_micro.data import missing
from recbole_micro.models.registry import MODELS
from recbole_micro.recbole_patches import register
from tests.tiny import python


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
    import recbole_micro
    from recbole_micro.config import find_model

    print("lazy", "recbole_micro.models.micro" not in sys.modules)
    with get_context("spawn").Pool(1) as pool:
        print(pool.apply(find_model, ("MICRO",)).__module__)
        print(pool.apply(str, (recbole_micro.Config("MICRO", "tiny"),)).count("knn_k"))
"""


def test_a_spawned_worker_finds_the_models(tmp_path):
    """The worker imports nothing of the plugin by itself: what is sent to it does."""
    ran = python(SPAWN, cwd=tmp_path)
    assert ran.stdout.split() == ["lazy", "True", "recbole_micro.models.micro", "1"], ran.stderr


def test_dynamic_sampling_gets_its_scores_on_the_cpu():
    """RecBole indexes candidates, which are there, by them: on a CUDA device that would end in an error."""
    on_a_device = SimpleNamespace(cpu=lambda: torch.zeros(3))
    model = SimpleNamespace(predict=lambda interaction: on_a_device)
    loader = SimpleNamespace(model=model)
    sampled = missing.negatives_of_an_epoch(lambda self, interaction: self.model.predict(interaction))
    assert torch.equal(sampled(loader, None), torch.zeros(3))
    assert loader.model is model
