"""What a converter has written, as its test compares it."""

from dataset_tools.dataset.provenance import read_steps
from dataset_tools.dataset.reading import Dataset


def rows(name="x", folder="d"):
    """(user, item, rating, time, part) of the interactions, without what the data set lacks."""
    found = Dataset(name, folder).interactions
    columns = [column for column in (found.rating, found.timestamp, found.part) if column is not None]
    ids = ([found.users[n] for n in found.user], [found.items[n] for n in found.item])
    return [tuple(row) for row in zip(*ids, *(column.tolist() for column in columns), strict=True)]


def summary(name="x", folder="d"):
    """What the record's last step counts and remarks."""
    return read_steps(Dataset(name, folder).folder, name)[-1]["summary"]


def nothing(here, folder="d"):
    """Whether nothing was written, and nothing was left half-written."""
    return not (here / folder).exists() or list((here / folder).iterdir()) == []
