"""Rows of a benchmark's CSV file: written as soon as they are there, and not measured twice."""

from pathlib import Path

import pandas as pd


def keep(file: Path, row: dict) -> None:
    """Add a row, and columns that the file lacks."""
    known = [pd.read_csv(file, keep_default_na=False)] if file.exists() else []
    pd.concat([*known, pd.DataFrame([row])]).to_csv(file, index=False)


def finished(file: Path, key: dict) -> bool:
    """Whether the file has a row with these values."""
    if not file.exists():
        return False
    rows = pd.read_csv(file, keep_default_na=False)
    return bool((rows[list(key)] == pd.Series(key)).all(axis=1).any())
