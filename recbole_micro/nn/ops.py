"""Message passing on sparse graphs: products, attention and similarities of edges, with their gradients."""

import warnings

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from recbole_micro.nn.graph import Graph, take_rows

warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")


class _Propagate(torch.autograd.Function):
    """A x with gradients A^T g to x and g_row . x_col to the edge values."""

    @staticmethod
    def forward(ctx, graph, values, x):
        ctx.graph = graph
        ctx.save_for_backward(x if values.requires_grad else None)
        return _spmm(graph.crow, graph.col, values, graph.shape, x)

    @staticmethod
    def backward(ctx, grad):
        graph, (x,) = ctx.graph, ctx.saved_tensors
        grad = grad.contiguous()
        grad_values = grad_x = None
        if ctx.needs_input_grad[1]:
            grad_values = _sampled_product(graph, grad, x)
        if ctx.needs_input_grad[2]:
            grad_x = _transposed_times(graph, grad)
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
        matrix = _csr(graph.t_crow, graph.t_col, graph.t_val, graph.shape[::-1])
        return None, _horner(matrix, grad.contiguous(), ctx.n_steps), None


def _horner(matrix: Tensor, x: Tensor, n_steps: int) -> Tensor:
    total = x
    for _ in range(n_steps):
        total = torch.addmm(x, matrix, total)
    return total


class _MeanForUsers(torch.autograd.Function):
    """The mean of all layers, of some users and all items; the last layer's other users are left out."""

    @staticmethod
    def forward(ctx, up, down, users, user, item, n_layers):
        ctx.up, ctx.down, ctx.users, ctx.n_layers = up, down, users, n_layers
        some, total = user.index_select(0, users), item
        for layer in range(1, n_layers + 1):
            if layer == n_layers:
                ctx.last = take_rows(up, users)
                some = some + _times(ctx.last, item)
                total = total + _times(down, user)
            else:
                user, item = _times(up, item), _times(down, user)
                some, total = some + user.index_select(0, users), total + item
        return some / (n_layers + 1), total / (n_layers + 1)

    @staticmethod
    def backward(ctx, grad_some, grad_item):
        some, item = grad_some / (ctx.n_layers + 1), (grad_item / (ctx.n_layers + 1)).contiguous()
        grad_item = _transposed_times(ctx.last, some).add_(item)
        grad_user = _transposed_times(ctx.down, item).index_add_(0, ctx.users, some)
        for _ in range(ctx.n_layers - 1):
            below = _transposed_times(ctx.up, grad_user).add_(item)
            grad_user = _transposed_times(ctx.down, grad_item).index_add_(0, ctx.users, some)
            grad_item = below
        return None, None, None, grad_user, grad_item, None


def _times(graph: Graph, x: Tensor) -> Tensor:
    return _spmm(graph.crow, graph.col, graph.val, graph.shape, x)


def _transposed_times(graph: Graph, x: Tensor) -> Tensor:
    return _spmm(graph.t_crow, graph.t_col, graph.t_val, graph.shape[::-1], x)


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
    if x.device.type == "cpu" and x.dtype == val.dtype == torch.float32 and len(col):
        # What sums bags of embeddings is the same product, and waits less for vectors that are in no cache.
        return embedding_bag(
            col, x, crow, mode="sum", per_sample_weights=val.detach(), include_last_offset=True
        )
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


def mean_for_users(
    up: Graph, down: Graph, users: Tensor, user: Tensor, item: Tensor, n_layers: int
) -> tuple[Tensor, Tensor]:
    """The mean of x, A x, ..., A^n x over users and items, of the `users` [b] and of all items.

    `up` [n_users, n_items] and `down` [n_items, n_users] are the two halves of A; `user` [n_users, d], `item`
    [n_items, d] are x.  Gradients flow to x.  [b, d] and [n_items, d].
    """
    with torch.autocast(item.device.type, enabled=False):
        x = user.to(up.val.dtype).contiguous(), item.to(up.val.dtype).contiguous()
        return _MeanForUsers.apply(up, down, users, *x, n_layers)


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
