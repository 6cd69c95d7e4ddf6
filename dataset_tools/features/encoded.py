"""What an encoder makes of the items, one portion of them after another, into a feature file."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from dataset_tools.errors import DataError
from dataset_tools.features.encoders.contract import Encoder
from dataset_tools.features.feature_file import FeatureWriter
from dataset_tools.formats.matrices.checks import check_finite
from dataset_tools.progress import progress

ENCODE = "repair what these items have, or choose another encoder"
SHARD = 1024  # items that are encoded at once


def write_encoded(
    open_writer: Callable[[int], FeatureWriter], items: Sequence[str], shards: Iterator[tuple]
) -> list[str]:
    """Write the items that the shards (values, ok) have features for; the ids of the others."""
    first = next(shards, None)
    if first is None:
        raise DataError("There are no items to encode.")
    missing, start = [], 0
    with open_writer(first[0].shape[1]) as writer:
        while first is not None:
            values, ok = first
            tokens = items[start : start + len(values)]
            named = [token for token, there in zip(tokens, ok, strict=True) if there]
            check_finite(named, values[ok], f"the encoder's {writer.modality} features", ENCODE)
            writer.write(named, values[ok])
            missing += [token for token, there in zip(tokens, ok, strict=True) if not there]
            start += len(values)
            first = next(shards, None)
        if not writer.rows:
            raise DataError(f"No item has anything to make {writer.modality} features of.")
    return missing


def in_shards(encode: Encoder, inputs: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The encoder's output for one portion of the inputs after another."""
    starts = range(0, len(inputs), SHARD)
    for start in progress(starts, "encoding", len(starts), "shard"):
        yield encode(inputs[start : start + SHARD])
