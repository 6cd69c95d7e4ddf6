"""Dense vectors with gradients in few passes: rows of length 1, attention over views."""

from collections.abc import Sequence

import torch
from torch import Tensor

LEAST = 1e-12  # what a length is at least where it divides, as in F.normalize


class _Normalize(torch.autograd.Function):
    """y = x / max(|x|, LEAST); g_x = (g - y (g . y)) / |x|."""

    @staticmethod
    def forward(ctx, x):
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        y = x / length.clamp(min=LEAST)
        ctx.save_for_backward(y, length)
        return y

    @staticmethod
    def backward(ctx, grad):
        y, length = ctx.saved_tensors
        along = torch.linalg.vecdot(grad, y)[..., None].masked_fill_(length < LEAST, 0)
        return torch.addcmul(grad, y, along, value=-1).div_(length.clamp(min=LEAST))


class _Attend(torch.autograd.Function):
    """h = sum_m alpha^m h^m with alpha = softmax_m(prior_m + q . tanh(W h^m + b)) over those `present`."""

    @staticmethod
    def forward(ctx, prior, present, weight, bias, query, *views):
        hidden = [torch.addmm(bias, view, weight.T).tanh_() for view in views]
        logits = torch.stack([torch.mv(h, query[0]) for h in hidden]).add_(prior[:, None])
        alpha = logits.masked_fill_(~present.T, -1e9).softmax(0).mul_(present.T)  # [n_views, n]
        fused = alpha[0, :, None] * views[0]
        for share, view in zip(alpha[1:], views[1:], strict=True):
            fused.addcmul_(share[:, None], view)
        ctx.save_for_backward(weight, query, alpha, *hidden, *views)
        ctx.mark_non_differentiable(alpha)
        return fused, alpha

    @staticmethod
    def backward(ctx, grad, _):
        weight, query, alpha, *rest = ctx.saved_tensors
        hidden, views = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        of_alpha = torch.stack([torch.linalg.vecdot(grad, view) for view in views])
        of_logits = alpha * (of_alpha - (alpha * of_alpha).sum(0))
        of_weight, of_bias, of_query = (torch.zeros_like(part) for part in (weight, weight[:, 0], query))
        of_views = []
        for share, of_logit, h, view in zip(alpha, of_logits, hidden, views, strict=True):
            of_query[0].addmv_(h.T, of_logit)
            of_sum = torch.ops.aten.tanh_backward(of_logit[:, None] * query, h)
            of_weight.addmm_(of_sum.T, view)
            of_bias += of_sum.sum(0)
            of_views.append((share[:, None] * grad).addmm_(of_sum, weight))
        return None, None, of_weight, of_bias, of_query, *of_views


def normalize(x: Tensor) -> Tensor:
    """Rows of length 1, [n, d]; as `F.normalize`, in a third of its passes backwards."""
    unit: Tensor = _Normalize.apply(x)
    return unit


def attend(
    views: Sequence[Tensor],
    weight: Tensor,
    bias: Tensor,
    query: Tensor,
    prior: Tensor,
    present: Tensor,
) -> tuple[Tensor, Tensor]:
    """The sum h [n, d] of the `views` [n, d] by attention, and the attention alpha [n, n_views].

    alpha, to which no gradient flows, is the softmax over the views that are `present` [n, n_views] of
    prior + q . tanh(W h + b); `weight` W [e, d], `bias` b [e], `query` q [1, e], `prior` [n_views].  A row
    without views gets h = 0.
    """
    with torch.autocast(weight.device.type, enabled=False):
        given = [view.to(weight.dtype) for view in views]
        fused, alpha = _Attend.apply(prior, present, weight, bias, query, *given)
    return fused, alpha.T
