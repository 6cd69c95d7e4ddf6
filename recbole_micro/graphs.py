"""Sparse graphs: exact kNN, normalisation, propagation.  The only module that knows about CSR."""

import warnings
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from recbole_micro.errors import UserError, install_command

warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")

NORMALIZATIONS = ("symmetric", "mean", "mean_self_loop")
_CHUNK = 32  # columns per chunk in the candidate search of `knn`


class Graph:
    """A weighted directed graph: row r receives `val[e]` times the vector of column `col[e]`.

    `crow` [n_rows + 1], `col` [n_edges] (int32, ascending in a row), `val` [n_edges] (float), beside the
    transpose's `t_crow`, `t_col` and `t_edge` (which edge each entry of the transpose is).  Plain tensors,
    so a graph can be copied deeply and is no part of a state dict.
    """

    def __init__(self, crow: Tensor, col: Tensor, val: Tensor, n_cols: int):
        self.crow, self.col, self.val = crow.int(), col.int(), val
        self.shape = (len(crow) - 1, n_cols)
        self.t_edge = torch.sort(self.col, stable=True).indices
        self.t_col = self.row[self.t_edge]
        self.t_crow = _row_pointer(torch.bincount(self.col, minlength=n_cols))

    @classmethod
    def from_edges(cls, row: Tensor, col: Tensor, val: Tensor, shape: tuple[int, int]) -> "Graph":
        """Build from edges in any order; the weights of repeated edges add up."""
        key, index = torch.unique(row.long() * shape[1] + col.long(), return_inverse=True)
        val = torch.zeros(len(key), dtype=val.dtype, device=val.device).index_add_(0, index, val)
        return cls.from_sorted(key // shape[1], key % shape[1], val, shape)

    @classmethod
    def from_sorted(cls, row: Tensor, col: Tensor, val: Tensor, shape: tuple[int, int]) -> "Graph":
        """Build from distinct edges that are sorted by row, then column."""
        return cls(_row_pointer(torch.bincount(row, minlength=shape[0])), col, val, shape[1])

    @cached_property
    def row(self) -> Tensor:
        """Row of every edge, [n_edges] int32."""
        n_rows = torch.arange(self.shape[0], dtype=torch.int32, device=self.crow.device)
        return torch.repeat_interleave(n_rows, self.crow.diff().long())

    def with_values(self, val: Tensor) -> "Graph":
        """The same edges with other weights; index tensors are shared."""
        other = object.__new__(Graph)
        other.__dict__.update(self.__dict__, val=val)
        return other

    def detach(self) -> "Graph":
        """The same graph without gradients."""
        return self.with_values(self.val.detach())

    def apply(self, fn: Callable[[Tensor], Tensor]) -> "Graph":
        """Apply `fn` to every tensor (the hook behind `nn.Module.to`)."""
        other = object.__new__(Graph)
        other.__dict__.update({k: fn(v) if torch.is_tensor(v) else v for k, v in self.__dict__.items()})
        return other

    def to_dense(self) -> Tensor:
        """Dense matrix [n_rows, n_cols], for tests and small graphs."""
        dense = self.val.new_zeros(self.shape)
        dense[self.row.long(), self.col.long()] = self.val
        return dense

    def __repr__(self) -> str:
        return f"Graph({self.shape[0]} x {self.shape[1]}, {len(self.col)} edges)"


def _row_pointer(counts: Tensor) -> Tensor:
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)]).int()


def bipartite(user: Tensor, item: Tensor, n_users: int, n_items: int) -> Graph:
    """User-item graph of [n_users + n_items] nodes with each edge in both directions, weight 1."""
    user, item = user.long(), item.long() + n_users
    n = n_users + n_items
    row, col = torch.cat([user, item]), torch.cat([item, user])
    graph = Graph.from_edges(row, col, torch.ones(len(row), device=user.device), (n, n))
    return graph.with_values(torch.ones_like(graph.val))  # a repeated interaction is one edge


def both_ways(graph: Graph, values: Tensor) -> Tensor:
    """Edge values of `bipartite` from those of the [n_users, n_items] graph: the same in both directions."""
    return torch.cat([values, values.index_select(0, graph.t_edge)])


def normalize(graph: Graph, how: str) -> Graph:
    """Normalise with the row sums D; a row without edges stays empty.

    `symmetric`: D^-1/2 A D^-1/2 (MICRO Eq. 3, LightGCN); `mean`: D^-1 A; `mean_self_loop`: (D + I)^-1 (A +
    I) (MICRO's published code).
    """
    if how == "mean_self_loop":
        graph, how = _add_self_loops(graph), "mean"
    if how not in NORMALIZATIONS:
        raise ValueError(f"normalisation must be one of {', '.join(NORMALIZATIONS)}, not {how!r}")
    val, row, col = graph.val, graph.row.long(), graph.col.long()
    degree = val.new_zeros(graph.shape[0]).index_add(0, row, val)
    power = -0.5 if how == "symmetric" else -1.0
    inverse = torch.where(degree > 0, degree.clamp(min=1e-12), torch.inf).pow(power)
    val = val * inverse[row]
    return graph.with_values(val * inverse[col] if how == "symmetric" else val)


