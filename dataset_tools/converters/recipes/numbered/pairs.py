"""What the layouts share whose parts are arrays of pairs: users, items and features by their numbers."""

from collections.abc import Sequence

import numpy as np

from dataset_tools.converters.numbered_items import REPEATED, Matrices, Numbering, write_all
from dataset_tools.converters.shared_options import FolderOptions
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Builder, Interactions
from dataset_tools.operations.filtering import deduplicate


def write(
    folder: DatasetFolder,
    parts: Sequence[np.ndarray],
    users: int,
    items: Numbering,
    found: Matrices,
    names: Sequence[str],
    options: FolderOptions,
) -> Interactions:
    """Write the matrices as `names` and the `parts` of the split, numbers of user and item [n, 2]."""
    builder = Builder(part=True)
    for token in items.tokens:
        builder.add_item(token)
    for part, pairs in enumerate(parts):
        for user, item in pairs.tolist():
            builder.add(str(user), items.tokens[items.place[item]], part=part)
    interactions = builder.build()
    folder.write_interactions(interactions)
    folder.note(REPEATED, deduplicate(interactions)[1])
    folder.write_items(items.tokens, in_order_of=items.in_order_of)
    folder.write_users([str(user) for user in range(users)])
    write_all(folder, found, items.tokens, names, options.half, options.skip_bad, interactions)
    return interactions
