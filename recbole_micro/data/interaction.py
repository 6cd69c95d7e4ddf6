"""RecBole's `Interaction` without a Python object per row or a check per column."""

from collections.abc import Mapping

import numpy as np
import torch
from recbole.data.interaction import Interaction
from torch import Tensor


class Columns(Interaction):
    """The features of a data set and the batches taken from them: what `Interaction` does, on whole columns.

    RecBole turns an array of row numbers into a list of them before each column is read, and looks at every
    column again when a batch is made.  Here both are left out; the values are the same.
    """

    interaction: dict[str, Tensor]

    @classmethod
    def of(cls, columns: Mapping[str, Tensor]) -> "Columns":
        """Columns of equal length, as they are."""
        made = object.__new__(cls)
        made.interaction = dict(columns)
        made.length = max((len(column) if column.dim() else 1 for column in columns.values()), default=-1)
        return made

    def __getitem__(self, index):
        """A column by its name, or the rows that an array or a tensor (numbers or bools) or a slice picks."""
        if isinstance(index, str):
            return self.interaction[index]
        if isinstance(index, np.ndarray):
            index = torch.from_numpy(index if index.flags.writeable else index.copy())
        if isinstance(index, Tensor):
            device = next(iter(self.interaction.values())).device
            index = index if index.device == device else index.to(device)
        return self.of({name: column[index] for name, column in self.interaction.items()})

    def to(self, device, selected_field=None):
        """These columns on a device, or only the selected ones there."""
        if selected_field is not None:
            return super().to(device, selected_field)
        return self.of({name: column.to(device) for name, column in self.interaction.items()})

    def repeat(self, sizes):
        """These rows `sizes` times, one after another."""
        return self.of(
            {
                name: column.repeat(sizes, *[1] * (column.dim() - 1))
                for name, column in self.interaction.items()
            }
        )
