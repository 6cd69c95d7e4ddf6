"""Figure 3: the split that it makes, what it keeps, its table and its plot."""

import json

import pytest

from recbole_micro import figure3
from recbole_micro.errors import UserError
from tests import world


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The world, which has no cold-start split yet."""
    return world.build(tmp_path_factory.mktemp("data"))


@pytest.fixture
def places(data, tmp_path):
    given = data.config(topk=[20], checkpoint_dir=str(tmp_path))
    return {name: value for name, value in given.items() if name not in ("epochs", "eval_step")}


def test_the_split_the_trainings_the_table_and_the_plot(data, places, tmp_path):
    rows, file = ["popularity", "MF", "VBPR", "MICRO"], tmp_path / "figure3.csv"
    quick = {"epochs": 2, "eval_step": 1}
    name = figure3.cold_split("world", data.folder)
    lines = figure3.measure(name, file, rows, [1], quick, **places)
    record = json.loads((data.folder / "world-cold" / "world-cold.cold.json").read_text())
    assert len(record["valid"]) == 10 and len(record["test"]) == 9  # a fifth of 96
    assert [line["row"] for line in lines] == rows
    assert {line["dataset"] for line in lines} == {"world-cold"}
    text = figure3.table(lines)
    assert "Cold start on world-cold, protocol recbole" in text
    assert "| MF (epochs=2, eval_step=1) | 1 | not ranked | not ranked | 0." in text
    assert "| popularity (epochs=2, eval_step=1) | 1 | 0.0000 / 0.0000 / 0.0000 | not ranked | 0." in text
    figure3.plot(lines, tmp_path / "figure3.png")
    assert (tmp_path / "figure3.png").stat().st_size > 5000
    micro = next(line for line in lines if line["row"] == "MICRO")
    assert 0 < float(micro["cold:recall@20"]) <= 1 and micro["cold:recall@20"] in file.read_text()


def test_the_figure_shows_the_papers_models():
    assert list(figure3.FIGURE) == ["MF", "LightGCN", "VBPR", "GRCN", "MICRO without contrast", "MICRO"]
    assert figure3.ROWS["MICRO without contrast"] == ("MICRO", {"beta": 0.0})


def test_it_goes_on_where_it_stopped(places, data, tmp_path, monkeypatch):
    """Random and Pop have one epoch, whatever `eval_step`: their checkpoint is there to be tested."""
    name = figure3.cold_split("world", data.folder)
    assert figure3.cold_split(name, data.folder) == name
    file, quick = tmp_path / "runs.csv", {"epochs": 2, "eval_step": 2}
    figure3.measure(name, file, ["random", "MF"], [1], quick, **places)
    before, trained, run = file.read_text(), [], figure3.quick_start.run

    def counted(model, dataset, config_dict):
        trained.append((model, config_dict["epochs"], config_dict["seed"]))
        return run(model, dataset, config_dict=config_dict)

    monkeypatch.setattr(figure3.quick_start, "run", counted)
    figure3.measure(name, file, ["random", "MF"], [1, 2], quick, **places)
    assert trained == [("Random", 2, 2), ("BPR", 2, 2)]
    lines = figure3.measure(name, file, ["MF"], [1], {"epochs": 1, "eval_step": 1}, **places)
    assert trained[2:] == [("BPR", 1, 1)]  # other options are another training
    assert file.read_text().startswith(before) and len(lines) == 5
    labels = ["random (epochs=2, eval_step=2)", "MF (epochs=2, eval_step=2)", "MF (epochs=1, eval_step=1)"]
    assert list(figure3.groups(lines)) == labels


def line(row, seed, recall, protocol="recbole", options="{}"):
    known = dict.fromkeys(figure3.COLUMNS, str(recall) if recall is not None else "")
    return {"dataset": "d", "row": row, "seed": seed, "options": options, "protocol": protocol, **known}


def test_the_table_has_means_over_the_seeds_of_each_row():
    lines = [line("MICRO", 1, 0.1), line("random", 1, 0.01), line("MICRO", 2, 0.3)]
    lines += [line("MF", 1, None, "recbole, BPR cannot rank cold items")]
    table = figure3.table(lines).splitlines()
    assert table[0].startswith("Cold start on d, protocol recbole, means")
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table[4:]]
    assert [row[:2] for row in cells] == [["random", "1"], ["MF", "1"], ["MICRO", "2"]]
    assert cells[1][2:] == ["not ranked"] * 3
    assert cells[2][2:] == ["0.2000 / 0.2000 / 0.2000"] * 3


def test_rows_and_data_sets_that_do_not_fit_are_refused(places, tmp_path):
    with pytest.raises(UserError, match="no row 'MACRO'.*MICRO"):
        figure3.measure("world", tmp_path / "runs.csv", ["MACRO"], **places)
    with pytest.raises(UserError, match="world lists no cold items.*split world --cold 0.2"):
        figure3.measure("world", tmp_path / "runs.csv", ["MF"], **places)
    with pytest.raises(UserError, match="data set wurld is not in"):
        figure3.cold_split("wurld", places["data_path"])
