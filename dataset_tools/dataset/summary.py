"""What a data set counts, beside what the catalogue expects."""

from collections.abc import Mapping
from typing import Any

from dataset_tools.dataset.catalog import KnownDataset
from dataset_tools.dataset.reading import Dataset


def summarize(
    users: int,
    items: int,
    interactions: int,
    coverage: Mapping[str, tuple[int, int]],
    notes: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Counts, density, and per modality (items with a row, columns); `notes` are further counts."""
    density = interactions / (users * items) if users and items else 0.0
    summary: dict[str, Any] = {
        "users": users,
        "items": items,
        "interactions": interactions,
        "density": density,
    }
    summary["features"] = {
        name: {"items": rows, "columns": width} for name, (rows, width) in coverage.items()
    }
    if notes:
        summary["notes"] = dict(notes)
    return summary


def of_dataset(dataset: Dataset, notes: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The same for a data set on disk."""
    interactions = dataset.interactions
    coverage = {
        modality: (dataset.coverage(modality), dataset.features(modality).width)
        for modality in dataset.modalities
    }
    users = len(interactions.users)
    return summarize(users, len(dataset.items), len(interactions), coverage, notes)


def lines(summary: Mapping[str, Any]) -> list[str]:
    """The summary for people, with the catalogue's verdict where there is one."""
    text = [
        f"{summary['users']:,} users, {summary['items']:,} items, {summary['interactions']:,} interactions, "
        f"density {summary['density']:.4%}"
    ]
    for name, feature in summary["features"].items():
        share = feature["items"] / summary["items"] if summary["items"] else 0.0
        text.append(f"{name}: {feature['items']:,} items ({share:.1%}) with {feature['columns']:,} columns")
    text += [f"{count:,} {what}" for what, count in summary.get("notes", {}).items()]
    return text + summary.get("remarks", []) + summary.get("expected", [])


def compare(summary: Mapping[str, Any], known: KnownDataset | None) -> list[str]:
    """One line on the catalogue's counts, and one on Table 3 where the paper has the data set."""
    if known is None or known.counts is None:
        return []
    counts = (summary["users"], summary["items"], summary["interactions"])
    expected = "{:,} users, {:,} items, {:,} interactions".format(*known.counts)
    verdict = "as expected" if counts == known.counts else "DIFFERENT from what is expected"
    text = [f"{verdict} of {known.title}: {expected}"]
    if known.table3:
        text.append(
            "Table 3 of the paper, without the validation part: "
            "{:,} users, {:,} items, {:,} interactions".format(*known.table3)
        )
    return text
