"""The scorer as an ONNX graph, checked by onnxruntime."""

from pathlib import Path

import numpy as np

from recbole_micro.errors import UserError
from recbole_micro.inference.export.formats import Vectors, absent

FILE = "scorer.onnx"
OPSET = 17
CHECKED_USERS, CHECKED_ITEMS = 256, 20
EXTERNAL = 1 << 30  # bytes of vectors from which they go beside the graph: one file holds 2 GiB at most


def write_onnx(vectors: Vectors, folder: Path) -> None:
    """`scorer.onnx`: rows of users `user` int64 [batch] -> `scores` float32 [batch, n_items].

    Raises UserError where onnx or onnxruntime is missing, and where the 20 best items of up to 256 users
    differ from those of the vectors.
    """
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ModuleNotFoundError:
        raise absent("onnx", "--onnx") from None
    n_items = len(vectors.item)
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["users", "user"], ["vector"], axis=0),
            helper.make_node("MatMul", ["vector", "items_transposed"], ["scores"]),
        ],
        "scorer",
        [helper.make_tensor_value_info("user", TensorProto.INT64, ["batch"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", n_items])],
        [
            numpy_helper.from_array(vectors.user, "users"),
            numpy_helper.from_array(np.ascontiguousarray(vectors.item.T), "items_transposed"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    beside = vectors.user.nbytes + vectors.item.nbytes > EXTERNAL
    onnx.save_model(model, str(folder / FILE), save_as_external_data=beside, location=f"{FILE}.data")
    check(vectors, folder / FILE)


def check(vectors: Vectors, file: Path) -> None:
    """Raise UserError where onnxruntime finds other 20 best items than NumPy, beyond equal scores."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise absent("onnxruntime", "--onnx, whose file it checks,") from None
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    users = np.unique(np.linspace(0, len(vectors.user) - 1, CHECKED_USERS).astype(np.int64))
    expected = vectors.user[users] @ vectors.item.T
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
