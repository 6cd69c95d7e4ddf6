"""Items without training interactions: kept out of the negatives, and ranked by themselves.

A data set asks for this with `<name>.cold.json` (what `dataset_tools split --cold` writes), or a run with
`cold_start: True`.  Three rankings are measured: `all`, a user's cold items among all items; `cold`, among
the cold items only; `warm`, the other items of users who have training interactions, among the warm items.
"""

import json
from logging import getLogger
from pathlib import Path

import numpy as np
import torch
from recbole.data.dataloader import FullSortEvalDataLoader, NegSampleEvalDataLoader, TrainDataLoader
from recbole.sampler import Sampler
from recbole.trainer import Trainer

from recbole_micro import protocol
from recbole_micro.errors import UserError
from recbole_micro.protocol import Metrics

RANKINGS = {"all": "cold items among all items", "cold": "cold items among cold items", "warm": "warm items"}
BY_DEFINITION = ("Random", "Pop")  # RecBole's models that say something about items nobody trained on
EQUAL = ("Pop",)  # to which all cold items are the same: below the others, in no order of their own


def record_path(config) -> Path:
    """Where a data set says which of its items are cold."""
    return Path(config["data_path"]) / f"{config['dataset']}.cold.json"


def is_cold_start(config) -> bool:
    """Whether cold items are told apart: the option `cold_start`, or else whether the data set lists them."""
    chosen = config["cold_start"]
    return record_path(config).is_file() if chosen is None else chosen


def cold_items(config, train) -> np.ndarray:
    """Which items have no interaction in the data set `train`, bool [n_items]; the padding item is not one.

    Raises UserError where an item that the data set lists as cold has training interactions.
    """
    cold = np.ones(train.item_num, dtype=bool)
    cold[0] = False
    cold[np.asarray(train.inter_feat[train.iid_field])] = False
    path = record_path(config)
    if path.is_file():
        record = json.loads(path.read_text(encoding="utf-8"))
        ids = train.field2token_id[train.iid_field]
        listed = [token for part in ("valid", "test") for token in record[part]]
        leaked = [token for token in listed if token in ids and not cold[ids[token]]]
        if leaked:
            raise UserError(
                f"{path} lists {len(leaked)} cold item(s) that have training interactions (first: "
                f"{', '.join(leaked[:3])}): make the split again with python -m dataset_tools split --cold."
            )
    return cold


def ranks_cold_items(model) -> bool:
    """Whether a model's scores of cold items mean anything, as it says itself; RecBole's know only ids."""
    return getattr(model, "ranks_cold_items", type(model).__name__ in BY_DEFINITION)


class WarmSampler(Sampler):
    """RecBole's sampler of negatives, restricted to items with training interactions."""

    def __init__(self, sampler: Sampler, warm: np.ndarray):
        vars(self).update(vars(sampler))
        self.warm = warm
        full = [len(items) >= len(warm) for items in self.used_ids]
        if any(full):
            raise UserError(
                f"{sum(full)} user(s) have all {len(warm)} warm items in training, so there are no negatives "
                "for them: leave them out with user_inter_num_interval, or set official_negatives: True."
            )
        self.set_distribution(self.distribution)

    def _uni_sampling(self, sample_num):
        return self.warm[np.random.randint(0, len(self.warm), sample_num)]

    def _get_candidates_list(self):
        train = self.datasets[0]
        return list(np.asarray(train.inter_feat[train.iid_field]))


def warm_negatives(original):
    """A training loader whose negatives are never cold items, whatever the model."""

    def __init__(self, config, dataset, sampler, shuffle=False):
        if is_cold_start(config):
            warm = ~cold_items(config, dataset)
            if sampler is not None and not config["official_negatives"]:
                check_sampler(sampler)
                sampler = WarmSampler(sampler, np.flatnonzero(warm)[1:])
        original(self, config, dataset, sampler, shuffle=shuffle)

    return __init__


def check_sampler(sampler) -> None:
    """Raise UserError where RecBole's sampler does not tell training interactions from others."""
    if not isinstance(sampler, Sampler):
        raise UserError("Cold start needs a general recommender and repeatable: False.")


def ranked_loader(original):
    """A loader of full ranking with one loader for each of the rankings that have something to rank."""

    def __init__(self, config, dataset, sampler, shuffle=False):
        original(self, config, dataset, sampler, shuffle=shuffle)
        self.rankings, self.candidates = {}, None
        if is_cold_start(config):
            check_sampler(sampler)
            self.rankings = rankings(self, original)
            self.selection = config["cold_selection"]

    return __init__