def _add_self_loops(graph: Graph) -> Graph:
    loop = torch.arange(graph.shape[0], device=graph.col.device)
    row, col = torch.cat([graph.row.long(), loop]), torch.cat([graph.col.long(), loop])
    return Graph.from_edges(row, col, torch.cat([graph.val, graph.val.new_ones(len(loop))]), graph.shape)


class Block(NamedTuple):
    """What one step of message passing to a few rows reads: DGL's and PyG's bipartite block.

    `graph` [n_rows, n_nodes] has the rows' edges from `nodes` [n_nodes] (ids in the whole graph), of which
    the first n_rows are the rows themselves.
    """

    graph: Graph
    nodes: Tensor


def block(graph: Graph, rows: Tensor) -> Block:
    """The edges of these distinct `rows` [n_rows] of a square graph; its values take no gradients here."""
    start = graph.crow[rows].long()
    count = graph.crow[rows + 1].long() - start
    crow = torch.cat([count.new_zeros(1), count.cumsum(0)])
    edge = torch.arange(int(crow[-1]), device=rows.device) + torch.repeat_interleave(start - crow[:-1], count)
    col = graph.col[edge].long()
    others = torch.zeros(graph.shape[1], dtype=torch.bool, device=rows.device)
    others[col] = True
    others[rows] = False
    nodes = torch.cat([rows, others.nonzero()[:, 0]])
    place = torch.empty(graph.shape[1], dtype=torch.long, device=rows.device)
    place[nodes] = torch.arange(len(nodes), device=rows.device)
    return Block(Graph(crow, place[col], graph.val[edge], len(nodes)), nodes)


def mix(graphs: Iterable[Graph], weights: Iterable[float | Tensor]) -> Graph:
    """Weighted sum of graphs of the same shape as one graph; gradients reach edge values and weights."""
    graphs = list(graphs)
    row = torch.cat([g.row for g in graphs])
    col = torch.cat([g.col for g in graphs])
    val = torch.cat([g.val * w for g, w in zip(graphs, weights, strict=True)])
    return Graph.from_edges(row, col, val, graphs[0].shape)


def sample_edges(
    user: Tensor, item: Tensor, keep: float, n_users: int, n_items: int
) -> tuple[Tensor, Tensor]:
    """A share `keep` of the edges without replacement, p ~ 1 / sqrt(d_u d_i) (FREEDOM, Section 3.2).

    The smallest keys Exp(1) / p are such a sample, for any number of edges (`torch.multinomial` stops at
    2^24).
    """
    d_user = torch.bincount(user, minlength=n_users).float()
    d_item = torch.bincount(item, minlength=n_items).float()
    weight = (d_user[user] * d_item[item]).rsqrt()
    key = torch.empty_like(weight).exponential_() / weight
    chosen = torch.topk(key, max(1, round(keep * len(user))), largest=False, sorted=False).indices
    return user[chosen], item[chosen]


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


@torch.no_grad()
def knn(
    features: Tensor,
    k: int,
    mask: Tensor | None = None,
    clamp_negative: bool = True,
    memory: float = 256.0,
    backend: str = "exact",
) -> Graph:
    """The k nearest rows of every row by cosine, the row itself counted (MICRO Eq. 1, 2).

    `features` [n, d]; `mask` [n] says which rows exist (a row of zeros never does): the others get no edges,
    in either direction.  Larger cosines win, then lower indices, and the row itself always stays, so the
    graph is the same for every block size and number of threads: candidates come from float32 products, the
    choice among them from float64 dot products that do not depend on the blocks.  Negative cosines are
    dropped (`clamp_negative`) or kept. `memory`: MB beside the inputs and the graph.  `backend`: `exact` or
    `faiss` (approximate, for very many rows).
    """
    n = len(features)
    norm = norms(features)
    valid = (norm > 0) if mask is None else (mask.to(norm.device) & (norm > 0))
    search = {"exact": _exact_candidates, "faiss": _faiss_candidates}[backend]
    row_parts, col_parts, val_parts = [], [], []
    for row, col in search(features, norm, valid, k, memory):
        cosine = _pair_cosines(features, norm, row, col, memory)
        keep = best_per_row(row, torch.where(row == col, torch.inf, cosine), k)
        if clamp_negative:
            keep &= cosine > 0
        row_parts.append(row[keep].int())
        col_parts.append(col[keep].int())
        val_parts.append(cosine[keep].float())
    if not row_parts:
        empty = torch.empty(0, dtype=torch.int32, device=features.device)
        return Graph.from_sorted(empty, empty, empty.float(), (n, n))
    return Graph.from_sorted(torch.cat(row_parts), torch.cat(col_parts), torch.cat(val_parts), (n, n))


