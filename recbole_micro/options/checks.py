"""Checks that options make sense together: what RecBole would leave to a crash in the first validation."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from recbole.evaluator import metric_types
from recbole.evaluator.base_metric import TopkMetric
from recbole.evaluator.register import metrics_dict
from recbole.utils import EvaluatorType

from recbole_micro.checkpoint import plain
from recbole_micro.errors import UserError, hint
from recbole_micro.options.schema import Option, parse_kind

DATA_OPTIONS = (  # on which depends what is training data, beside the split
    *("benchmark_filename", "val_interval", "user_inter_num_interval", "item_inter_num_interval"),
    *("filter_inter_by_user_or_item", "rm_dup_inter", "threshold"),
)
SPLIT_OPTIONS = ("split", "order", "group_by")
CLIPPING = {
    name: Option(f"clip_grad_norm.{name}", (parse_kind(kind),))
    for name, kind in (
        ("max_norm", "float > 0"), ("norm_type", "float > 0"),
        ("error_if_nonfinite", "bool"), ("foreach", "bool"),
    )
}  # fmt: skip
LEVELS = ("debug", "info", "warning", "error", "critical")
LEAVE_OUT = ("valid_and_test", "valid_only", "test_only")
NOTHING = ("None", "null", "~")  # what stands for no value where text is taken as it is
# RecBole's options that write or read pickles.
PICKLED = ("save_dataset", "dataset_save_path", "save_dataloaders", "dataloaders_save_path")


def check_paths(final: Mapping) -> None:
    """Raise UserError where a folder is no path."""
    for name in ("data_path", "checkpoint_dir"):
        value = final.get(name)
        if value is not None and not isinstance(value, (str, os.PathLike)):
            raise UserError(f"Option {name} is {value!r}: give the path of a folder.")
    if "checkpoint_dir" in final and str(final["checkpoint_dir"]) in NOTHING:
        raise UserError("Option checkpoint_dir is null: give the path of a folder, or leave it out (saved).")


def check_state(state: Any) -> None:
    """Raise UserError for a level of log lines that RecBole would take for INFO."""
    if state is not None and str(state).lower() not in LEVELS:
        raise UserError(f"state is {state}; allowed: {', '.join(LEVELS)}.")


def check_same_data(resumed: Mapping, final: Mapping) -> None:
    """Raise UserError where a run continues a checkpoint on another split: it would test what it has seen."""
    names = set(DATA_OPTIONS) | (set() if final["benchmark_filename"] else {"seed"})
    changed = {name for name in names if plain(final.get(name)) != resumed.get(name)}
    was, now = (values.get("eval_args") or {} for values in (resumed, final))
    changed |= {f"{part} in eval_args" for part in SPLIT_OPTIONS if plain(now.get(part)) != was.get(part)}
    if changed:
        raise UserError(
            f"The checkpoint was trained with another {', '.join(sorted(changed))}: the data would be split "
            "in another way, and the model tested on what it has seen.  Leave the option out, or train anew."
        )


@contextmanager
def recbole_checks() -> Iterator[None]:
    """Turn what RecBole says about an option's value into a UserError."""
    try:
        yield
    except (ValueError, TypeError, NotImplementedError, RuntimeError) as error:
        raise error if isinstance(error, UserError) else UserError(str(error)) from error


def check_metrics(final: Mapping) -> None:
    """Raise UserError where a metric is unknown, or has no list to look at."""
    metrics = final["metrics"]
    if not metrics:
        raise UserError("metrics is empty: name one at least, such as Recall.")
    for metric in [metrics] if isinstance(metrics, str) else metrics:
        if str(metric).lower() not in metric_types:
            names = [metric_class.__name__ for metric_class in metrics_dict.values()]
            raise UserError(f"There is no metric {metric!r}{hint(str(metric), names)}")
        if not final["topk"] and metric_types[str(metric).lower()] == EvaluatorType.RANKING:
            raise UserError(
                f"topk is empty, but {metric} looks at ranked lists: name their lengths, such as 20."
            )


