"""Names as the system spells them, in whatever locale, and as the text that they stand for."""

import os


def from_system(name: str) -> str:
    """A file's name or an argument as text, whose bytes Python reads by the locale where it is not UTF-8."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def to_system(name: str) -> str:
    """A text as the file's name that it stands for."""
    return os.fsdecode(name.encode("utf-8", "surrogateescape"))
