"""What docs/extending.md shows: its examples are the files of docs/examples, and they work."""

from pathlib import Path

import numpy as np
import pytest
from recbole.evaluator import register

import recbole_micro
from recbole_micro import UserError
from recbole_micro.options import user_models
from tests.support.processes import ROOT
from tests.support.tiny import QUICK, write_tiny

EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
METRIC = str(ROOT / "docs" / "examples" / "own_metric.py")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_page_shows_the_example(path):
    page = "serving.md" if path.name == "serve_numpy.py" else "extending.md"
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert f"```python\n{path.read_text(encoding='utf-8').strip()}\n```" in text


@pytest.fixture
def registries(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(user_models, "_loaded", {})
    tables = [register.metrics_dict, register.metric_information, register.metric_types]
    before = [dict(table) for table in tables]
    yield
    for table, known in zip(tables, before, strict=True):
        table.clear()
        table.update(known)


def given(tmp_path, **more):
    data = write_tiny(tmp_path / "data")
    return {**QUICK, "data_path": str(data), "checkpoint_dir": str(tmp_path / "saved"), **more}


def test_a_metric_of_ones_own(tmp_path, registries):
    options = given(
        tmp_path, plugins=METRIC, metrics=["Recall", "Precision", "F1"], topk=[5], valid_metric="F1@5"
    )
    result = recbole_micro.run("BPR", "tiny", config_dict=options)
    test = result["test_result"]
    # Every user of the tiny data set has one test item, so the means of the parts give the mean of the whole.
    assert test["f1@5"] == pytest.approx(2 * test["recall@5"] / (5 + 1), abs=1e-9)
    assert result["best_valid_score"] == result["best_valid_result"]["f1@5"]
    loaded = recbole_micro.load(result["checkpoint"], plugins=METRIC)
    assert loaded.config["metrics"] == ["Recall", "Precision", "F1"]


def test_a_checkpoint_does_not_run_the_file_of_a_metric(tmp_path, registries):
    options = given(tmp_path, plugins=METRIC, metrics=["F1"])
    options.pop("valid_metric")
    checkpoint = recbole_micro.run("BPR", "tiny", config_dict=options)["checkpoint"]
    for name in ("metrics_dict", "metric_information", "metric_types"):
        getattr(register, name).pop("f1")
    with pytest.raises(
        UserError, match="The checkpoint's metric F1 comes from .*own_metric.py: if you trust"
    ):
        recbole_micro.load(checkpoint)


def test_the_name_of_a_known_metric_is_refused(tmp_path, registries):
    file = tmp_path / "own.py"
    file.write_text("from recbole.evaluator.metrics import NDCG as Base\n\n\nclass NDCG(Base):\n    pass\n")
    with pytest.raises(UserError, match="defines NDCG, but there is a metric NDCG: rename yours"):
        user_models.load(str(file))


def test_the_formula():
    hits = np.array([[True, False, True], [False, False, False]])
    positives = np.array([2, 1])
    module = user_models._run(Path(METRIC))
    metric = module.F1({"topk": [3], "metric_decimal_place": 10})
    values = 2 * hits.cumsum(axis=1) / (np.arange(1, 4) + positives[:, None])
    assert metric.topk_result("f1", values) == {"f1@3": pytest.approx((2 * 2 / 5) / 2)}
