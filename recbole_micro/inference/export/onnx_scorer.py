"""The scorer as an ONNX graph, checked by onnxruntime."""

from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from recbole_micro.errors import UserError
from recbole_micro.inference.export.formats import Vectors, absent
from recbole_micro.inference.export.walk import beside, matrix
from recbole_micro.nn.walk import Walk

FILE = "scorer.onnx"
OPSET = 17
CHECKED_USERS, CHECKED_ITEMS = 256, 20
EXTERNAL = 1 << 30  # bytes of vectors from which they go beside the graph: one file holds 2 GiB at most


def write_onnx(vectors: Vectors, folder: Path, walk: Walk | None = None) -> None:
    """`scorer.onnx`: rows of users `user` int64 [batch] -> `scores` float32 [batch, n_items].

    `walk`: what the scores have beside dot products of the vectors.
    Raises UserError where onnx or onnxruntime is missing, and where the 20 best items of up to 256 users
    differ from those of the model.
    """
    try:
        import onnx
        from onnx import TensorProto, helper
    except ModuleNotFoundError:
        raise absent("onnx", "--onnx") from None
    scorer = Scorer()
    vector = scorer.node("Gather", scorer.constant(vectors.user), "user", axis=0)
    scores = scorer.node("MatMul", vector, scorer.constant(np.ascontiguousarray(vectors.item.T)))
    if walk is not None:
        scores = with_walk(scorer, scores, walk)
    scorer.nodes.append(helper.make_node("Identity", [scores], ["scores"]))
    graph = helper.make_graph(
        scorer.nodes,
        "scorer",
        [helper.make_tensor_value_info("user", TensorProto.INT64, ["batch"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", len(vectors.item)])],
        scorer.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    large = sum(len(constant.raw_data) for constant in scorer.constants) > EXTERNAL
    onnx.save_model(model, str(folder / FILE), save_as_external_data=large, location=f"{FILE}.data")
    check(vectors, folder / FILE, walk)


class Scorer:
    """The nodes and constants of a graph while it is made; each is known by its name."""

    def __init__(self) -> None:
        self.nodes: list = []
        self.constants: list = []

    def constant(self, values: np.ndarray) -> str:
        """The name of these values."""
        from onnx import numpy_helper

        name = f"constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The name of what an operator makes of its inputs."""
        from onnx import helper

        name = f"node.{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name


def with_walk(scorer: Scorer, scores: str, walk: Walk) -> str:
    """The scores [batch, n_items] with what `walk` adds.

    A user's own items are marked in a row of as many numbers as there are items, one for the padding behind
    them; every item sums what is marked of its neighbours.
    """
    from onnx import numpy_helper

    own = matrix(walk.own, walk.own.shape)[1:, 1:]
    n_items, count = own.shape[1], np.diff(own.indptr)
    items = scorer.node("Gather", scorer.constant(padded(own, n_items)[0]), "user", axis=0)
    rows = scorer.node("Shape", "user")
    shape = scorer.node("Concat", rows, scorer.constant(np.array([n_items + 1])), axis=0)
    nothing = scorer.node("ConstantOfShape", shape)
    one = numpy_helper.from_array(np.ones(1, dtype=np.float32))
    ones = scorer.node("ConstantOfShape", scorer.node("Shape", items), value=one)
    marked = scorer.node("ScatterElements", nothing, items, ones, axis=1)
    # weight sqrt(sum / n) = sqrt(weight^2 / n sum)
    factor = (walk.weight**2 / np.maximum(count, 1)).astype(np.float32)[:, None]
    factor = scorer.node("Gather", scorer.constant(factor), "user", axis=0)
    for names in walk.parts:
        graphs = [matrix(walk.graphs[name], (n_items + 1,) * 2) for name in names]
        near, values = padded(sum(graphs[1:], graphs[0])[1:, 1:], n_items)
        found = scorer.node("Gather", marked, scorer.constant(near.reshape(-1)), axis=1)
        found = scorer.node("Reshape", found, scorer.constant(np.array([-1, *near.shape])))
        found = scorer.node("Mul", found, scorer.constant(values))
        found = scorer.node("ReduceSum", found, scorer.constant(np.array([2])), keepdims=0)
        scores = scorer.node("Add", scores, scorer.node("Sqrt", scorer.node("Mul", found, factor)))
    return scores


def padded(matrix: scipy.sparse.csr_matrix, padding: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns int64 and values float32 of every row, [n_rows, most], `padding` and 0 where fewer are."""
    count = np.diff(matrix.indptr)
    place = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], count)
    row = np.repeat(np.arange(len(count)), count)
    columns = np.full((len(count), max(1, int(count.max(initial=0)))), padding)
    values = np.zeros(columns.shape, dtype=np.float32)
    columns[row, place], values[row, place] = matrix.indices, matrix.data
    return columns, values


def check(vectors: Vectors, file: Path, walk: Walk | None = None) -> None:
    """Raise UserError where onnxruntime finds other 20 best items than the model, beyond equal scores."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise absent("onnxruntime", "--onnx, whose file it checks,") from None
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    users = np.unique(np.linspace(0, len(vectors.user) - 1, CHECKED_USERS).astype(np.int64))
    expected = vectors.user[users] @ vectors.item.T
    if walk is not None:
        expected = expected + beside(walk, users + 1)[:, 1:].numpy()
    (scores,) = session.run(["scores"], {"user": users})
    k = min(CHECKED_ITEMS, len(vectors.item))
    chosen = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    # the k best by onnxruntime have the k highest scores by NumPy, up to rounding
    least = -np.partition(-expected, k - 1, axis=1)[:, k - 1]
    scale = np.abs(expected).max(axis=1)
    if not (np.take_along_axis(expected, chosen, 1).min(axis=1) >= least - 1e-5 * scale).all():
        raise UserError(
            f"onnxruntime {onnxruntime.__version__} ranks other items first than the model does: export "
            "without --onnx, or use another onnxruntime."
        )
