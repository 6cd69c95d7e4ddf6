"""Logs without what only a terminal shows."""

import re


def plain(log: str) -> str:
    """The log without RecBole's colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", log)
