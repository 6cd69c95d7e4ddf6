"""What tests of configurations share."""

from recbole_micro import Config


def make(model="BPR", dataset="tiny", files=None, **given):
    return Config(model, dataset, files, given)
