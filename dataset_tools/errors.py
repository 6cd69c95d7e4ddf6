"""The one exception that the converters raise for a reader's mistake."""


class DataError(ValueError):
    """Input that cannot be converted; its text is one sentence: what, where, what to do."""
