"""The paper's tables: which runs they take, and the comparison that is written."""

import functools
import sys

import pandas as pd
import pytest

from recbole_micro import cli, options
from recbole_micro.errors import UserError
from recbole_micro.options.config import Config
from recbole_micro.studies import paper_figures, paper_tables, pool
from recbole_micro.studies.forecast import duration
from tests.support.tiny import write_tiny

STAND_IN = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
if "timing" in folder.parts:
    timing = {"prepare": 2, "epoch": 10, "evaluation": 4, "epochs": 30, "eval_step": 5}
    (folder / "result.json").write_text(json.dumps(timing))
    sys.exit()
if "ItemKNN" in folder.name:
    sys.exit("error: no neighbours")
text = (folder / "options.yaml").read_text()
assert "protocol: paper" in text and "ndcg_ideal: hits" in text
(folder / "epochs.csv").write_text("epoch,train_loss\\n1,0.5\\n")
metrics = {"recall@20": len(folder.name) / 100, "ndcg@20": 0.02, "ndcg_hits@20": 0.03, "precision@20": 0.001}
metrics = {name: value + int(folder.name[-1]) / 1000 for name, value in metrics.items()}
result = {"epochs": 1, "protocol": "paper", "valid_metric": "Recall@20", "valid": metrics, "test": metrics}
(folder / "result.json.part").write_text(json.dumps(result))
(folder / "result.json.part").rename(folder / "result.json")
"""


@pytest.mark.parametrize(("table", "count"), [(4, 9), (5, 15), (6, 3)])
@pytest.mark.parametrize("dataset", ["clothing", "sports", "baby"])
def test_every_row_is_a_run_that_config_takes(table, count, dataset, tmp_path):
    rows = paper_tables.rows_of(table, dataset)
    assert len({row.name for row in rows}) == count
    runs = paper_tables.runs_of(rows, [1], {"dataset": dataset})
    assert len({run.folder for (run,) in runs.values()}) == count
    for (run,) in runs.values() if dataset == "baby" else ():
        given = {**run.options, **run.setting, "model": run.model, "gpu_id": "", "data_path": str(tmp_path)}
        config = Config(config_dict=given)
        assert config["metrics"] == ["Recall", "NDCG", "NDCG_hits", "Precision"] and config["topk"] == [20]


def test_micro_of_table_4_is_the_same_in_tables_5_and_6():
    tables = options.plugin_defaults("paper_tables.yaml")
    for dataset in ("clothing", "sports", "baby"):
        micro = tables["table4"][dataset]["MICRO"]
        assert micro == tables["table5"][dataset]["LightGCN"]["micro"] == tables["table6"][dataset]["both"]


def test_the_variants_of_table_5_differ_as_their_names_say(tmp_path):
    rows = {row.name: row for row in paper_tables.rows_of(5, "baby")}
    seen = {}
    for variant in paper_tables.VARIANTS:
        row = rows[f"NGCF, {variant}"]
        given = {**row.setting, "dataset": "baby", "gpu_id": "", "data_path": str(tmp_path)}
        config = Config(model=row.model, config_dict=given)
        assert config["cf_model"] == "NGCF" and config["n_item_layers"] == 2
        seen[variant] = (config["item_view"], config["item_input"], config["beta"] > 0)
    assert seen == {
        "feats": ("features", "id", False),
        "micro_feats": ("graph", "features", seen["micro_feats"][2]),
        "without_contrast": ("graph", "id", False),
        "micro": ("graph", "id", True),
    }
    assert rows["NGCF"].model == "NGCF" and rows["MF"].model == "BPR"


def stand_in_for_all(monkeypatch, command):
    """Let the command stand for trainings and for timings."""
    monkeypatch.setattr(paper_tables, "run_all", functools.partial(pool.run_all, command=command))
    monkeypatch.setattr(paper_tables.epoch_cost, "WORKER", command)


def test_the_papers_numbers_stand_beside_ours(tmp_path, monkeypatch, capsys):
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    command = [sys.executable, "-S", str(script)]
    stand_in_for_all(monkeypatch, command)
    out, data = tmp_path / "out", write_tiny(tmp_path / "data", name="baby")
    argv = ["reproduce", "--table=4", "--dataset=baby", "--quick", "--seeds=1,3", "--embedding_size=4"]
    assert cli.main([*argv, f"--data_path={data}", f"--out={out}"]) == 1
    printed = capsys.readouterr().err
    assert "ItemKNN, seed 1 failed: error: no neighbours" in printed
    first = printed.splitlines()[:3]
    assert "Table 4 on baby: 18 runs, 0 finished" in first[0] and "9 of them is timed" in first[1]
    workers = pool.share_cores(None, 18)[0]
    each = 2 + 30 * 10 + 7 * 4  # as the stand-in has it
    assert first[2].startswith(f"About {duration(-(-18 // workers) * each)}, ")
    table = pd.read_csv(out / "paper.csv", index_col="row")
    assert len(table) == 9 and table.loc["MICRO", "seeds"] == 2
    assert table.loc["MICRO", "Recall@20 paper"] == 0.0892 and table.loc["MICRO", "NDCG@20 paper"] == 0.0402
    assert table.loc["MF", "Recall@20 here"] == pytest.approx(len("BPR-seed1") / 100 + 0.002)
    assert table.loc["MF", "NDCG@20 here"] == pytest.approx(0.032)
    text = (out / "paper.md").read_text()
    assert "| ItemKNN | 0 | 0.0317 | – |" in text and "training items masked" in text
    assert "0.0892" in (out / "paper.html").read_text() and (out / "report.html").is_file()
    quick = (out / "runs" / "BPR-seed1" / "options.yaml").read_text()
    assert f"epochs: {paper_tables.QUICK['epochs']}" in quick
    for file in ("paper.md", "report.html"):
        text = (out / file).read_text()
        assert "MICRO with its shipped defaults" in text and "epochs=30" in text


def test_only_literal_rows_have_the_preset_paper():
    for table in (4, 5, 6):
        shipped, literal = (paper_tables.rows_of(table, "baby", literal) for literal in (False, True))
        assert not any("paper" in row.setting.get("preset", "") for row in shipped)
        for row in literal:
            assert ("paper" in row.setting.get("preset", "").split(",")) == (row.model == "MICRO")


def test_figure_4_changes_one_option_at_a_time_and_draws_it(tmp_path, monkeypatch, capsys):
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    stand_in_for_all(monkeypatch, [sys.executable, "-S", str(script)])
    out, data = tmp_path / "out", write_tiny(tmp_path / "data")
    argv = ["reproduce", "--figure=4", "--dataset=tiny", "--tau=0.3", "--beta=0.2"]
    argv += [f"--data_path={data}", f"--out={out}", "--title=Tiny, made up"]
    assert cli.main(argv) == 0
    table = pd.read_csv(out / "results.csv")
    centre = {"knn_k": 10, "lambda_coeff": 0.4, "beta": 0.2}
    assert ((table[list(centre)] != pd.Series(centre)).sum(axis=1) <= 1).all()
    assert sorted(table["beta"].unique()) == [0.0, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3]
    assert len(table) == 5 + 7 + 7 - 2  # the centre lies on all three lines
    for option in centre:
        assert (out / "figures" / f"sensitivity-{option}.png").is_file()
    printed = capsys.readouterr()
    for text in (printed.out, (out / "report.html").read_text()):
        assert "reconstructed" in text and "say nothing about knn_k above 10" in text
    assert "only ours are drawn" in printed.out and "Tiny, made up" in printed.out

    assert cli.main(argv) == 0
    assert "17 runs, 17 finished" in capsys.readouterr().err


def test_a_preset_for_all_is_the_centre_of_a_figure():
    runs = paper_figures.runs_of(4, [1], {"dataset": "baby", "preset": "paper"}, {})
    assert [run.setting["lambda_coeff"] for run in runs if run.setting["knn_k"] == 0] == [0.7]


@pytest.mark.parametrize(("literal", "value"), [(False, 0.4), (True, 0.7)])
def test_the_centre_of_a_figure_is_the_setting_of_micro(literal, value):
    runs = paper_figures.runs_of(4, [1], {"dataset": "baby"}, paper_tables.micro(literal))
    assert [run.setting["lambda_coeff"] for run in runs if run.setting["knn_k"] == 0] == [value]
    layers = paper_figures.runs_of(5, [1, 2], {"dataset": "baby"}, paper_tables.micro(literal))
    assert [run.setting["n_item_layers"] for run in layers if run.seed == 1] == [0, 1, 2, 3, 4, 5]


def test_figure_3_splits_the_data_set_once(tmp_path, monkeypatch):
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    stand_in_for_all(monkeypatch, [sys.executable, "-S", str(script)])
    out, data = tmp_path / "out", write_tiny(tmp_path / "data", users=60, items=30)
    argv = ["reproduce", "--figure=3", "--dataset=tiny", f"--data_path={data}", f"--out={out}"]
    assert cli.main(argv) == 0
    assert (data / "tiny-cold" / "tiny-cold.cold.json").is_file()
    assert {paper_figures.cold_split(name, data) for name in ("tiny", "tiny-cold")} == {"tiny-cold"}
    with pytest.raises(UserError, match="data set wurld is not in"):
        paper_figures.cold_split("wurld", data)
    models = pd.read_csv(out / "results.csv")["model"].tolist()
    assert models == ["Random", "Pop", "BPR", "LightGCN", "VBPR", "GRCN", "MICRO", "MICRO"]
    assert "MICRO has the preset cold_start, unless" in (out / "paper.md").read_text()


@pytest.mark.parametrize(
    ("fixed", "base", "preset"),
    [
        ({}, {}, "cold_start"),
        ({"learning_rate": 0.01}, {}, "cold_start"),
        ({"preset": "textual"}, {}, None),
        ({}, {"preset": "paper"}, "paper"),
    ],
)
def test_figure_3_has_settings_of_its_own_for_micro_unless_told_otherwise(fixed, base, preset):
    runs = paper_figures.runs_of(3, [1], {"dataset": "tiny", **fixed}, base)
    presets = {run.model: run.setting.get("preset") for run in runs}
    assert presets.pop("MICRO") == preset
    assert set(presets.values()) == {None}


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--dataset=baby"], "needs --table=4, 5 or 6 or --figure=3, 4 or 5"),
        (["--table=4", "--figure=4", "--dataset=baby"], "needs --table=4, 5 or 6 or --figure=3, 4 or 5"),
        (["--figure=6", "--dataset=baby"], "There is no figure 6 to reproduce"),
        (["--table=4", "--dataset=baby", "--topk=10"], "Leave out topk"),
        (["--table=4", "--dataset=baby", "--protocol=recbole"], "Leave out protocol"),
        (["--table=7", "--dataset=baby"], "There is no table 7 to reproduce"),
        (
            ["--table=4", "--dataset=tiny"],
            "The paper has no data set 'tiny': choose one of clothing, sports, baby",
        ),
    ],
)
def test_mistakes(argv, sentence, capsys):
    assert cli.main(["reproduce", *argv]) == 2
    assert sentence in capsys.readouterr().err
