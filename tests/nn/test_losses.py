"""InfoNCE, BPR and L2 against their formulas."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from recbole_micro.nn import losses


def double_loop(a, b, tau):
    """I(a_i, b_i) of Eq. 11 written out."""
    out = []
    for i in range(len(a)):
        positive = math.exp(float(a[i] @ b[i]) / tau)
        negatives = sum(
            math.exp(float(a[i] @ b[j]) / tau) + math.exp(float(a[i] @ a[j]) / tau)
            for j in range(len(a))
            if j != i
        )
        out.append(math.log(positive / (positive + negatives)))
    return torch.tensor(out, dtype=a.dtype)


@pytest.fixture(params=[4096, 3], ids=["one block", "blocks of 3"])
def block(request, monkeypatch):
    monkeypatch.setattr(losses, "BLOCK", request.param)


@pytest.mark.parametrize("tau", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_info_nce_equals_the_double_loop(block, n, tau):
    generator = torch.Generator().manual_seed(n)
    a = normalize(torch.randn(n, 5, generator=generator, dtype=torch.float64), dim=-1)
    b = normalize(torch.randn(n, 5, generator=generator, dtype=torch.float64), dim=-1)
    forth, back = losses.info_nce(a, b, tau)
    assert torch.allclose(forth, double_loop(a, b, tau)) and torch.allclose(back, double_loop(b, a, tau))
    given = losses.info_nce(a, b, tau, losses.within(b, tau))
    assert torch.equal(given[0], forth) and torch.equal(given[1], back)


def test_info_nce_gradients(block):
    a = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    b = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    unit = lambda x: normalize(x, dim=-1)  # noqa: E731
    assert torch.autograd.gradcheck(lambda a, b: losses.info_nce(unit(a), unit(b), 0.5), (a, b))
    assert torch.autograd.gradcheck(lambda a: losses.within(unit(a), 0.5), (a,))


def test_info_nce_is_finite_at_the_smallest_tau_and_refuses_less():
    a = normalize(torch.randn(50, 4), dim=-1)
    assert all(torch.isfinite(part).all() for part in losses.info_nce(a, -a, losses.MIN_TAU))
    with pytest.raises(ValueError, match="tau"):
        losses.info_nce(a, a, 0.001)


@pytest.fixture(params=[1 << 24, 10], ids=["one block", "rows one by one"])
def entries(request, monkeypatch):
    monkeypatch.setattr(losses, "ENTRIES", request.param)


@pytest.mark.parametrize("wider", [False, True], ids=["among the batch", "among all"])
def test_one_way_contrast_equals_cross_entropy(entries, wider):
    generator = torch.Generator().manual_seed(2)
    a, c = (torch.randn(n, 4, generator=generator, dtype=torch.float64).requires_grad_() for n in (6, 9))
    among = c if wider else c[:6]
    place = torch.tensor([3, 1, 1, 0, 5, 8]) if wider else torch.arange(6)
    logits = normalize(a, dim=-1) @ normalize(among, dim=-1).T / 0.2
    expected = torch.nn.functional.cross_entropy(logits, place, reduction="none")
    ours = losses.contrast(a, among[place], 0.2, among if wider else None)
    assert torch.allclose(ours, expected)
    for x, y in zip(*(torch.autograd.grad(z.sum(), (a, c)) for z in (ours, expected)), strict=True):
        assert torch.allclose(x, y)
    with pytest.raises(ValueError, match="tau"):
        losses.contrast(a, among[place], 0.001)


def test_bpr_and_l2():
    positive, negative = torch.tensor([1.0, -200.0]), torch.tensor([0.0, 200.0])
    expected = (math.log(1 + math.exp(-1)) + 400) / 2
    assert losses.bpr(positive, negative).item() == pytest.approx(expected)
    u, i = torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([[3.0, 0.0], [0.0, 0.0]])
    assert losses.l2(u, i).item() == pytest.approx(0.5 * (6 + 9) / 2)
