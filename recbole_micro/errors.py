"""The error that means: the user can mend this."""


class UserError(ValueError):
    """A mistake in options, files or data: one sentence that says what, where, and what to do."""