def rankings(loader, build) -> dict:
    """One loader per ranking for the interactions of `loader`, made by RecBole's `__init__`, `build`."""
    dataset, sampler = loader._dataset, loader._sampler
    train = sampler.datasets[0]
    cold = torch.from_numpy(cold_items(loader.config, train))
    known = torch.zeros(train.user_num, dtype=torch.bool)
    known[train.inter_feat[train.uid_field]] = True
    on_cold = cold[dataset.inter_feat[dataset.iid_field]]
    on_warm = ~on_cold & known[dataset.inter_feat[dataset.uid_field]]
    found = {}
    asked = {"all": (on_cold, None), "cold": (on_cold, cold), "warm": (on_warm, ~cold)}
    for ranking, (chosen, candidates) in asked.items():
        if chosen.any():
            part = object.__new__(type(loader))
            build(part, loader.config, dataset.copy(dataset.inter_feat[chosen.nonzero()[:, 0]]), sampler)
            protocol.apply(part, loader.protocol)  # RecBole masks the positives of the other rankings
            part.rankings, part.candidates = {}, candidates
            part.generator = part.sampler.generator = None  # for RecBole's save_dataloaders
            found[ranking] = part
    return found


def refused_sampling(original):
    """Rankings of sampled items do not tell cold items apart."""

    def __init__(self, config, dataset, sampler, shuffle=False):
        if is_cold_start(config):
            raise UserError("Cold start ranks all items: set mode: full in eval_args, or cold_start: False.")
        original(self, config, dataset, sampler, shuffle=shuffle)

    return __init__


def without_ids(config, train) -> torch.Tensor | None:
    """Items whose ID part a model leaves out (`cold_item_id: zero`), bool [n_items]; None: no such items."""
    if not is_cold_start(config) or config["cold_item_id"] != "zero":
        return None
    return torch.from_numpy(cold_items(config, train))


def all_rankings(original):
    """Validation by the ranking that selects; a test reports every ranking.

    The keys of a test's result are RecBole's for `all`, and with `cold:` and `warm:` in front for the others;
    what a model cannot rank is NaN.
    """

    def evaluate(self, eval_data, load_best_model=True, model_file=None, show_progress=False):
        def measure(loader, load=False):
            self.candidates = getattr(loader, "candidates", None)
            return original(self, loader, load, model_file, show_progress)

        parts = getattr(eval_data, "rankings", None)
        if not parts:
            return measure(eval_data, load_best_model)
        able = ranks_cold_items(self.model)
        if eval_data._sampler.phase != "test":
            order = (eval_data.selection, "warm", "all") if able else ("warm", "all")
            chosen = next(ranking for ranking in order if ranking in parts)
            if chosen != eval_data.selection:
                warn_once(self, chosen, able)
            result = measure(parts[chosen], load_best_model)
            result = Metrics(result, f"{result.protocol}, {RANKINGS[chosen]}")
            self.logger.extra["protocol"] = result.protocol
            return result
        results = {}
        for ranking, loader in parts.items():
            results[ranking] = measure(loader, load_best_model and not results)
        return joined(self.model, results)

    return evaluate


def warn_once(trainer, ranking: str, able: bool) -> None:
    """Say that the epoch is selected by another ranking than asked for."""
    if getattr(trainer, "warned_of", None) != ranking:
        trainer.warned_of = ranking
        model = trainer.config["model"]
        reason = "validation has no cold items" if able else f"{model} cannot rank cold items"
        getLogger().warning(f"The epoch is selected by the ranking of {RANKINGS[ranking]}: {reason}.")


def joined(model, results: dict[str, Metrics]) -> Metrics:
    """One result of all rankings."""
    label = next(iter(results.values())).protocol
    able = ranks_cold_items(model)
    if not able:
        label += f", {type(model).__name__} cannot rank cold items"
    values = {}
    for ranking, result in results.items():
        front = "" if ranking == "all" else f"{ranking}:"
        known = ranking == "warm" or able and (ranking == "all" or type(model).__name__ not in EQUAL)
        values.update({front + name: value if known else float("nan") for name, value in result.items()})
    return Metrics(values, label)


def only_candidates(original):
    """Scores of items that a ranking leaves out count as masked."""

    def _full_sort_batch_eval(self, batched_data):
        interaction, scores, positive_u, positive_i = original(self, batched_data)
        if getattr(self, "candidates", None) is not None:
            scores[:, ~self.candidates] = -np.inf
        return interaction, scores, positive_u, positive_i

    return _full_sort_batch_eval


WRAPS = (
    (TrainDataLoader, "__init__", warm_negatives),
    (FullSortEvalDataLoader, "__init__", ranked_loader),
    (NegSampleEvalDataLoader, "__init__", refused_sampling),
    (Trainer, "evaluate", all_rankings),
    (Trainer, "_full_sort_batch_eval", only_candidates),
)
