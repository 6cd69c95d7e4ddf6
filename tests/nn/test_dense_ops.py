"""Dense operations with gradients of their own, against PyTorch's."""

import torch
from torch.autograd import gradcheck
from torch.nn import functional as F

from recbole_micro.nn.dense_ops import attend, normalize


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()


def test_rows_of_length_one_are_those_of_normalize_and_so_are_their_gradients():
    x = drawn(6, 4)
    with torch.no_grad():
        x[0] = 0
    weight = drawn(6, 4, seed=1).detach()
    ours, theirs = normalize(x), F.normalize(x, dim=-1)
    gradients = [torch.autograd.grad((y * weight).sum(), x)[0] for y in (ours, theirs)]
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=0)


def test_attention_is_the_softmax_over_the_views_that_are_there():
    views = [drawn(6, 4, seed=seed) for seed in (1, 2, 3)]
    weight, bias, query = drawn(5, 4), drawn(5, seed=4), drawn(1, 5, seed=5)
    prior = drawn(3, seed=6).detach()
    present = torch.tensor([[False] * 3, [True, False, True], [False, True, False], *[[True] * 3] * 3])
    fused, alpha = attend(views, weight, bias, query, prior, present)
    logits = torch.cat([torch.tanh(view @ weight.T + bias) @ query.T for view in views], 1) + prior
    expected = logits.masked_fill(~present, -torch.inf).softmax(1).nan_to_num(0)
    torch.testing.assert_close(alpha, expected)
    torch.testing.assert_close(fused, (expected[..., None] * torch.stack(views, 1)).sum(1))
    assert not alpha[0].any() and not fused[0].any()
    given = weight, bias, query, *views
    assert gradcheck(lambda w, b, q, *v: attend(v, w, b, q, prior, present)[0], given)
