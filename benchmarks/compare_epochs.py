"""Seconds per epoch and peak memory of every model on Baby, relative to MICRO, as a Markdown table.

    python benchmarks/compare_epochs.py [--epochs 2] [--threads 1] [--gpu-id 0] [--data-path DIR] [MODEL ...]

Each model trains in a process of its own, one after another, with its defaults for Baby; the first epoch is a
warm-up, the median of the others counts, in processor seconds, which depend little on what else is running.
Peak memory is that of the whole process, data and features included.  On a CUDA device both are the device's:
seconds on the clock, the most memory that tensors took.
The data set is converted from `../shared/data/baby` where it is not there (see baby.py).
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import torch
from baby import HERE, prepare
from speed import ready

from recbole_micro.models import MODELS

RECBOLE = ("BPR", "NGCF", "LightGCN", "SGL")
PASSED_ON = ("epochs", "threads", "gpu-id", "data-path")


def clock(gpu_id: str) -> float:
    """Processor seconds; with a CUDA device those on the wall, once it is idle."""
    if not gpu_id:
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def measure(model: str, args: argparse.Namespace) -> dict:
    """Seconds of building the model and of an epoch, and peak memory in MB, of this process or the device."""
    torch.set_num_threads(args.threads)
    marks = [clock(args.gpu_id)]
    trainer, train_data, _ = ready(model, args.data_path, gpu_id=args.gpu_id)
    for epoch in range(args.epochs + 1):
        marks.append(clock(args.gpu_id))
        trainer._train_epoch(train_data, epoch)
    marks.append(clock(args.gpu_id))
    built, _, *epochs = [after - before for before, after in pairwise(marks)]
    if args.gpu_id:
        memory = torch.cuda.max_memory_allocated() / 2**20
    else:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    batch = trainer.config["train_batch_size"]
    return {"batch": batch, "build": built, "epoch": statistics.median(epochs), "memory": memory}


def in_own_process(model: str, args: argparse.Namespace) -> dict:
    """`measure` in a new process; its error ends this one."""
    options = [f"--{name}={getattr(args, name.replace('-', '_'))}" for name in PASSED_ON]
    command = [sys.executable, __file__, *options, "--child", model]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ran.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", default=[*MODELS, *RECBOLE])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--gpu-id", default="", metavar="ID", help="CUDA device (default: the CPU)")
    parser.add_argument("--data-path", default="dataset", metavar="DIR")
    parser.add_argument("--from", dest="source", default=HERE.parents[1] / "shared/data/baby", metavar="DIR")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args.models[0], args)))
        return
    prepare(Path(args.source), Path(args.data_path))
    device = f"CUDA device {args.gpu_id}" if args.gpu_id else f"{args.threads} thread(s)"
    print(f"Baby, reconstructed features; {device}, medians of {args.epochs} epochs\n")
    print("| model | batch | build, s | epoch, s | x MICRO | peak memory, MB |\n|---|---|---|---|---|---|")
    reference = in_own_process("MICRO", args)
    for model in args.models:
        row = reference if model == "MICRO" else in_own_process(model, args)
        share = row["epoch"] / reference["epoch"]
        cells = f"{row['build']:.1f}", f"{row['epoch']:.1f}", f"{share:.2f}", f"{row['memory']:,.0f}"
        print(f"| {' | '.join((model, str(row['batch']), *cells))} |", flush=True)


if __name__ == "__main__":
    main()
