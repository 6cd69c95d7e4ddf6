"""Writes docs/options.md from the YAML files of the options, and the table of mends in docs/internals.md.

    python docs/generate.py

Run it after a change of `properties/` or of `recbole_micro/recbole_patches/`; tests fail where a page is not
what this would write.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from recbole_micro import options  # noqa: E402
from recbole_micro.models import MODELS  # noqa: E402
from recbole_micro.recbole_patches.table import markdown as patches  # noqa: E402

# Not the models that somebody's plugin file has brought.
SHIPPED = [name for name, module in MODELS.items() if module.startswith("recbole_micro.") and name != "MICRO"]
PAGE, INTERNALS = HERE / "options.md", HERE / "internals.md"

TOP = """\
# Options

This page is generated from the YAML files that declare the options (`properties/`): what is here is what
the command line checks.  `recbole-micro train --model=MICRO --help` prints the same for one model, and
`--model=BPR --dataset=baby --help` with the defaults that a data set has for it.

An option may stand on the command line (`--key=value` or `--key value`; a switch also as `--key`), in YAML
files (`--config_files=a.yaml,b.yaml`), in a dictionary (`recbole_micro.run(..., config_dict={...})`) or in a
preset (`--preset=NAME,NAME`).  Values are read as YAML 1.2 and never evaluated; `~` is YAML's "nothing".  An
unknown option is refused, with the nearest known name.

Where several places give a value, the last of these wins: RecBole's defaults, the plugin's defaults, the
model's, the data set's, the presets in their order, configuration files in their order, the dictionary, the
command line.  RecBole's own options (`gpu_id`, `data_path`, `checkpoint_dir`, `threshold`,
`user_inter_num_interval`, ...) keep their names and meaning; only those whose default is another one here, or
whose values are checked here, are listed.
"""


def table(declared: dict[str, options.Option], names, keys: bool) -> list[str]:
    """A Markdown table: a row per option and, with `keys`, one per declared key of a dict."""
    lines = ["| option | default | values | what it does |", "|---|---|---|---|"]
    for name in names:
        option = declared[name]
        shown = "its keys below" if keys and option.keys else value_text(option.default)
        lines.append(row(name, shown, option))
        for key, part in option.keys.items() if keys else ():
            lines.append(row(f"{name}.{key}", value_text(part.default), part))
    return lines


def row(name: str, default: str, option: options.Option) -> str:
    """One line of the table."""
    allowed = option.allowed or "any"
    return f"| `{name}` | {default} | {escaped(allowed)} | {escaped(option.help)} |"


def value_text(value) -> str:
    """A default as one would write it in YAML."""
    if value is None:
        return "`~`"
    if isinstance(value, dict):
        return f"`{{{', '.join(f'{key}: {plain(part)}' for key, part in value.items())}}}`"
    return f"`{plain(value)}`"


def plain(value) -> str:
    """A value inside a default: numbers short, lists in brackets."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return f"[{', '.join(map(plain, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {plain(part)}' for key, part in value.items())}}}"
    return str(value)


def escaped(text: str) -> str:
    """Text for a cell: no column signs, and what stands between < and > is no HTML."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def own(file: str, model: str = "") -> list[str]:
    """The options of a file of ours; a model's without their keys, which stand under `Every model`."""
    declared = options.declared(model, "")
    return table(declared, [name for name in options.plugin_defaults(file) if name in declared], not model)


def first_comment(file: str) -> str:
    """The comment at the top of a YAML file, in one line."""
    lines = []
    for line in options.plugin_text(file).splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").rstrip())
    return " ".join(" ".join(lines).split())


def presets() -> list[str]:
    """The table of presets."""
    lines = ["| preset | for | what it is | what it sets |", "|---|---|---|---|"]
    for name in options.stems("preset"):
        content = dict(options.plugin_defaults(f"preset/{name}.yaml"))
        models = ", ".join(content.pop("models", [])) or "every model"
        content.pop("notice", None)
        sets = ", ".join(f"`{key}: {plain(value)}`" for key, value in content.items())
        lines.append(f"| `{name}` | {models} | {escaped(first_comment(f'preset/{name}.yaml'))} | {sets} |")
    return lines


def data_sets() -> list[str]:
    """Defaults that a data set has for single models."""
    lines = ["| model | defaults on Baby |", "|---|---|"]
    for model, content in options.plugin_defaults("dataset/baby.yaml")["models"].items():
        lines.append(
            f"| {model} | {', '.join(f'`{key}: {plain(value)}`' for key, value in content.items())} |"
        )
    return lines


def spaces() -> list[str]:
    """The search spaces of `tune`."""
    lines = ["| model | options and the values tried |", "|---|---|"]
    for model in options.stems("space"):
        choices = options.plugin_defaults(f"space/{model}.yaml")
        parts = [
            f"`{name}`: {', '.join(map(plain, values))}"
            for shape in choices.values()
            for name, values in shape.items()
        ]
        lines.append(f"| {model} | {'; '.join(parts)} |")
    return lines


def page() -> str:
    """The text of docs/options.md."""
    parts = [TOP, "## MICRO", "", *own("model/MICRO.yaml", "MICRO"), ""]
    for model in SHIPPED:
        parts += [f"## {model}", "", *own(f"model/{model}.yaml", model), ""]
    parts += ["## Every model", "", "The protocol and the training; RecBole's models have them too.", ""]
    parts += [*own("overall.yaml"), ""]
    parts += ["## Data", "", "For every data set; `~` reads every column.", ""]
    parts += [*own("dataset/sample.yaml"), ""]
    parts += ["## Launch", "", "How a run is started; every model knows them.", ""]
    parts += [*own("launch.yaml"), ""]
    parts += [
        "## Presets",
        "",
        "Named settings to start from; a later one wins.  One that is for MICRO leaves other models as they "
        "are.",
        "",
        *presets(),
        "",
    ]
    parts += [
        "## Defaults of data sets",
        "",
        "On Baby, Sports and Clothing these models start from what was best on Baby's validation set (16 "
        "settings and more each); Sports and Clothing have not been tuned on.",
        "",
        *data_sets(),
        "",
    ]
    parts += [
        "## Search spaces",
        "",
        "What `recbole-micro tune` searches where `--space` names no file.",
        "",
        *spaces(),
    ]
    return "\n".join(parts) + "\n"


def with_patches(text: str) -> str:
    """The text of docs/internals.md with the table of mends as it is now."""
    begin, end = "<!-- patches -->\n", "<!-- /patches -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n{patches()}\n{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    INTERNALS.write_text(with_patches(INTERNALS.read_text(encoding="utf-8")), encoding="utf-8")
    print(PAGE, INTERNALS, sep="\n")
