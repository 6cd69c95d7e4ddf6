"""Parallel search with Ray Tune: hyperopt draws, ASHA prunes, on this machine or on a cluster.

Ray's own state is thrown away: the journal of ended trials is what an interrupted study goes on from.  Each
of them is drawn again, told to hyperopt and shown to ASHA, before Ray starts with the rest.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from recbole.config import Config as RecBoleConfig
from recbole.trainer import HyperTuning

from recbole_micro.checkpoint import plain
from recbole_micro.errors import UserError
from recbole_micro.options.config import own_command_line
from recbole_micro.studies.cluster import session, shares
from recbole_micro.training import quick_start
from recbole_micro.tuning import hyperopt_engine
from recbole_micro.tuning.trials import FAILED, FINISHED, PRUNED, Journal, Trial

KEYS = ("best_valid_score", "valid_score_bigger", "best_valid_result", "epochs")  # of a trial's result
METRIC, TIME = "best_valid_score", "epochs"  # what Ray compares trials by, and when
GRACE = 10  # epochs, or a quarter of all where these are few
KEEP = 3  # ASHA keeps the best third at each rung
BOUNDS = ("grace_period", "max_t")  # ASHA's first and last rung, in epochs


def grace_period(config: RecBoleConfig, grace: int | None = None) -> int:
    """Epochs that every trial may train before it can be pruned."""
    epochs = max(1, config["epochs"])
    return min(epochs, grace or max(1, config["eval_step"], min(GRACE, epochs // 4)))


def measured(objective: Callable, options: Mapping, bigger: bool, **more: Any) -> dict[str, Any]:
    """A trial's result as the journal keeps it; where training fails, the state and the reason.

    `objective(options, None, **more)` trains; `bigger`: whether larger scores are better.  UserError passes.
    """
    try:
        with own_command_line({}):
            result = objective(dict(options), None, **more)
    except UserError:
        raise  # the same mistake waits in the other trials
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        nothing = {**dict.fromkeys(KEYS), "valid_score_bigger": bigger}
        return {"state": FAILED, **nothing, "error": reason}
    protocol = getattr(result["best_valid_result"], "protocol", "recbole")
    return {"state": FINISHED, "protocol": protocol, **{name: plain(result[name]) for name in KEYS}}


def search(
    space: Mapping | str | Path,
    algo: str,
    trials: int,
    options: Mapping,
    config: RecBoleConfig,
    journal: Journal,
    seed: int,
    grace: int | None = None,
    workers: int | None = None,
    threads: int | None = None,
    address: str | None = None,
) -> None:
    """Search until `trials` trials have ended and are in the journal.

    `space` and `algo` as in `hyper_tuning`; `options` are the trials' fixed ones, `config` what they make.
    `workers` trials at a time with `threads` threads each; by default the cores of this machine are shared
    out, on a cluster each trial has one.  `grace` as `grace_period` gives it.  `address` is that of a running
    cluster (`auto`: the one this machine belongs to).  Raises UserError for a mistake that a trial finds.
    """
    count = hyperopt_engine.build_search(space, algo, trials).max_evals
    if all(journal.number(number) for number in range(1, count + 1)):
        return
    with session(address) as ray:
        resources, workers = shares(ray.cluster_resources(), config["gpu_id"], address, workers, threads)
        grace = grace_period(config, grace)
        fit(space, algo, count, options, config, journal, seed, grace, resources, workers)


def run_trial(
    drawn: dict[str, Any], options: dict[str, Any], threads: int, on_cuda: bool, bigger: bool
) -> None:
    """One trial, in a process of Ray's: reports every validation, then the result.

    `drawn["params"]` are the options that were drawn, `options` the fixed ones.
    Ray shows this process the CUDA devices that are the trial's own, so the first of them is device 0.
    """
    from ray import tune

    torch.set_num_threads(threads)
    device = {"gpu_id": "0" if on_cuda else "", "show_progress": False}

    def report(epoch: int, result: dict) -> None:
        kept = {name: plain(result[name]) for name in KEYS}
        tune.report({**kept, TIME: epoch, "result": {"state": PRUNED, **kept}})

    try:
        result = measured(
            quick_start.objective, {**options, **drawn["params"], **device}, bigger, on_validation=report
        )
    except UserError as error:
        result = {"mistake": str(error)}
    tune.report({**{name: value for name, value in result.items() if value is not None}, "result": result})


def rungs(config: RecBoleConfig, grace: int) -> dict[str, int]:
    """ASHA's rungs: `grace`, and threefold each; none that a trial reaches only with its last validation."""
    step, epochs = max(1, config["eval_step"]), max(1, config["epochs"])
    last = epochs - epochs % step - step
    bounds = {"grace_period": grace, "max_t": last} if grace <= last else dict.fromkeys(BOUNDS, epochs + 1)
    return bounds | {"reduction_factor": KEEP}


