"""Peak memory of the exact kNN graph: growth over the inputs against its bound, knn_memory + N k 12 bytes.

    python benchmarks/knn_memory.py [--rows 23033x4096 100000x384] [--memory 256]

Each size runs in a process of its own, on random features; Linux only (it resets and reads the kernel's
high-water mark).
"""

import argparse
import subprocess
import sys
import time


def high_water_mark() -> int:
    """Largest resident size since the last reset, bytes."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def reset_high_water_mark() -> None:
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def measure(rows: int, width: int, k: int, memory: float) -> None:
    import torch

    from recbole_micro.nn.knn import knn

    knn(torch.randn(200, width), k)  # libraries' own buffers
    features = torch.randn(rows, width)
    reset_high_water_mark()
    before, start = high_water_mark(), time.perf_counter()
    graph = knn(features, k, memory=memory)
    seconds, growth = time.perf_counter() - start, high_water_mark() - before
    bound = memory * 2**20 + rows * k * 12
    verdict = "within" if growth <= bound else "BEYOND"
    sizes = f"growth {growth / 2**20:>6.1f} MB   bound {bound / 2**20:>6.1f} MB   {verdict}"
    print(f"{rows:>8,} x {width:<5} {seconds:>8.1f} s   {sizes}   ({len(graph.col):,} edges)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", default=["7050x4096", "23033x4096", "100000x384"], metavar="NxD")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--memory", type=float, default=256.0, metavar="MB")
    parser.add_argument("--one", metavar="NxD", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        rows, width = map(int, args.one.split("x"))
        measure(rows, width, args.k, args.memory)
        return
    for size in args.rows:
        options = ["--one", size, "--k", str(args.k), "--memory", str(args.memory)]
        subprocess.run([sys.executable, __file__, *options], check=True)


if __name__ == "__main__":
    main()
