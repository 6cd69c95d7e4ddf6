"""A search that may be interrupted: `trials.csv`, `best.yaml`, a plot, and one test of the winner.

Ended trials are kept in `trials.jsonl`.  The search draws from a fixed seed, so the same call asks for the
same trials again and goes on after the last one that is kept.
"""

import io
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from dataset_tools.files import write_text
from recbole_micro.checkpoint import plain
from recbole_micro.errors import UserError
from recbole_micro.evaluation.metrics import Metrics
from recbole_micro.files import alone_in
from recbole_micro.options import user_models
from recbole_micro.options.config import Config, own_command_line
from recbole_micro.options.defaults import declared
from recbole_micro.studies import plots, result_tables
from recbole_micro.studies.cluster import Cluster, require
from recbole_micro.studies.pool import WORKER, run_all
from recbole_micro.studies.runs import Run
from recbole_micro.training import quick_start
from recbole_micro.tuning import hyperopt_engine, ray_engine
from recbole_micro.tuning.ray_engine import measured
from recbole_micro.tuning.space import check_space, read_space
from recbole_micro.tuning.trials import FAILED, Journal

TRIALS, STUDY, BEST = "trials.jsonl", "study.yaml", "best.yaml"
ENGINES = ("hyperopt", "ray")


def tune(
    space: Mapping | str | Path,
    options: Mapping,
    out: str | Path,
    algo: str = "bayes",
    trials: int = 20,
    objective: Callable = quick_start.objective,
    command: Sequence[str] = WORKER,
    engine: str = "hyperopt",
    **more: Any,
) -> pd.DataFrame:
    """Search on the validation set, then train the winner once more and read the test set once.

    `options` (with model and dataset) are the same for all trials; `algo` exhaustive, random, bayes (or tpe);
    `engine` hyperopt, or ray with `more` arguments of `ray_engine.search`.  A trial that fails is reported,
    and the search goes on.
    Writes trials.csv, best.yaml, study.png and the winner's run in `out/winner`; returns its row of results.
    """
    out = Path(out)
    if options.get("plugins"):  # absolute paths: the winner is trained in a folder of its own
        options = {**options, "plugins": user_models.load(options["plugins"])}
    algo = hyperopt_engine.algorithm(algo)
    if engine not in ENGINES:
        raise UserError(f"There is no engine {engine!r}: choose one of {', '.join(ENGINES)}.")
    if engine == "ray":
        require()
    hyperopt_engine.build_search(space, algo, trials)
    with own_command_line({}):
        config = Config(config_dict=dict(options))
    study: dict[str, Any] = {
        "space": read_space(space),
        "options": options,
        "algo": algo,
        "engine": engine,
    }
    check_space(study["space"], declared(config.model, config.dataset))
    seed = int(config["seed"])
    if engine == "ray":
        study["grace"] = more["grace"] = ray_engine.grace_period(config, more.get("grace"))
    with alone_in(out):  # two at a time would overwrite each other's trials
        start_study(out, study)
        journal = Journal(out / TRIALS, config["protocol"])
        if engine == "ray":
            ray_engine.search(space, algo, trials, options, config, journal, seed, **more)
        else:
            search_here(space, algo, trials, options, config, journal, seed, objective)
        return measure_winner(journal, options, config, out, seed, command, more.get("address"))


def search_here(
    space: Mapping | str | Path,
    algo: str,
    trials: int,
    options: Mapping,
    config: Config,
    journal: Journal,
    seed: int,
    objective: Callable,
) -> None:
    """One trial after the other in this process, drawn by hyperopt."""
    worst = -math.inf if config["valid_metric_bigger"] else math.inf

    def trial(drawn: dict, _) -> dict:
        params = {name: plain(value) for name, value in drawn.items()}
        result = journal.find(params)
        if result is None:
            result = measured(objective, {**options, **params}, config["valid_metric_bigger"])
            journal.add(params, result)
            print(journal.report(count), file=screen, flush=True)
        score = worst if result["state"] == FAILED else result["best_valid_score"]
        shown = Metrics(result["best_valid_result"] or {}, result.get("protocol", config["protocol"]))
        told = {"model": config["model"], "best_valid_score": score, "best_valid_result": shown}
        return {**result, **told, "test_result": {}}

    count, screen = hyperopt_engine.build_search(space, algo, trials).max_evals, sys.stdout
    with redirect_stdout(io.StringIO()):  # RecBole prints an empty test result for every gain
        hyperopt_engine.hyper_tuning(space, algo, trials, objective=trial, seed=seed)


def start_study(out: Path, study: Mapping) -> None:
    """Remember what is searched, and how; UserError where the folder holds another study."""
    text = yaml.safe_dump(plain(study))
    file = out / STUDY
    if file.is_file() and file.read_text(encoding="utf-8") != text:
        raise UserError(
            f"{out} holds a study with other options: choose another --out, or remove that folder."
        )
    write_text(file, text)


def measure_winner(
    journal: Journal,
    options: Mapping,
    config: Config,
    out: Path,
    seed: int,
    command: Sequence[str],
    address: str | None = None,
) -> pd.DataFrame:
    """Write the winner and the plot, train it in a process of its own, test it; its row of results.

    With the `address` of a cluster it is trained there.
    """
    best = journal.best()
    score = best["result"]["best_valid_score"]
    fixed = {name: value for name, value in options.items() if name != "data_path"}
    head = f"# The best of {len(journal.trials)} trials, validation score {score:.6f}"
    head += f" [protocol: {best['result']['protocol']}]; for --config_files.\n"
    write_text(out / BEST, head + yaml.safe_dump(plain({**fixed, **best["params"]})))
    metric = result_tables.title(str(config["valid_metric"]).lower())
    plots.study(journal.table(), config["valid_metric_bigger"], f"validation {metric}", out / "study.png")
    rest = {name: value for name, value in options.items() if name not in ("model", "seed")}
    winner = Run(str(options["model"]), seed, best["params"], rest)
    engine = Cluster(address) if address else None
    return run_all([winner], out / "winner", command=command, engine=engine)
