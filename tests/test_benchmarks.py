"""The scripts of benchmarks/: each says what it does, the pages name them and show what they print."""

import json
import re
import sys
from functools import cache

import pandas as pd
import pytest

from recbole_micro.models.registry import MODELS
from tests.support.processes import ROOT, run_warm

BENCHMARKS = ROOT / "benchmarks"

if not (BENCHMARKS / "README.md").is_file():
    pytest.skip("an installed package has no benchmarks", allow_module_level=True)

MODULES = {path.name for path in BENCHMARKS.glob("*.py")}
SCRIPTS = sorted(name for name in MODULES if '"__main__"' in (BENCHMARKS / name).read_text(encoding="utf-8"))
README = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


@cache
def output_of(script: str, *options: str) -> str:
    done = run_warm(BENCHMARKS / script, *options)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_says_what_it_prints_what_it_reads_and_how_long_it_takes(script):
    text = output_of(script, "--help")
    question = text.partition("\n\n")[2].partition("\n")[0]
    assert question.endswith("?") and f"python benchmarks/{script}" in text
    for word in ("Prints|prints", "Reads", "takes|Takes"):
        assert re.search(word, text), word


def test_the_readme_names_every_script_and_no_other():
    assert sorted(re.findall(r"^\| `(\w+\.py)` \|", README, re.MULTILINE)) == SCRIPTS
    assert set(re.findall(r"`(\w+\.py)", README)) == MODULES


@pytest.mark.parametrize("name", ["README.md", "docs/results.md"])
def test_files_that_a_page_names_exist(name):
    text = README if name == "README.md" else RESULTS
    found = set(re.findall(r"results/\w+\.csv", text)) | set(re.findall(r"benchmarks/(\w+\.\w+)", text))
    assert found and all((BENCHMARKS / file).is_file() for file in found)
    kept = {f"results/{path.name}" for path in (BENCHMARKS / "results").iterdir()}
    assert name != "README.md" or kept <= found


def test_options_that_the_page_of_results_names_exist():
    for script, options in re.findall(r"`(?:python )?benchmarks/(\w+\.py)((?: [^`]+)?)`", RESULTS):
        known = output_of(script, "--help") if options else ""
        assert all(option in known for option in re.findall(r"--[\w-]+", options)), (script, options)


TABLES = "baby_table baby_trials baby_ablations set_table travel walk peers subsamples modalities"


@pytest.mark.parametrize("script", [f"{name}.py" for name in TABLES.split()])
def test_the_page_of_results_has_the_tables_of_what_is_there(script):
    tables = re.findall(r"(?:^\|.*\n)+", output_of(script, "--show"), re.MULTILINE)
    assert tables and all(table in RESULTS for table in tables)


def test_rows_are_kept_once(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import support

    file, key = tmp_path / "rows.csv", {"row": "MICRO", "seed": 1, "options": ""}
    assert not support.finished(file, key)
    support.keep(file, key | {"score": 0.5})
    support.keep(file, key | {"seed": 2, "score": 0.25, "more": "new column"})
    assert support.finished(file, key) and not support.finished(file, key | {"seed": 3})
    assert list(support.kept(file)["score"]) == [0.5, 0.25] and support.kept(file)["more"][0] == ""


def test_a_child_answers_and_a_limit_ends_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import support

    assert support.call(support.markdown, ["a", "b"], [[1, 2]]) == "| a | b |\n|---|---|\n| 1 | 2 |"
    with pytest.raises(SystemExit, match="markdown failed in a process of its own"):
        support.call(support.markdown)
    endless = support.run_child([sys.executable, "-c", "while True: pass"], tmp_path, cpu_limit=1)
    assert endless.signal in ("SIGXCPU", "SIGKILL") and endless.cpu >= 0.9


def test_babys_settings_are_the_best_of_their_trials(monkeypatch):
    """What `properties/dataset/baby.yaml` gives a model is what did best, in the unit of today's options."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from baby_settings import TRIALS

    from recbole_micro.options import defaults

    pairs = 118_551  # training interactions, by which weight_decay was multiplied
    trials, given = pd.read_csv(TRIALS), defaults.plugin_defaults("dataset/baby.yaml")["models"]
    assert set(given) == set(trials["row"]) - {"MICRO"}  # which has its shipped settings there
    for model, chosen in given.items():
        tried = trials[trials["row"] == model]
        best = json.loads(tried.loc[tried["valid R@20"].idxmax(), "settings"])
        usual = dict(defaults.plugin_defaults("overall.yaml"))
        if model in MODELS:
            usual |= defaults.plugin_defaults(f"model/{model}.yaml")
        if model != "STAIR":  # whose AdamW decays by itself
            best["relative_weight_decay"] = best.get("relative_weight_decay", 0) + pairs * best.pop(
                "weight_decay", 0
            )
        for option in ("epochs", "eval_step", "stopping_step", "modalities"):  # a trial's length and its data
            best.pop(option, None)
        for option, value in best.items():
            expected = pytest.approx(value, rel=1e-3) if isinstance(value, float) else value
            assert chosen.get(option, usual.get(option)) == expected, (model, option)
        assert set(chosen) <= set(best), model
