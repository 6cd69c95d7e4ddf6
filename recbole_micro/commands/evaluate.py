"""`recbole-micro evaluate`: metrics of anybody's lists or scores, under the plugin's protocols."""

import sys
from pathlib import Path

from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.evaluator import Evaluator

from recbole_micro.commands.arguments import config_files, read_arguments, split_arguments
from recbole_micro.errors import UserError
from recbole_micro.evaluation.metrics import Metrics, with_beyond
from recbole_micro.inference.given_results import evaluate_given, read_given
from recbole_micro.options.config import Config, own_command_line
from recbole_micro.studies import report
from recbole_micro.studies.result_tables import title
from recbole_micro.studies.results import add_result
from recbole_micro.studies.runs import read_options
from recbole_micro.training.experiment import build

HELP = """\
usage: recbole-micro evaluate --lists=FILE --dataset=NAME [--out=STUDY] [--option=value ...]
       recbole-micro evaluate --scores=FILE --dataset=NAME [--out=STUDY] [--option=value ...]

Measures top-k lists or scores that come from anywhere on the test set, as those of a trained model: the same
split, masks and metrics.

  --lists=FILE       user_id, item_id, and rank or score (or in their order): .csv, .tsv, .json, .jsonl,
                     .parquet, as recbole-micro recommend --hide=train,valid writes them
  --scores=FILE      user_id, item_id, score in one of these, or an .npz with users, items and
                     scores [n_users, n_items]
  --beyond           also how much of the catalogue is listed, how evenly, how popular and how rare it is
                     (ItemCoverage, GiniIndex, AveragePopularity, TailPercentage)
  --out=STUDY        a folder of recbole-micro compare, or a new one: adds a row to its tables and report
  --label=NAME       the row's name (default: the file's)

Other options are those of recbole-micro train: --protocol, --topk, --metrics, --eval_args, --data_path, ...

Example:
  recbole-micro evaluate --lists=theirs.csv --dataset=ml-100k --protocol=paper --out=studies/ml"""


def main(argv: list[str]) -> int:
    """`recbole-micro evaluate`; the exit code."""
    if {"-h", "--help"} & set(argv):
        print(HELP)
        return 0
    beyond = "--beyond" in argv
    argv = [word for word in argv if word != "--beyond"]
    own, rest = split_arguments(argv, ("lists", "scores", "out", "label"))
    given = read_arguments(rest)
    fixed = read_options(config_files(given.pop("config_files", "")), given)
    kinds = [name for name in ("lists", "scores") if name in own]
    if len(kinds) != 1 or not fixed.get("dataset"):
        raise UserError("evaluate needs --lists=FILE or --scores=FILE, and --dataset=NAME.")
    file, out = Path(own[kinds[0]]), own.get("out")
    with own_command_line({}):
        config = Config("Pop", config_dict={**fixed, "show_progress": False})
    if beyond:
        config["metrics"] = with_beyond(config["metrics"])
    experiment = build(config, trainer=False)
    if not isinstance(experiment.test_data, FullSortEvalDataLoader):
        raise UserError(
            "evaluate ranks all items of a test set: set mode: full in eval_args, and split off a test set."
        )
    found, remarks = read_given(file, experiment.dataset, kinds[0] == "lists")

    def measure(evaluator: Evaluator) -> Metrics:
        measured = evaluate_given(found, config, experiment.train_data, experiment.test_data, evaluator)
        remarks.extend(measured.remarks)
        return measured.metrics

    if out is None:
        metrics = measure(Evaluator(config))
    else:
        label = own.get("label") or file.stem
        data = experiment.train_data, experiment.test_data
        results = add_result(Path(out), label, config, *data, measure)
        page = report.write(results, out, config["dataset"])
        print((Path(out) / "table.md").read_text(encoding="utf-8"))
        print(f"Report: {page}")
    for remark in remarks:
        print(remark, file=sys.stderr)
    if out is None:
        print(f"Test results of {file} on {config['dataset']}, protocol {metrics.label}")
        for name, value in metrics.items():
            print(f"  {title(name)}: {value:.4f}")
    return 0
