"""Whom a model serves: its test metrics by how active users are, and by how popular items are."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from recbole_micro.evaluation.significance import user_means
from recbole_micro.studies.details import HITS, ITEMS, TEST, TRAIN, USERS

QUANTILES = 5


class Groups(NamedTuple):
    """A metric [labels x groups], the groups from few training interactions to many; `sizes` by group."""

    values: pd.DataFrame
    sizes: pd.Series


def files(rows: pd.DataFrame, out: Path, name: str) -> list[Path]:
    """The files of this name of these runs (rows of the table of results), where there are any."""
    return [path for folder in rows["folder"] if (path := out / folder / name).is_file()]


def quantiles(counts: pd.Series, number: int = QUANTILES) -> pd.Series:
    """The group of each id, by its number of interactions: `number` groups of about as many ids.

    Ids with the same number are in the same group, so there may be fewer groups.  A group is called by its
    smallest and largest number; groups are ordered.
    """
    group = pd.qcut(counts, number, labels=False, duplicates="drop").fillna(0)
    ends = counts.groupby(group).agg(["min", "max"])
    names = [f"{low}" if low == high else f"{low}–{high}" for low, high in ends.itertuples(index=False)]
    named = group.map(dict(zip(ends.index, names, strict=True)))
    return named.astype(pd.CategoricalDtype(names, ordered=True))


def by_activity(done: pd.DataFrame, out: Path, metric: str) -> Groups | None:
    """A metric's means over users by their numbers of training interactions; None where none are known."""
    tables = {
        label: user_means(found)
        for label, rows in done.groupby("label", sort=False)
        if (found := files(rows, out, USERS))
    }
    tables = {label: table for label, table in tables.items() if {TRAIN, metric} <= set(table.columns)}
    if not tables:
        return None
    counts = pd.concat([table[TRAIN] for table in tables.values()]).groupby(level=0).first().astype(int)
    group = quantiles(counts)
    values = {label: table[metric].groupby(group, observed=True).mean() for label, table in tables.items()}
    return Groups(pd.DataFrame(values).T, group.value_counts(sort=False))


def by_popularity(done: pd.DataFrame, out: Path, k: int) -> Groups | None:
    """The share of test interactions that are in their users' first k, by the items' numbers of training
    interactions; `sizes` counts test interactions.  None where no run knows it."""
    tables = {}
    for label, rows in done.groupby("label", sort=False):
        found = [pd.read_parquet(file).set_index("item") for file in files(rows, out, ITEMS)]
        found = [table for table in found if HITS.format(k) in table]
        if found:
            columns = pd.concat([table[[TEST, HITS.format(k)]] for table in found]).groupby(level=0).sum()
            tables[label] = columns.assign(**{TRAIN: found[0][TRAIN]})
    if not tables:
        return None
    first = next(iter(tables.values()))
    group = quantiles(first[TRAIN].astype(int))
    sums = {label: table.groupby(group, observed=True).sum() for label, table in tables.items()}
    shares = {
        label: found[HITS.format(k)] / found[TEST].where(found[TEST] > 0) for label, found in sums.items()
    }
    runs = len(files(done[done["label"] == next(iter(tables))], out, ITEMS))
    return Groups(pd.DataFrame(shares).T, next(iter(sums.values()))[TEST] // runs)
