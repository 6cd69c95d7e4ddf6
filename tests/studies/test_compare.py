"""The command `compare`: its report, failed runs, and mistakes that are seen before anything runs."""

import functools
import json

import pytest
import yaml

from recbole_micro import cli
from recbole_micro.studies import pool
from tests.support.tiny import write_tiny


def test_compare_writes_a_report_and_only_redraws_it(tiny_data, tmp_path, stand_in, monkeypatch, capsys):
    command, calls = stand_in
    monkeypatch.setattr(pool, "run_all", functools.partial(pool.run_all, command=command))
    argv = ["compare", "--models=BPR,MICRO", "--dataset", "tiny", "--seeds=2", "--vary", "knn_k=2,3"]
    argv += [f"--data_path={tiny_data}", f"--out={tmp_path / 'out'}", "--epochs=1"]
    assert cli.main(argv) == 0
    assert "| MICRO (knn_k=3) |" in capsys.readouterr().out
    assert len(calls.read_text().split()) == 6
    (tmp_path / "out" / "report.html").unlink()
    assert cli.main(argv) == 0
    assert len(calls.read_text().split()) == 6
    assert (tmp_path / "out" / "report.html").is_file()


def test_compare_says_when_a_run_has_failed(tiny_data, stand_in, monkeypatch, capsys):
    command, _ = stand_in
    monkeypatch.setattr(pool, "run_all", functools.partial(pool.run_all, command=command))
    monkeypatch.setenv("DIE", "start")
    monkeypatch.setenv("ONLY", "MICRO")
    assert cli.main(["compare", "--models=BPR,MICRO", "--dataset=tiny", f"--data_path={tiny_data}"]) == 1
    printed = capsys.readouterr()
    assert "MICRO, seed 2020 failed: exit code 9" in printed.err
    assert "| BPR |" in printed.out and "| MICRO |" not in printed.out


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--dataset=tiny"], "needs --models=NAME,NAME and --dataset"),
        (["--models=Micro", "--dataset=tiny"], "no model 'Micro'; did you mean MICRO"),
        (["--models=BPR", "--dataset=tiny", "--epoch=3"], "no option --epoch; did you mean epochs"),
        (["--models=BPR", "--models=BPR"], "--models is given twice"),
        (["--models"], "--models needs a value"),
        (["--models=BPR", "--dataset=tiny", "--resume=x.pth"], "resume belongs to one training"),
        (["--models=BPR", "--dataset=tiny", "--init_from=x.pth"], "init_from belongs to one training"),
        (["--models=BPR", "--dataset=tiny", "--workers=0"], "Option workers is '0'"),
        (["--models=BPR", "--dataset=absent"], "The data set absent is not in "),
        (["--models=BPR", "--dataset=tiny", "--vary=knn_k=1,2"], "None of BPR has the option knn_k"),
        (["--models=BPR", "--dataset=tiny", "--vary=embedding_size="], "no value for embedding_size"),
        (["--models=BPR", "--dataset=tiny", "--vary=seed=1,2"], "use --models and --seeds"),
    ],
)
def test_mistakes_are_seen_before_anything_runs(argv, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path / "dataset")
    monkeypatch.setattr(pool, "start_run", lambda *arguments: 1 / 0)
    assert cli.main(["compare", *argv]) == 2
    assert sentence in capsys.readouterr().err


def tuned_folder(folder, **best):
    """What `tune` leaves of a search of three trials."""
    folder.mkdir()
    (folder / "best.yaml").write_text(yaml.safe_dump(best))
    (folder / "study.yaml").write_text("{}")
    (folder / "trials.jsonl").write_text('{"trial": 1}\n{"trial": 2}\n{"trial": 3}\n')
    return folder


def test_models_take_the_best_settings_of_their_searches(tiny_data, tmp_path, stand_in, monkeypatch):
    command, _ = stand_in
    monkeypatch.setattr(pool, "run_all", functools.partial(pool.run_all, command=command))
    best = {"dataset": "tiny", "seed": 7, "learning_rate": 0.0123, "epochs": 50}
    folder = tuned_folder(tmp_path / "tune", model="MICRO", knn_k=3, **best)
    out = tmp_path / "out"
    argv = ["compare", "--models=BPR,MICRO", "--dataset=tiny", f"--data_path={tiny_data}", f"--out={out}"]
    assert cli.main([*argv, f"--tuned={folder}", "--epochs=1"]) == 0
    read = [
        yaml.safe_load((out / f"runs/{model}-seed2020/options.yaml").read_text())
        for model in ("MICRO", "BPR")
    ]
    options, others = read
    assert (options["learning_rate"], options["knn_k"], int(options["epochs"])) == (0.0123, 3, 1)
    assert options["seed"] == 2020 and "learning_rate" not in others
    assert json.loads((out / "tuned.json").read_text()) == {"MICRO": {"trials": 3, "study": str(folder)}}


@pytest.mark.parametrize(
    ("best", "sentence"),
    [
        ({"model": "MICRO", "dataset": "baby"}, "was tuned on baby, not on tiny"),
        ({"model": "VBPR", "dataset": "tiny"}, "has tuned VBPR, which is not compared"),
        (None, "has no best.yaml: name folders in which recbole-micro tune has finished"),
    ],
)
def test_a_search_that_does_not_fit_is_refused(best, sentence, tiny_data, tmp_path, capsys):
    folder = tuned_folder(tmp_path / "tune", **best) if best else tmp_path
    argv = ["compare", "--models=MICRO", "--dataset=tiny", f"--data_path={tiny_data}", f"--tuned={folder}"]
    assert cli.main(argv) == 2
    assert sentence in capsys.readouterr().err


def test_beyond_adds_what_is_listed_of_the_catalogue(tiny_data, tmp_path, stand_in, monkeypatch):
    command, _ = stand_in
    monkeypatch.setattr(pool, "run_all", functools.partial(pool.run_all, command=command))
    argv = [
        "compare",
        "--models=BPR",
        "--dataset=tiny",
        f"--data_path={tiny_data}",
        f"--out={tmp_path / 'out'}",
    ]
    assert cli.main([*argv, "--metrics=[Recall]", "--beyond"]) == 0
    options = yaml.safe_load((tmp_path / "out/runs/BPR-seed2020/options.yaml").read_text())
    beyond = ["ItemCoverage", "GiniIndex", "AveragePopularity", "TailPercentage"]
    assert options["metrics"] == ["Recall", *beyond]
