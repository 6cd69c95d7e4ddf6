"""The small study that several tests run."""

from recbole_micro.studies import runs as runs_module


def runs():
    """BPR, and MICRO with two values of an option; two seeds each."""
    return runs_module.grid(["BPR", "MICRO"], [1, 2], {"knn_k": [2, 3]}, dataset="tiny", epochs=2)