def fit(
    space: Mapping | str | Path,
    algo: str,
    count: int,
    options: Mapping,
    config: RecBoleConfig,
    journal: Journal,
    seed: int,
    grace: int,
    resources: dict[str, int],
    workers: int,
) -> None:
    """Let Ray Tune run those of the `count` trials that are not in the journal; the rest as in `search`."""
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    mode = "max" if config["valid_metric_bigger"] else "min"
    asha = ASHAScheduler(TIME, METRIC, mode, stop_last_trials=False, **rungs(config, grace))
    draws = drawing(hyperopt_engine.build_search(space, algo, count), mode, seed, journal)
    draws.replay(asha)
    keeper = keeping(journal, draws, count, config["valid_metric_bigger"])
    trainable = tune.with_parameters(
        run_trial,
        options=plain(dict(options)),
        threads=resources["cpu"],
        on_cuda=resources["gpu"] > 0,
        bigger=bool(config["valid_metric_bigger"]),
    )
    with tempfile.TemporaryDirectory(prefix="tune-", ignore_cleanup_errors=True) as folder:
        tuner = tune.Tuner(
            tune.with_resources(trainable, {**resources}),
            tune_config=tune.TuneConfig(
                search_alg=draws,
                scheduler=asha,
                num_samples=count - len([t for t in journal.trials if t["trial"] <= count]),
                max_concurrent_trials=workers,
            ),
            run_config=tune.RunConfig(name="study", storage_path=folder, verbose=0, callbacks=[keeper]),
        )
        tuner.fit()
    if keeper.mistake:
        raise UserError(keeper.mistake)


def drawing(hyper: HyperTuning, mode: str, seed: int, journal: Journal) -> Any:
    """Ray's HyperOptSearch over RecBole's space and algorithm, that knows the trials of the journal."""
    from ray.tune.search.hyperopt import HyperOptSearch

    class Drawing(HyperOptSearch):
        """`drawn`: Ray's name of a trial -> number, after, params; `waiting`: drawn but not yet run."""

        def __init__(self) -> None:
            super().__init__(hyper.space, METRIC, mode, random_state_seed=seed)
            self.algo: Any = hyper.algo
            self.waiting: list[dict[str, Any]] = []
            self.drawn: dict[str, dict[str, Any]] = {}
            self.count, self.stopped = 0, False

        def draw(self, name: str, after: int) -> None:
            """Draw the next trial, when `after` trials have ended."""
            self.count += 1
            suggested = cast(dict, super().suggest(name))
            params = {key: plain(value) for key, value in suggested.items()}
            self.drawn[name] = {"number": self.count, "after": after, "params": params}

        def replay(self, asha: Any) -> None:
            """Draw the journal's trials again, each knowing as much as then; tell hyperopt and ASHA."""
            told = 0
            for number in range(1, max((trial["trial"] for trial in journal.trials), default=0) + 1):
                line = journal.number(number)
                known = line["after"] if line else told
                told = self.tell(journal.trials[told:known], asha) + told
                self.draw(f"kept-{number}", known)
                if line is None:
                    self.waiting.append(self.drawn.pop(f"kept-{number}") | {"name": f"kept-{number}"})
                elif line["params"] != self.drawn[f"kept-{number}"]["params"]:
                    raise UserError(
                        f"{journal.path} was drawn by other versions of the packages: choose another --out."
                    )
            self.tell(journal.trials[told:], asha)

        def tell(self, trials: list[Trial], asha: Any) -> int:
            """Tell hyperopt and ASHA of ended trials; their number."""
            for trial in trials:
                name, result = f"kept-{trial['trial']}", trial["result"]
                shown = SimpleNamespace(trial_id=name)
                asha.on_trial_add(None, shown)
                # "looks" is the name in older journals
                for epoch, score in result.get("validations", result.get("looks", [])):
                    asha.on_trial_result(None, shown, {TIME: epoch, METRIC: score})
                asha.on_trial_remove(None, shown)
                self.on_trial_complete(name, result, error=result["state"] == FAILED)
            return len(trials)

        def suggest(self, trial_id: str) -> dict | str:  # type: ignore[override]  # FINISHED is a string
            if self.stopped:
                return self.FINISHED
            if self.waiting:
                kept = self.waiting.pop(0)
                self._live_trial_mapping[trial_id] = self._live_trial_mapping.pop(kept["name"])
                self.drawn[trial_id] = kept
            else:
                self.draw(trial_id, len(journal.trials))
            return {"params": self.drawn[trial_id]["params"]}

        def on_trial_complete(self, trial_id, result=None, error=False):
            # A trial without a score has failed, whatever Ray makes of it.
            super().on_trial_complete(trial_id, result, error or (result or {}).get(METRIC) is None)

    return Drawing()


def keeping(journal: Journal, draws: Any, count: int, bigger: bool) -> Any:
    """Ray's callback that puts every ended trial into the journal and tells about it."""
    from ray.tune import Callback

    class Keeping(Callback):
        """`mistake`: what a trial says that the user can mend; it ends the search."""

        mistake = ""

        def __init__(self) -> None:
            self.results: dict[str, dict[str, Any]] = {}
            self.validations: dict[str, list[list[float]]] = {}

        def on_trial_result(self, iteration, trials, trial, result, **info):
            self.results[trial.trial_id] = result["result"]
            if result["result"].get("state") == PRUNED:
                scores = self.validations.setdefault(trial.trial_id, [])
                scores.append([result[TIME], result[METRIC]])
            if "mistake" in result["result"]:
                self.mistake, draws.stopped = result["result"]["mistake"], True

        def on_trial_complete(self, iteration, trials, trial, **info):
            self.keep(trial, self.results.get(trial.trial_id))

        def on_trial_error(self, iteration, trials, trial, **info):
            self.keep(trial, None)

        def keep(self, trial, result):
            if self.mistake:
                return
            if result is None or trial.status == "ERROR":
                nothing = {**dict.fromkeys(KEYS), "valid_score_bigger": bigger}
                result = {"state": FAILED, **nothing, "error": "the worker process died"}
            drawn = draws.drawn[trial.trial_id]
            result = {**result, "validations": self.validations.get(trial.trial_id, [])}
            journal.add(drawn["params"], result, drawn["number"], drawn["after"])
            print(journal.report(count), flush=True)

    return Keeping()
