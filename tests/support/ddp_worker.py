"""What the tests of distributed training compare, in one process or in each of several (run by torchrun)."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

import recbole_micro
from recbole_micro import distributed
from recbole_micro.checkpoint import load_checkpoint, restore
from recbole_micro.evaluation import protocol
from recbole_micro.nn.graph import Graph
from recbole_micro.training.experiment import build


def measure(model: str, dataset: str, given: dict, checkpoint: str | None) -> dict:
    """Validation and test metrics of a checkpoint (of untrained weights without one), both protocols."""
    built = build(recbole_micro.Config(model, dataset, config_dict=given))
    trainer, loaders = built.trainer, built[2:5]
    if checkpoint:
        restore(trainer.model, load_checkpoint(checkpoint))
    trainer.eval_collector.data_collect(loaders[0])
    np.random.seed(7 + 1000 * (given.get("local_rank") or 0))  # as in training, no two processes draw alike
    results = {"valid": trainer.evaluate(loaders[1], load_best_model=False)}
    for name in protocol.PROTOCOLS if trainer.config["eval_args"]["mode"]["test"] == "full" else ():
        results[name] = protocol.evaluate(trainer, loaders[2], name)
    results["test"] = trainer.evaluate(loaders[2], load_best_model=False)
    return {name: dict(result) for name, result in results.items()}


def train(model: str, dataset: str, given: dict) -> dict:
    """Differences between the processes after every epoch, and what the training ends with."""
    config = recbole_micro.Config(model, dataset, config_dict=given)
    _, _, train_data, valid_data, test_data, _, trainer = build(config)
    differences = []

    def compare(*_):
        weights = torch.cat([weight.detach().flatten() for weight in trainer.model.parameters()])
        graphs = graph_tensors(trainer.model)
        assert graphs, "no learned graph and no sampled edges to compare"
        differences.append([spread(weights), *(spread(tensor.double()) for tensor in graphs)])

    trainer.fit(train_data, valid_data, callback_fn=compare)
    result = {
        "differences": differences,
        "scores": [trainer.best_valid_score, dict(trainer.best_valid_result)],
        "test": dict(trainer.evaluate(test_data)),
        "file": trainer.saved_model_file,
        "own draws": torch.rand(3).tolist() + np.random.rand(3).tolist(),
    }
    return result


def graph_tensors(model) -> list[torch.Tensor]:
    """Rows, columns and values of every graph of this epoch: the learned ones and the sampled edges."""
    graphs = [
        value
        for module in model.modules()
        for name, value in vars(module).items()
        if name in ("joined", "sampled") and isinstance(value, Graph)
    ]
    return [part for graph in graphs for part in (graph.row, graph.col, graph.val)]


def spread(own: torch.Tensor) -> float:
    """The largest difference to the first process's tensor; infinite where the shapes differ."""
    theirs = distributed.from_first(own)
    if theirs.shape != own.shape:
        return float("inf")
    return float((own - theirs).abs().max())


def main(work: dict, folder: Path) -> None:
    """Do the named measurements and trainings with the group that torchrun made; one file per process."""
    launched = distributed.torchrun()
    results = {}
    for name, (kind, *arguments) in work.items():
        arguments[2] = {**arguments[2], **launched}
        results[name] = {"measure": measure, "train": train}[kind](*arguments)
        dist.destroy_process_group()
    rank = launched["offset"] + launched["local_rank"]
    (folder / f"rank{rank}.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
