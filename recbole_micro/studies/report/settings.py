"""In what the settings of a study's rows differ, on what they ran, and how they were chosen."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dataset_tools.files import write_text
from recbole_micro.options.values import read_yaml
from recbole_micro.studies.worker import CONFIG, RESULT

# Of the configuration: what belongs to a run, a machine or the program's talking and not to a setting.
NO_SETTING = {
    "model", "seed", "data_path", "checkpoint_dir", "config_files", "show_progress", "state", "plugins",
    "preset", "worker", "gpu_id", "use_gpu", "save_last", "log_wandb", "wandb_project", "log_mlflow",
    "mlflow_experiment", "benchmark_filename", "encoding", "memory_check",
}  # fmt: skip
TUNED = "tuned.json"  # in a study's folder: {model: {trials, study}}


def differences(done: pd.DataFrame, out: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """The options in which rows differ, [options x labels]; and by label, those that only its model has.

    An option that some model lacks is empty there.
    """
    settings = {
        label: {name: written(value) for name, value in read_yaml(file).items() if name not in NO_SETTING}
        for label, folder in done.drop_duplicates("label")[["label", "folder"]].itertuples(index=False)
        if (file := out / folder / CONFIG).is_file()
    }
    table = pd.DataFrame(settings).T.reindex(list(settings))
    if table.empty:
        return table, {}
    models = done.drop_duplicates("label").set_index("label")["model"][table.index]
    having = table.notna().groupby(models, sort=False).any().sum()  # models, by option
    own = [name for name in table if having[name] == 1 < models.nunique()]
    differing = [name for name in table if name not in own and table[name].nunique() > 1]
    texts = {
        label: ", ".join(f"{name}={value}" for name, value in values.dropna().items())
        for label, values in table[own].iterrows()
    }
    return table[differing].fillna("").T, {label: text for label, text in texts.items() if text}


def written(value: Any) -> str:
    """An option's value as on a command line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {written(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def provenance(done: pd.DataFrame, out: Path) -> dict[str, str]:
    """Data, versions, devices, and how many trials the settings of each model took; texts by name."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in result_files(done, out)]
    known = [result["about"] for result in found if "about" in result]
    entries = {
        "Data": joined(data_text(about["data"]) for about in known),
        "Versions": joined(", ".join(f"{k} {v}" for k, v in about["versions"].items()) for about in known),
        "Ran on": joined(f"{about['device']}, {about['threads']} thread(s) a run" for about in known),
        "Settings": trials_text(list(dict.fromkeys(done["model"])), out),
    }
    return {name: text for name, text in entries.items() if text}


def result_files(done: pd.DataFrame, out: Path) -> list[Path]:
    """The `result.json` of these runs."""
    return [path for folder in done["folder"] if (path := out / folder / RESULT).is_file()]


def joined(texts: Any) -> str:
    """The different ones of these texts."""
    return "; ".join(dict.fromkeys(texts))


def data_text(data: Mapping[str, Any]) -> str:
    """A data set's numbers and its fingerprint."""
    numbers = [f"{data[name]:,} {name}" for name in ("users", "items")]
    numbers += [f"{data[name]:,} {word} interactions" for name, word in PARTS.items() if name in data]
    return f"{data['name']}: {', '.join(numbers)}; ids {data['fingerprint'][:16]} (SHA-256)"


PARTS = {"train": "training", "valid": "validation", "test": "test"}


def write_tuned(out: Path, tuned: Mapping[str, tuple[int, str]]) -> None:
    """Remember how many trials chose a model's setting, and in which folder; nothing where none did."""
    if tuned:
        found = {model: {"trials": trials, "study": folder} for model, (trials, folder) in tuned.items()}
        write_text(out / TUNED, json.dumps(found, indent=1))


def trials_text(models: list[str], out: Path) -> str:
    """How many trials chose each model's setting, as far as the study knows."""
    file = out / TUNED
    tuned = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    texts = [
        f"{model}: {tuned[model]['trials']} trials ({tuned[model]['study']})" if model in tuned else ""
        for model in models
    ]
    rest = [model for model in models if model not in tuned]
    texts.append(f"{', '.join(rest)}: as given or by default, no trials of this study" if rest else "")
    return "; ".join(filter(None, texts))
