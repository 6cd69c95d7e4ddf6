"""Ids for property tests: odd ones, and which of them the converters accept."""

from hypothesis import strategies as st

from dataset_tools.errors import DataError
from dataset_tools.formats.atomic import MISSING, check_tokens

ODD = [
    "007",
    " lead",
    "trail ",
    'q"',
    '"q',
    '""',
    '"',
    "a\tb",
    "a\nb",
    "[PAD]",
    "1e5",
    "#x",
    "a,b",
    "'",
    "\\",
]
tokens = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from([*MISSING, *ODD])


def acceptable(token: str) -> bool:
    """Whether `check_tokens` lets it pass."""
    try:
        check_tokens([token], "item")
    except DataError:
        return False
    return True
