"""Subclasses of RecBole's classes that put the plugin's mix-ins before them in the method order."""

from functools import lru_cache


@lru_cache
def extended(base: type, before: type, after: type | None = None) -> type:
    """`base` with `before` in front of it and, where given, `after` behind it; the same class each time.

    `before` and `after` call `super()`, so `.__mro__` shows in which order a method runs.  A class that has
    `before` already is returned as it is.
    """
    if issubclass(base, before):
        return base
    bases = (before, base) if after is None else (before, base, after)
    return type(base.__name__, bases, {"__module__": before.__module__, "__doc__": before.__doc__})
