"""Options that RecBole accepts and that change nothing: here they are refused, with what to do instead."""

from collections.abc import Mapping
from typing import Any

from recbole.utils import InputType, ModelType

from recbole_micro.data.cold_items import is_cold_start
from recbole_micro.errors import UserError, tool
from recbole_micro.options import defaults
from recbole_micro.options.values import parse_strings

FILTERS = (
    "val_interval", "user_inter_num_interval", "item_inter_num_interval", "rm_dup_inter",
    "filter_inter_by_user_or_item",
)  # fmt: skip
COLD = ("cold_selection", "cold_item_id", "official_negatives")
MISSING = ("missing_seed", "missing_modalities")  # of missing_share
LAUNCH = ("config_files", "nproc", "world_size", "ip", "port", "group_offset", "offset", "join_timeout")
SPLITTING = ("split", "order", "group_by")
# Names of earlier versions of RecBole, and what to write instead.
OLD_NAMES = {
    "eval_setting": "eval_args={split: {RS: [0.8, 0.1, 0.1]}, order: RO, group_by: user, mode: full}",
    "split_ratio": "eval_args={split: {RS: [0.8, 0.1, 0.1]}}",
    "leave_one_num": "eval_args={split: {LS: valid_and_test}}",
    "group_by_user": "eval_args={group_by: user}",
    "min_user_inter_num": "user_inter_num_interval=[5,inf)",
    "max_user_inter_num": "user_inter_num_interval=[0,100]",
    "min_item_inter_num": "item_inter_num_interval=[5,inf)",
    "max_item_inter_num": "item_inter_num_interval=[0,100]",
    "lowest_val": "val_interval={rating: '[3,inf)'}",
    "highest_val": "val_interval={rating: '[0,3]'}",
    "equal_val": "val_interval={rating: '[3,3]'}",
    "not_equal_val": "val_interval={rating: '[0,3);(3,inf)'}",
    **dict.fromkeys(
        ("neg_sampling", "training_neg_sample_num"),
        "train_neg_sample_args={distribution: uniform, sample_num: 1}",
    ),
    "device": "gpu_id=0, or an empty gpu_id for the CPU",
}
# Options that are keys of another one.
INSIDE = {
    **dict.fromkeys(("split", "order", "group_by", "mode"), "eval_args"),
    **dict.fromkeys(("distribution", "sample_num", "dynamic", "candidate_num"), "train_neg_sample_args"),
}


# RecBole's models that can start from files: which options name them, and when they are read.
STARTS = {
    "ConvNCF": (("pre_model_path",), "train_method", ("after_pretrain",)),
    "NeuMF": (("mf_pretrain_path", "mlp_pretrain_path"), "use_pretrain", (True,)),
    "RaCT": (("pre_model_path",), "train_stage", ("critic_pretrain", "finetune")),
    "S3Rec": (("pre_model_path",), "train_stage", ("finetune",)),
}


def instead(name: str) -> str | None:
    """What to write instead of a name that RecBole had once, or that is a key of another option."""
    if name in OLD_NAMES:
        return f": write {OLD_NAMES[name]}."
    if name in INSIDE:
        return f": it is a key of {INSIDE[name]}, write {INSIDE[name]}={{{name}: ...}}."
    return None


def check_effects(given: Mapping[str, Any], final: Mapping[str, Any], model: type) -> None:
    """Raise UserError where an option that the user gives can have no effect on this data and this model.

    `given`: the user's options; `final`: all of them.
    """
    for name in given:
        if name in OLD_NAMES:
            raise UserError(f"The option {name} changes nothing in RecBole 1.2{instead(name)}")
    if final.get("benchmark_filename"):
        check_fixed_split(given, final)
    if given.get("threshold"):
        check_threshold(final, model)
    check_start(given, final)
    check_bigger(given, final)
    check_cold(given, final)
    check_missing(given, final, model)
    if final.get("train_neg_sample_args") is None and needs_negatives(final, model):
        raise UserError(
            f"train_neg_sample_args is ~, but {final['model']} compares items with negatives: leave it out."
        )
    if given.get("train_neg_sample_args") is not None and draws_its_own(final, model):
        raise UserError(
            f"train_neg_sample_args would change nothing: {final['model']} with ranking_loss=softmax draws "
            "softmax_items items of its own to compare with.  Leave it out, or set ranking_loss=bpr."
        )


def notices(given: Mapping[str, Any], final: Mapping[str, Any], model: type) -> list[str]:
    """What a user may want to know of settings that are taken as they are."""
    family = {base.__name__ for base in model.__mro__}
    meant = defaults.plugin_defaults("preset/cold_start.yaml").get("models", [])
    presets = parse_strings(given["preset"]) if isinstance(given.get("preset"), str) else given.get("preset")
    cold = is_cold_start({**final, "cold_start": final.get("cold_start")})
    if cold and family.intersection(meant) and "cold_start" not in (presets or []):
        return [
            f"{final['dataset']} is a cold-start split, and {final['model']} has settings for those: "
            "--preset=cold_start."
        ]
    return []


