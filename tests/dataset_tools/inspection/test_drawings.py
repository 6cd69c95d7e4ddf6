"""Plots of the page."""

import re

import numpy as np
import pytest

from dataset_tools.inspection import drawings


@pytest.mark.parametrize("top", [1, 2, 3, 7, 9, 10, 19, 61, 79, 89, 99, 100, 650, 6999, 10_000])
def test_the_numbers_beside_the_bars_reach_the_highest(top):
    times = np.concatenate([np.full(top, 1.6e9), [1.6e9 + 86400 * 30]])
    numbers = re.findall(r'text-anchor="end">([\d,]+)</text>', drawings.times(times))
    numbers = [int(text.replace(",", "")) for text in numbers]
    assert 2 <= len(numbers) <= 7 and numbers[0] == 0
    assert numbers[-1] <= top < numbers[-1] + numbers[1]
