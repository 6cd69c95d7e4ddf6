"""The largest scores of each user: `torch.topk`'s choice and order, equal scores and masks included."""

import pytest
import torch

from recbole_micro.evaluation.top_k import top_k


def scores(kind: str, n: int, width: int) -> torch.Tensor:
    drawn = torch.randn(n, width, generator=torch.Generator().manual_seed(1))
    if kind == "many equal":
        return (4 * drawn).round()
    if kind == "few left":  # most are masked, in some rows all but fewer than are asked for
        return drawn.masked_fill(drawn < torch.linspace(0, 4, n)[:, None], -torch.inf)
    if kind == "no numbers":
        drawn[::3, 5] = torch.nan
    if kind == "all equal":
        return torch.zeros(n, width)
    if kind == "ascending":  # all wanted in one chunk, or behind the last
        return drawn.sort(1).values
    return drawn


@pytest.mark.parametrize("kind", ["random", "many equal", "few left", "no numbers", "all equal", "ascending"])
@pytest.mark.parametrize("width, k", [(7051, 20), (5120, 10), (300, 20), (20, 20), (6500, 1)])
def test_the_places_are_those_of_torch(kind, width, k):
    given = scores(kind, 64, width)
    torch.testing.assert_close(top_k(given, k), torch.topk(given, k, dim=-1).indices, rtol=0, atol=0)