def norms(features: Tensor) -> Tensor:
    """Row norms in float64 [n], block by block."""
    squares = torch.empty(len(features), dtype=torch.float64, device=features.device)
    step = max(1, (1 << 20) // max(1, features.shape[1]))
    for start in range(0, len(features), step):
        block = features[start : start + step].to(torch.float64, copy=True)
        torch.sum(block.square_(), -1, out=squares[start : start + step])
    return squares.sqrt_()


def _exact_candidates(features, norm, valid, k, memory):
    """Yield sorted (row, col) pairs that contain each row's k nearest, whatever float32 rounds away."""
    n, d = features.shape
    k = min(k, int(valid.sum()))
    if k == 0:
        return
    budget = int(memory * 2**20)
    scale = torch.where(valid, 1 / norm, 0.0).float()
    absent = None if bool(valid.all()) else torch.where(valid, 0.0, -torch.inf).float()
    slack = 4 * (d + 4) * 2.0**-24
    n_chunks = -(-n // _CHUNK)
    height = max(1, min(n, budget // 2 // (4 * n_chunks * _CHUNK)))
    buffer = features.new_empty(height, n_chunks * _CHUNK)
    for start in range(0, n, height):
        block = buffer[: min(height, n - start)]
        block[:, n:] = -torch.inf
        cosine = block[:, :n]
        torch.mm(features[start : start + len(block)], features.T, out=cosine)
        cosine.mul_(scale).mul_(scale[start : start + len(block), None])
        if absent is not None:
            cosine.add_(absent)
        yield from _above_threshold(block, start, k, slack, valid, budget)


def _above_threshold(block, start, k, slack, valid, budget):
    """Pairs of a block of cosines at or above each row's k-th largest less `slack`.

    The k-th largest chunk maximum is a lower bound of the k-th largest entry; only chunks that reach it are
    read.
    """
    chunks = block.view(len(block), -1, _CHUNK)
    best = chunks.amax(-1)
    bound = best.topk(k).values[:, -1] if best.shape[1] >= k else block.topk(k).values[:, -1]
    rows = torch.arange(start, start + len(block), device=block.device)
    # The row itself is always a candidate, also where more than k rows equal it.
    itself = block[torch.arange(len(block), device=block.device), rows]
    bound = torch.minimum(bound, itself) - slack
    bound = torch.where(valid[rows], bound, torch.inf)
    hit = best >= bound[:, None]
    step = max(1, budget // 4 // (32 * _CHUNK * max(1, int(hit.sum(1).max()))))
    for part in range(0, len(block), step):
        row, chunk = hit[part : part + step].nonzero(as_tuple=True)
        row = row + part
        inside, offset = (chunks[row, chunk] >= bound[row, None]).nonzero(as_tuple=True)
        if len(inside):
            yield row[inside] + start, chunk[inside] * _CHUNK + offset


def _faiss_candidates(features, norm, valid, k, memory):
    """The same through FAISS's HNSW index: approximate, a few seconds for a million rows."""
    try:
        import faiss
    except ImportError as error:
        raise UserError(f"knn_backend faiss needs FAISS: {install_command('faiss')}.") from error
    index_of = valid.nonzero().squeeze(1).cpu()
    unit = (features / norm.clamp(min=1e-30)[:, None].float())[valid].float().cpu().contiguous().numpy()
    if not len(unit):
        return
    index = faiss.IndexHNSWFlat(unit.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = 80, max(64, 4 * k)
    index.add(unit)
    step = max(1, int(memory * 2**20) // (64 * (k + 1)))
    for start in range(0, len(unit), step):
        found = torch.from_numpy(index.search(unit[start : start + step], min(k + 1, len(unit)))[1])
        itself = torch.arange(start, start + len(found))[:, None]
        found = torch.cat([itself, torch.where(found < 0, itself, found)], 1)
        pair = torch.unique(itself * len(unit) + found)
        yield index_of[pair // len(unit)].to(valid.device), index_of[pair % len(unit)].to(valid.device)


def _pair_cosines(features: Tensor, norm: Tensor, row: Tensor, col: Tensor, memory: float) -> Tensor:
    """Cosine of each pair in float64, [n_pairs]; the value of a pair does not depend on the other pairs."""
    width = features.shape[1]
    step = max(1, min(int(memory * 2**20) // 4, 1 << 22) // (24 * max(1, width)))
    # The buffers serve every portion: temporaries of changing sizes would fragment the heap.
    single = features.new_empty(step, width)
    left, right = (torch.empty(step, width, dtype=torch.float64, device=features.device) for _ in range(2))
    dot = torch.empty(len(row), dtype=torch.float64, device=features.device)
    for start in range(0, len(row), step):
        part = slice(start, min(start + step, len(row)))
        n = part.stop - start
        for index, double in ((row, left), (col, right)):
            torch.index_select(features, 0, index[part], out=single[:n])
            double[:n].copy_(single[:n])
        torch.sum(left[:n].mul_(right[:n]), -1, out=dot[part])
    return dot / (norm[row] * norm[col])


def best_per_row(row: Tensor, value: Tensor, k: int) -> Tensor:
    """Which of the pairs, sorted by row, are among their row's k largest; the earlier pair wins a tie."""
    order = torch.sort(value, descending=True, stable=True).indices
    order = order[torch.sort(row[order], stable=True).indices]
    place = torch.arange(len(row), device=row.device) - torch.searchsorted(row, row)
    keep = torch.empty(len(row), dtype=torch.bool, device=row.device)
    keep[order] = place < k
    return keep