def check_fixed_split(given: Mapping[str, Any], final: Mapping[str, Any]) -> None:
    """RecBole neither filters nor splits interactions that come in parts."""
    asked = [name for name in FILTERS if given.get(name)]
    asked += [f"{key} in eval_args" for key in SPLITTING if key in (given.get("eval_args") or {})]
    if asked:
        name = final["dataset"]
        parts = ", ".join(f"{name}.{part}.inter" for part in final["benchmark_filename"])
        raise UserError(
            f"{' and '.join(asked)} would change nothing: {name} has a fixed split ({parts}), "
            "which RecBole reads as it is.  Leave the option out, or put the parts together with "
            f"{tool(f'split {name} --how none --to-name {name}-whole', final['data_path'])} and give the "
            f"option for {name}-whole."
        )


def check_start(given: Mapping[str, Any], final: Mapping[str, Any]) -> None:
    """A file to start from is read in one way of training, and not in the others."""
    files, switch, reading = STARTS.get(final["model"], ((), "", ()))
    asked = [name for name in files if given.get(name)]
    if asked and final[switch] not in reading:
        raise UserError(
            f"{' and '.join(asked)} would change nothing: {final['model']} reads it with "
            f"{switch}={reading[-1]}.  Set that too, or leave the file out."
        )


def check_bigger(given: Mapping[str, Any], final: Mapping[str, Any]) -> None:
    """RecBole knows of every metric which values are better."""
    bigger = given.get("valid_metric_bigger")
    if bigger is not None and bigger != final["valid_metric_bigger"]:
        better = "bigger" if final["valid_metric_bigger"] else "smaller"
        raise UserError(
            f"valid_metric_bigger would change nothing: {final['valid_metric']} is better when {better}.  "
            "Leave it out."
        )


def check_cold(given: Mapping[str, Any], final: Mapping[str, Any]) -> None:
    """These options are about cold items, which not every data set tells apart."""
    usual, name = defaults.plugin_defaults("overall.yaml"), final["dataset"]
    asked = [option for option in COLD if option in given and given[option] != usual[option]]
    if asked and not is_cold_start({**final, "cold_start": final.get("cold_start")}):
        raise UserError(
            f"{' and '.join(asked)} would change nothing: {name} tells no cold items apart.  "
            "Leave it out, or set cold_start=True, or withhold items with "
            f"{tool(f'split {name} --cold 0.2', final['data_path'])}."
        )


def check_missing(given: Mapping[str, Any], final: Mapping[str, Any], model: type) -> None:
    """What items without features get is the business of models that read features."""
    name, tells_zeros = final["model"], getattr(model, "tells_zeros", None)
    reads = tells_zeros is not None
    if given.get("missing") not in (None, "mask") and not reads:
        raise UserError(f"missing would change nothing: {name} reads no features.  Leave it out.")
    if given.get("missing") == "zero" and tells_zeros is False:
        raise UserError(
            f"missing=zero would change nothing: to {name} a row of zeros and no row are the same.  Leave it "
            "out, or set missing=mean or missing=neighbours."
        )
    asked = [option for option in MISSING if given.get(option) and given.get("missing_share") is None]
    if asked:
        raise UserError(
            f"{' and '.join(asked)} would change nothing: no item loses its features.  Leave it out, or set "
            "missing_share=0.4."
        )
    ranks = final["MODEL_TYPE"] in (ModelType.GENERAL, ModelType.TRADITIONAL)
    ranks = ranks and set(final["eval_args"]["mode"].values()) == {"full"}
    if given.get("missing_share") and not reads and not ranks:
        raise UserError(
            f"missing_share would change nothing: {name} reads no features, and its results do not "
            "tell items apart by theirs.  Leave it out."
        )


def check_launch(origin: Mapping[str, str], final: Mapping[str, Any]) -> None:
    """Processes are started by `run` and by the command line, which take these options out or read the file.

    `origin`: option -> where the user gave it.
    """
    here = ("in config_dict", "on the command line")
    asked = [name for name in LAUNCH if origin.get(name) in here]
    if asked and final.get("local_rank") is None:
        raise UserError(
            f"{asked[0]} would change nothing here: it says how a training is started.  Give it to "
            f"recbole_micro.run as an argument, or to recbole-micro train as --{asked[0]}=VALUE."
        )


def check_threshold(final: Mapping[str, Any], model: type) -> None:
    """Labels are read in evaluations of labels, and by models that get no sampled negatives."""
    modes = set(final["eval_args"]["mode"].values())
    if final["MODEL_TYPE"] not in (ModelType.GENERAL, ModelType.TRADITIONAL) or "labeled" in modes:
        return
    field, value = next(iter(dict(final["threshold"]).items()), ("rating", 0))
    raise UserError(
        f"threshold would change nothing: {final['model']} ranks, and takes every interaction for a positive "
        f"one.  Leave low values out with val_interval={{{field}: '[{value},inf)'}} and load_col={{inter: "
        f"[{final['USER_ID_FIELD']}, {final['ITEM_ID_FIELD']}, {field}]}}."
    )


def needs_negatives(final: Mapping[str, Any], model: type) -> bool:
    """Whether a model's loss compares positives with negatives."""
    general = final["MODEL_TYPE"] in (ModelType.GENERAL, ModelType.KNOWLEDGE)
    pairwise = getattr(model, "input_type", None) == InputType.PAIRWISE
    needs = getattr(model, "needs_negatives", True)
    return general and pairwise and bool(needs) and not draws_its_own(final, model)


def draws_its_own(final: Mapping[str, Any], model: type) -> bool:
    """Whether a model with these options draws what it compares positives with itself."""
    needs = getattr(model, "needs_negatives", True)
    return callable(needs) and not needs(final)
