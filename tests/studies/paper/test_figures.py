"""The paper's figures: which runs they take, and the pictures that are drawn."""

import pandas as pd
import pytest

from recbole_micro import cli
from recbole_micro.errors import UserError
from recbole_micro.studies.paper import figures, tables
from tests.support.tiny import write_tiny


def test_figure_4_changes_one_option_at_a_time_and_draws_it(reproduced, tiny_data, tmp_path, capsys):
    out = tmp_path / "out"
    argv = ["reproduce", "--figure=4", "--dataset=tiny", "--tau=0.3", "--beta=0.2"]
    argv += [f"--data_path={tiny_data}", f"--out={out}", "--title=Tiny, made up"]
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
    runs = figures.runs_of(4, [1], {"dataset": "baby", "preset": "paper"}, {})
    assert [run.setting["lambda_coeff"] for run in runs if run.setting["knn_k"] == 0] == [0.7]


@pytest.mark.parametrize(("literal", "value"), [(False, 0.4), (True, 0.7)])
def test_the_centre_of_a_figure_is_the_setting_of_micro(literal, value):
    runs = figures.runs_of(4, [1], {"dataset": "baby"}, tables.micro(literal))
    assert [run.setting["lambda_coeff"] for run in runs if run.setting["knn_k"] == 0] == [value]
    layers = figures.runs_of(5, [1, 2], {"dataset": "baby"}, tables.micro(literal))
    assert [run.setting["n_item_layers"] for run in layers if run.seed == 1] == [0, 1, 2, 3, 4, 5]


def test_figure_3_splits_the_data_set_once(reproduced, tmp_path):
    out, data = tmp_path / "out", write_tiny(tmp_path / "data", users=60, items=30)
    argv = ["reproduce", "--figure=3", "--dataset=tiny", f"--data_path={data}", f"--out={out}"]
    assert cli.main(argv) == 0
    assert (data / "tiny-cold" / "tiny-cold.cold.json").is_file()
    assert {figures.cold_split(name, data) for name in ("tiny", "tiny-cold")} == {"tiny-cold"}
    with pytest.raises(UserError, match="data set wurld is not in"):
        figures.cold_split("wurld", data)
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
    runs = figures.runs_of(3, [1], {"dataset": "tiny", **fixed}, base)
    presets = {run.model: run.setting.get("preset") for run in runs}
    assert presets.pop("MICRO") == preset
    assert set(presets.values()) == {None}
