"""Tensors that modules hold beside their parameters move and convert with them."""

import torch

from recbole_micro.nn.device import HoldsTensors


def test_a_tensor_that_two_modules_hold_stays_one():
    outer, inner = HoldsTensors(), HoldsTensors()
    outer.inner, outer.values = inner, torch.ones(3)
    inner.values = outer.values
    outer.double()
    assert outer.values.dtype == torch.float64 and outer.values is inner.values
