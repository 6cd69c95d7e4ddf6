"""The paper's tables: which runs they take, and the comparison that is written."""

import functools
import sys

import pandas as pd
import pytest

from recbole_micro import cli, experiment, options, reproduce
from recbole_micro.config import Config
from tests.tiny import write_tiny

STAND_IN = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
if "ItemKNN" in folder.name:
    sys.exit("error: no neighbours")
text = (folder / "options.yaml").read_text()
assert "protocol: paper" in text and "ndcg_ideal: hits" in text
(folder / "epochs.csv").write_text("epoch,train_loss\\n1,0.5\\n")
metrics = {"recall@20": len(folder.name) / 100, "ndcg@20": 0.02, "ndcg_hits@20": 0.03, "precision@20": 0.001}
metrics = {name: value + int(folder.name[-1]) / 1000 for name, value in metrics.items()}
result = {"epochs": 1, "protocol": "paper", "valid_metric": "Recall@20", "valid": metrics, "test": metrics}
(folder / "result.json").write_text(json.dumps(result))
"""


@pytest.mark.parametrize(("table", "count"), [(4, 9), (5, 15), (6, 3)])
@pytest.mark.parametrize("dataset", ["clothing", "sports", "baby"])
def test_every_row_is_a_run_that_config_takes(table, count, dataset, tmp_path):
    rows = reproduce.rows_of(table, dataset)
    assert len({row.name for row in rows}) == count
    runs = reproduce.runs_of(rows, [1], {"dataset": dataset})
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
    rows = {row.name: row for row in reproduce.rows_of(5, "baby")}
    seen = {}
    for variant in reproduce.VARIANTS:
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


def test_the_papers_numbers_stand_beside_ours(tmp_path, monkeypatch, capsys):
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    command = [sys.executable, "-S", str(script)]
    monkeypatch.setattr(experiment, "run_all", functools.partial(experiment.run_all, command=command))
    out, data = tmp_path / "out", write_tiny(tmp_path / "data", name="baby")
    argv = ["reproduce", "--table=4", "--dataset=baby", "--quick", "--seeds=1,3", "--embedding_size=4"]
    assert cli.main([*argv, f"--data_path={data}", f"--out={out}"]) == 1
    assert "ItemKNN, seed 1 failed: error: no neighbours" in capsys.readouterr().err
    table = pd.read_csv(out / "paper.csv", index_col="row")
    assert len(table) == 9 and table.loc["MICRO", "seeds"] == 2
    assert table.loc["MICRO", "Recall@20 paper"] == 0.0892 and table.loc["MICRO", "NDCG@20 paper"] == 0.0402
    assert table.loc["MF", "Recall@20 here"] == pytest.approx(len("BPR-seed1") / 100 + 0.002)
    assert table.loc["MF", "NDCG@20 here"] == pytest.approx(0.032)
    text = (out / "paper.md").read_text()
    assert "| ItemKNN | 0 | 0.0317 | – |" in text and "training items masked" in text
    assert "0.0892" in (out / "paper.html").read_text() and (out / "report.html").is_file()
    quick = (out / "runs" / "BPR-seed1" / "options.yaml").read_text()
    assert f"epochs: {reproduce.QUICK['epochs']}" in quick


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--dataset=baby"], "needs --table=4, 5 or 6"),
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
