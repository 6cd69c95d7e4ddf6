"""The error that means: the user can mend this."""

DISTRIBUTIONS = {"faiss": "faiss-cpu", "torch_scatter": "torch-scatter"}  # where the module's name differs


class UserError(ValueError):
    """A mistake in options, files or data: one sentence that says what, where, and what to do."""


def install_command(module: str | None) -> str:
    """How to install the distribution that brings a module."""
    return f"pip install {DISTRIBUTIONS.get(module, module)}"
