"""Message passing on sparse graphs: products, attention and similarities of edges, with their gradients."""

import warnings

import torch
from torch import Tensor

from recbole_micro.nn.graph import Graph

warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")


class _Propagate(torch.autograd.Function):
    """A x with gradients A^T g to x and g_row . x_col to the edge values."""

    @staticmethod
    def forward(ctx, graph, values, x):
        ctx.graph = graph
        ctx.save_for_backward(values, x if values.requires_grad else None)
        return _spmm(graph.crow, graph.col, values, graph.shape, x)

    @staticmethod
    def backward(ctx, grad):
        graph, (values, x) = ctx.graph, ctx.saved_tensors
        grad = grad.contiguous()
        grad_values = grad_x = None
        if ctx.needs_input_grad[1]:
            grad_values = _sampled_product(graph, grad, x)
        if ctx.needs_input_grad[2]:
            grad_x = _spmm(graph.t_crow, graph.t_col, values[graph.t_edge], graph.shape[::-1], grad)
        return None, grad_values, grad_x


class _PropagateSum(torch.autograd.Function):
    """x + A x + ... + A^n x by Horner's rule, x + A (x + A (...)); its gradient is that of A^T."""

    @staticmethod
    def forward(ctx, graph, x, n_steps):
        ctx.graph, ctx.n_steps = graph, n_steps
        matrix = _csr(graph.crow, graph.col, graph.val, graph.shape)
        return _horner(matrix, x, n_steps)

    @staticmethod
    def backward(ctx, grad):
        graph = ctx.graph
        matrix = _csr(graph.t_crow, graph.t_col, graph.val[graph.t_edge], graph.shape[::-1])
        return None, _horner(matrix, grad.contiguous(), ctx.n_steps), None


def _horner(matrix: Tensor, x: Tensor, n_steps: int) -> Tensor:
    total = x
    for _ in range(n_steps):
        total = torch.addmm(x, matrix, total)
    return total


class _EdgeDot(torch.autograd.Function):
    """target_row . source_col for every edge; forward and backward are sparse products."""

    @staticmethod
    def forward(ctx, graph, target, source):
        ctx.graph = graph
        ctx.save_for_backward(target, source)
        return _sampled_product(graph, target, source)

    @staticmethod
    def backward(ctx, grad):
        graph, (target, source) = ctx.graph, ctx.saved_tensors
        grad_target = grad_source = None
        if ctx.needs_input_grad[1]:
            grad_target = _spmm(graph.crow, graph.col, grad, graph.shape, source)
        if ctx.needs_input_grad[2]:
            grad_source = _spmm(graph.t_crow, graph.t_col, grad[graph.t_edge], graph.shape[::-1], target)
        return None, grad_target, grad_source


class _EdgeSoftmax(torch.autograd.Function):
    """exp(logit) over its sum in the row."""

    @staticmethod
    def forward(ctx, graph, logits):
        ctx.row, ctx.n_rows = graph.row.long(), graph.shape[0]
        top = logits.new_full((ctx.n_rows,), -torch.inf).scatter_reduce(0, ctx.row, logits, "amax")
        top = top.masked_fill(top == -torch.inf, 0)  # a row in which no edge takes part
        share = (logits - top[ctx.row]).exp_()
        total = share.new_zeros(ctx.n_rows).index_add_(0, ctx.row, share)
        share /= torch.where(total > 0, total, 1.0)[ctx.row]
        ctx.save_for_backward(share)
        return share

    @staticmethod
    def backward(ctx, grad):
        (share,) = ctx.saved_tensors
        grad = grad * share
        return None, grad - share * grad.new_zeros(ctx.n_rows).index_add_(0, ctx.row, grad)[ctx.row]


def _sampled_product(graph: Graph, target: Tensor, source: Tensor) -> Tensor:
    pattern = _csr(graph.crow, graph.col, target.new_zeros(len(graph.col)), graph.shape)
    return torch.sparse.sampled_addmm(pattern, target, source.T, beta=0).values()


def _csr(crow: Tensor, col: Tensor, val: Tensor, shape: tuple[int, int]) -> Tensor:
    return torch.sparse_csr_tensor(crow, col, val, size=shape, check_invariants=False)


def _spmm(crow: Tensor, col: Tensor, val: Tensor, shape: tuple[int, int], x: Tensor) -> Tensor:
    matrix = _csr(crow, col, val, shape)
    out = x.new_empty(shape[0], x.shape[1])
    return torch.addmm(out, matrix, x, beta=0, out=out)  # half the time of `matrix @ x`: no zeros, no copy


def propagate(graph: Graph, x: Tensor) -> Tensor:
    """One step of message passing, A x: [n_cols, d] -> [n_rows, d].

    Gradients flow to `x` and, where they require them, to the edge values.  Runs in the precision of the
    edge values, also inside autocast (CSR products know no bfloat16 on the CPU).
    """
    with torch.autocast(x.device.type, enabled=False):
        return _Propagate.apply(graph, graph.val, x.to(graph.val.dtype).contiguous())


def propagate_sum(graph: Graph, x: Tensor, n_steps: int) -> Tensor:
    """x + A x + ... + A^n x of a square graph, [n, d]; gradients flow to `x` alone (else as `propagate`)."""
    with torch.autocast(x.device.type, enabled=False):
        total = _PropagateSum.apply(graph, x.to(graph.val.dtype).contiguous(), n_steps)
    return total.to(x.dtype)


def edge_dot(graph: Graph, target: Tensor, source: Tensor) -> Tensor:
    """target_row . source_col of every edge, [n_edges]; `target` [n_rows, d], `source` [n_cols, d]."""
    with torch.autocast(target.device.type, enabled=False):
        dtype = graph.val.dtype
        return _EdgeDot.apply(graph, target.to(dtype).contiguous(), source.to(dtype).contiguous())


def edge_softmax(graph: Graph, logits: Tensor, present: Tensor | None = None) -> Tensor:
    """Softmax over the edges of each row, [n_edges] (attention over a target's neighbours).

    Edges that are not `present` [n_edges] get 0 and take no part.
    """
    return _EdgeSoftmax.apply(graph, logits if present is None else logits.masked_fill(~present, -torch.inf))


def edge_similarity(graph: Graph, x: Tensor, clamp_negative: bool = True) -> Tensor:
    """Cosine of the two ends of every edge, [n_edges], with gradients to `x` [n, d] (MICRO Eq. 1, 4)."""
    with torch.autocast(x.device.type, enabled=False):
        x = torch.nn.functional.normalize(x.to(graph.val.dtype), dim=-1)
        similarity = edge_dot(graph, x, x)
    return similarity.relu() if clamp_negative else similarity