def check_split(eval_args: Any) -> None:
    """Raise UserError where `split` is none that RecBole can make into training, validation and test."""
    split = eval_args.get("split", {}) if isinstance(eval_args, Mapping) else {}
    splits: Iterable[tuple[Any, Any]] = split.items() if isinstance(split, Mapping) else [(split, None)]
    for how, parts in splits:
        if how == "RS":
            numeric = isinstance(parts, list) and all(isinstance(part, (int, float)) for part in parts)
            right = numeric and len(parts) == 3 and parts[0] > 0 and min(parts) >= 0
        else:
            right = how == "LS" and parts in LEAVE_OUT
        if not right:
            raise UserError(
                f"eval_args has split {{{how}: {parts}}}; allowed: {{RS: [train, valid, test]}} with three "
                f"shares, or {{LS: {' or '.join(LEAVE_OUT)}}}."
            )


def check_modes(mode: Any, metrics: list[str]) -> None:
    """Raise UserError where `mode` is no evaluation that RecBole knows, or knows for other metrics only.

    `mode` of `eval_args`: one for validation and test, or a dictionary with one for each.
    """
    for one in mode.values() if isinstance(mode, Mapping) else [mode]:
        if not re.fullmatch("full|labeled|(uni|pop)[1-9][0-9]*", str(one)):
            raise UserError(
                f"The mode {one!r} in eval_args is not supported: choose full, labeled, or uniN or popN with "
                "the number of sampled items."
            )
        ranking = [m for m in metrics if metric_types[m.lower()] == EvaluatorType.RANKING]
        if one == "labeled" and ranking:
            raise UserError(
                f"eval_args has mode: labeled, in which nothing is ranked, so {', '.join(ranking)} cannot be "
                "measured: choose metrics among AUC, LogLoss, MAE and RMSE, and valid_metric among them."
            )


def check_negatives(sampling: Mapping) -> None:
    """Raise UserError where dynamic sampling has no candidates to choose from."""
    if sampling.get("dynamic") and not sampling.get("candidate_num"):
        raise UserError(
            "train_neg_sample_args has dynamic: True without candidates: say how many each negative is the "
            "best of, such as candidate_num: 4."
        )


def check_clipping(clipping: Mapping | None) -> None:
    """Raise UserError where `clip_grad_norm` is not what torch.nn.utils.clip_grad_norm_ takes."""
    if clipping is None:
        return
    option = Option("clip_grad_norm", (parse_kind("dict"),), keys=CLIPPING)
    if "max_norm" not in option.read(clipping, "in the options"):
        raise UserError("clip_grad_norm has no max_norm: write {max_norm: 5} with the norm to keep to.")


def computed_metrics(final: Mapping) -> list[str]:
    """The names of what `metrics` and `topk` compute, as `valid_metric` takes them."""
    names = []
    for metric in final["metrics"]:
        ranked = issubclass(metrics_dict[metric.lower()], TopkMetric)
        names += [f"{metric}@{k}" for k in final["topk"]] if ranked else [metric]
    return names


def check_valid_metric(final: Mapping) -> None:
    """Raise UserError where `valid_metric` is not among the metrics that are computed."""
    computed = computed_metrics(final)
    if str(final["valid_metric"]).lower() not in [name.lower() for name in computed]:
        raise UserError(
            f"valid_metric is {final['valid_metric']}, but `metrics` and `topk` give "
            f"{', '.join(computed)}: choose one of these, or change `metrics` or `topk`."
        )


def check_pickles(final: Mapping) -> None:
    """Raise UserError where data sets or loaders are to be saved or read as RecBole does: as pickles."""
    asked = [name for name in PICKLED if final.get(name)]
    if asked:
        raise UserError(
            f"{asked[0]} is set, but RecBole saves data sets and loaders as pickles, which can run code when "
            "they are opened: leave it out, the atomic files are read again."
        )
