"""Registration: RecBole finds the plugin's models, in this process and in others."""

import sys
from types import SimpleNamespace

import pytest
import torch
from recbole.data.dataloader.abstract_dataloader import NegSampleDataLoader
from recbole.data.interaction import Interaction
from recbole.utils import get_model

from recbole_micro import Config
from recbole_micro.models.registry import MODELS
from recbole_micro.recbole_patches import register
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
    import recbole_micro
    from recbole_micro.options.config import find_model

    print("lazy", "recbole_micro.models.micro" not in sys.modules)
    with get_context("spawn").Pool(1) as pool:
        print(pool.apply(find_model, ("MICRO",)).__module__)
        print(pool.apply(str, (recbole_micro.Config("MICRO", "tiny"),)).count("knn_k"))
"""


def test_a_spawned_worker_finds_the_models(tmp_path):
    """The worker imports nothing of the plugin by itself: what is sent to it does."""
    ran = run_code(SPAWN, cwd=tmp_path)
    assert ran.stdout.split() == ["lazy", "True", "recbole_micro.models.micro", "1"], ran.stderr


def test_dynamic_sampling_indexes_candidates_on_the_cpu():
    """The scores are on the model's device, the candidates on the CPU: on CUDA that ended in an error."""

    class Indices:
        def detach(self):
            return self

        def cpu(self):
            return torch.zeros(2, dtype=torch.long)

    loader = SimpleNamespace(
        neg_sample_args={"dynamic": True, "candidate_num": 2},
        neg_sample_num=1,
        uid_field="user_id",
        iid_field="item_id",
        _sampler=SimpleNamespace(sample_by_user_ids=lambda users, items, count: torch.tensor([5, 6, 7, 8])),
        model=SimpleNamespace(
            device="cpu", eval=lambda: None, train=lambda: None, predict=lambda interaction: torch.zeros(4)
        ),
        sampling_func=lambda interaction, negatives: negatives,
    )
    batch = Interaction({"user_id": torch.tensor([1, 2]), "item_id": torch.tensor([3, 4])})
    assert NegSampleDataLoader._neg_sampling(loader, batch).tolist() == [5, 6]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "max", lambda scores, dim: (None, Indices()))
        assert NegSampleDataLoader._neg_sampling(loader, batch).tolist() == [5, 6]
