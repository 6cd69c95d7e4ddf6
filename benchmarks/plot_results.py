"""How do the first rows of Baby's table look side by side?

    python benchmarks/plot_results.py [--rows 9] [--out docs/images/results.png]

Draws test Recall@20 with training items masked (protocol `paper`), mean and 95 % interval over seeds, of the
first rows of the table that `baby_table.py --show` prints; prints the path of the picture.

Reads benchmarks/results/ and trains nothing: takes seconds.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import pandas as pd
from baby_settings import NO_EVIDENCE, NO_FEATURES
from baby_table import scores
from matplotlib import pyplot as plt
from support import ROOT, parser

METRIC = "paper R@20"
KINDS = {"interactions and features": ("o", "#1f6f8b"), "interactions alone": ("s", "#a6a6a6")}
NAMES = {
    "MICRO": "MICRO, shipped defaults",
    "MICRO by BPR": "MICRO, preset bpr",
    "MICRO, the best of its trials": "MICRO, best setting tried",
    "FREEDOM, as run from MMRec": "FREEDOM, MMRec's setting",
    "backbone, symmetric": "MICRO's backbone alone",
    "backbone, trained as LightGCN": "MICRO's backbone, as LightGCN",
    "LightGCN": "LightGCN (RecBole)",
    "SGL": "SGL (RecBole)",
}


def table() -> pd.DataFrame:
    """One line per row of the benchmark, best first: mean and half of the 95 % interval."""
    mean, half, _ = scores([METRIC])
    found = pd.DataFrame({"mean": mean[METRIC], "half": half[METRIC]}).droplevel("settings")
    return found.sort_values("mean", ascending=False)


def draw(found: pd.DataFrame, out: Path) -> None:
    """A point with its interval per row, named on the left, with its value on the right."""
    places = range(len(found))[::-1]
    figure, axes = plt.subplots(figsize=(8.4, 0.37 * len(found) + 1.25), layout="constrained")
    for place, (row, line) in zip(places, found.iterrows(), strict=True):
        marker, colour = KINDS["interactions alone" if row in NO_FEATURES else "interactions and features"]
        axes.errorbar(line["mean"], place, xerr=line["half"], fmt=marker, color=colour, capsize=3, ms=6)
        axes.annotate(
            f"{line['mean']:.4f}", (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=10
        )
    names = [NAMES.get(row, row) + ("*" if row in NO_EVIDENCE else "") for row in found.index]
    axes.set_yticks(list(places), names, fontsize=10)
    label = "test Recall@20, training items masked (mean and 95 % interval over 3 seeds)"
    if found.index.isin(NO_EVIDENCE).any():
        label += "\n* reads raw vectors, which are reconstructed here: no evidence about the model"
    axes.set_xlabel(label, fontsize=9.5)
    axes.set_title("Baby, reconstructed features", loc="left", fontsize=11)
    marks = [plt.Line2D([], [], color=c, marker=m, ls="", label=kind) for kind, (m, c) in KINDS.items()]
    axes.legend(handles=marks, fontsize=9.5, loc="lower right", title="trained on", alignment="left")
    axes.grid(axis="x", color="#e5e5e5")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=150)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=9, help="rows from the top of the table (default: 9)")
    arguments.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "results.png")
    given = arguments.parse_args()
    draw(table().head(given.rows), given.out)
    print(given.out)


if __name__ == "__main__":
    main()
