"""The paper's tables: which runs they take, and the comparison that is written."""

import pandas as pd
import pytest

from recbole_micro import cli, options
from recbole_micro.options.config import Config
from recbole_micro.studies import pool
from recbole_micro.studies.forecast import duration
from recbole_micro.studies.paper import tables
from tests.support.tiny import write_tiny


@pytest.mark.parametrize(("table", "count"), [(4, 9), (5, 15), (6, 3)])
@pytest.mark.parametrize("dataset", ["clothing", "sports", "baby"])
def test_every_row_is_a_run_that_config_takes(table, count, dataset, tmp_path):
    rows = tables.rows_of(table, dataset)
    assert len({row.name for row in rows}) == count
    runs = tables.runs_of(rows, [1], {"dataset": dataset})
    assert len({run.folder for (run,) in runs.values()}) == count
    for (run,) in runs.values() if dataset == "baby" else ():
        given = {**run.options, **run.setting, "model": run.model, "gpu_id": "", "data_path": str(tmp_path)}
        config = Config(config_dict=given)
        assert config["metrics"] == ["Recall", "NDCG", "NDCG_hits", "Precision"] and config["topk"] == [20]


def test_micro_of_table_4_is_the_same_in_tables_5_and_6():
    declared = options.plugin_defaults("paper_tables.yaml")
    for dataset in ("clothing", "sports", "baby"):
        micro = declared["table4"][dataset]["MICRO"]
        assert (
            micro == declared["table5"][dataset]["LightGCN"]["micro"] == declared["table6"][dataset]["both"]
        )


def test_the_variants_of_table_5_differ_as_their_names_say(tmp_path):
    rows = {row.name: row for row in tables.rows_of(5, "baby")}
    seen = {}
    for variant in tables.VARIANTS:
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


def test_the_papers_numbers_stand_beside_ours(reproduced, tmp_path, capsys):
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
    assert f"epochs: {tables.QUICK['epochs']}" in quick
    for file in ("paper.md", "report.html"):
        text = (out / file).read_text()
        assert "MICRO with its shipped defaults" in text and "epochs=30" in text


def test_only_literal_rows_have_the_preset_paper():
    for table in (4, 5, 6):
        shipped, literal = (tables.rows_of(table, "baby", literal) for literal in (False, True))
        assert not any("paper" in row.setting.get("preset", "") for row in shipped)
        for row in literal:
            assert ("paper" in row.setting.get("preset", "").split(",")) == (row.model == "MICRO")


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
