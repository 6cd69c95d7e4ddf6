"""How much of the machine's matrix product rate does the exact neighbour search reach?

    python benchmarks/knn_speed.py [--rows 7050x4096 23033x4096] [--threads 1] [--memory 256]

Prints, per size N x D, the rate of float32 matrix products of 2,048 x D with D x 2,048 (2 n m D operations,
the best of five), the rate of the search (counted as 2 N N D) and the share.  Rates are per second of wall
clock and, where other things run on the machine, per second of CPU (with one thread).

Reads nothing: each size runs in a process of its own on random features.  23033x4096 takes a minute on one
core.
"""

from support import call, clocked, parser

SIDE = 2048


def measure(rows: int, width: int, k: int, memory: float) -> list[list[float]]:
    """[wall-clock, CPU] rates in operations a second, of the product and of the search."""
    import torch

    from recbole_micro.nn.knn import knn

    features = torch.randn(rows, width)
    left, right = torch.randn(SIDE, width), torch.randn(SIDE, width)
    out = torch.empty(SIDE, SIDE)
    times = [clocked(lambda: torch.mm(left, right.T, out=out)) for _ in range(6)][1:]
    product = 2 * SIDE * SIDE * width
    search = clocked(lambda: knn(features, k, memory=memory))
    whole = 2 * rows * rows * width
    return [
        [product / min(time.seconds for time in times), product / min(time.cpu for time in times)],
        [whole / search.seconds, whole / search.cpu],
    ]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", nargs="+", default=["7050x4096", "23033x4096"], metavar="NxD")
    arguments.add_argument("--k", type=int, default=10)
    arguments.add_argument("--memory", type=float, default=256.0, metavar="MB")
    arguments.add_argument("--threads", type=int, default=1)
    given = arguments.parse_args()
    for size in given.rows:
        rows, width = map(int, size.split("x"))
        product, search = call(measure, rows, width, given.k, given.memory, threads=given.threads)
        for clock, rate, reached in zip(("wall clock", "CPU"), product, search, strict=True):
            share = f"{reached / rate:.0%} of the product's {rate / 1e9:,.0f}"
            print(f"{rows:>7,} x {width:<5} {clock:10} {reached / 1e9:>6,.0f} GFLOP/s, {share}", flush=True)


if __name__ == "__main__":
    main()
