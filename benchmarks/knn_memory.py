"""Does the exact kNN graph keep to its memory bound, knn_memory + N k 12 bytes?

    python benchmarks/knn_memory.py [--rows 23033x4096 100000x384] [--memory 256]

Prints, per size, the seconds, the growth of peak memory over the inputs and the bound.

Reads nothing: each size runs in a process of its own on random features; Linux only (it resets the kernel's
high-water mark).  7050x4096 takes seconds, 23033x4096 half a minute, 100000x384 a minute on two cores.
"""

from support import call, clocked, forget_peak, parser, peak_memory


def measure(rows: int, width: int, k: int, memory: float) -> dict[str, float]:
    """Seconds, bytes that the peak grows by, and edges of one search."""
    import torch

    from recbole_micro.nn.knn import knn

    knn(torch.randn(200, width), k)  # libraries' own buffers
    features = torch.randn(rows, width)
    forget_peak()
    before = peak_memory()
    search = clocked(lambda: knn(features, k, memory=memory))
    growth = peak_memory() - before
    return {"seconds": search.seconds, "growth": growth, "edges": len(search.value.col)}


def main() -> None:
    arguments = parser(__doc__)
    sizes = ["7050x4096", "23033x4096", "100000x384"]
    arguments.add_argument("--rows", nargs="+", default=sizes, metavar="NxD")
    arguments.add_argument("--k", type=int, default=10)
    arguments.add_argument("--memory", type=float, default=256.0, metavar="MB")
    given = arguments.parse_args()
    for size in given.rows:
        rows, width = map(int, size.split("x"))
        found = call(measure, rows, width, given.k, given.memory)
        bound = given.memory * 2**20 + rows * given.k * 12
        verdict = "within" if found["growth"] <= bound else "BEYOND"
        growth = f"growth {found['growth'] / 2**20:>6.1f} MB   bound {bound / 2**20:>6.1f} MB   {verdict}"
        edges = f"({found['edges']:,} edges)"
        print(f"{rows:>8,} x {width:<5} {found['seconds']:>8.1f} s   {growth}   {edges}", flush=True)


if __name__ == "__main__":
    main()
