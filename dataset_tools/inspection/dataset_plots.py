"""Pictures of a data set: how often users and items occur, and how much of the catalogue has features."""

from pathlib import Path

import numpy as np

from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.files import replacing

FORMATS = (".png", ".svg", ".pdf")


def check(path: str | Path) -> None:
    """Refuse a picture's name that `save_plot` could not write, before anything is computed."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise DataError(f"{path} cannot be drawn; end its name in {', '.join(FORMATS)}.")
    if not path.parent.is_dir():
        raise DataError(f"There is no folder {path.parent} for the plot.")


def save_plot(dataset: Dataset, path: str | Path) -> Path:
    """Write the degrees of users and items and the coverage of each modality as one picture; its path."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    found = dataset.interactions
    figure, (degrees, coverage) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for index, size, label in (
        (found.user, len(found.users), "users"),
        (found.item, len(found.items), "items"),
    ):
        degree = np.sort(np.bincount(index, minlength=size))[::-1]
        share = 100 * np.arange(1, size + 1) / size
        degrees.step(np.maximum(degree, 0.5), share, where="post", label=f"{size:,} {label}")
    degrees.set(xscale="log", yscale="log", xlabel="interactions n", ylabel="share with at least n (%)")
    degrees.set_title("Degrees")
    degrees.legend()
    rows = [dataset.coverage(modality) for modality in dataset.modalities]
    shares = [100 * count / len(dataset.items) for count in rows]
    bars = coverage.barh(dataset.modalities, shares)
    coverage.bar_label(bars, [f"{count:,}" for count in rows], padding=3)
    coverage.set(xlim=(0, 115), xlabel=f"items with features (% of {len(dataset.items):,})")
    coverage.set_title("Coverage")
    figure.suptitle(f"{dataset.name}: {len(found):,} interactions")
    with replacing(path) as part:
        figure.savefig(part, dpi=120, format=Path(path).suffix[1:] or "png")
    plt.close(figure)
    return Path(path)
