"""Graphs with smaller weights."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from multimodal_attn.export.precision import with_precision
from multimodal_attn.runtime.description import Precision

WIDTH = 256


@pytest.fixture(scope="module")
def graph() -> bytes:
    """A product with a matrix, and one of its result with a vector."""
    generator = np.random.default_rng(0)
    weights = {"matrix": generator.standard_normal((WIDTH, WIDTH)) / 16, "vector": generator.standard_normal(WIDTH)}
    made = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "matrix"], ["hidden"], "first"),
            helper.make_node("MatMul", ["hidden", "vector"], ["y"], "second"),
        ],
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", WIDTH])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("hidden", "y")],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()],
    )
    content: bytes = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    ).SerializeToString()
    return content


def run(graph: bytes) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).standard_normal((5, WIDTH)).astype(np.float32)
    found: np.ndarray = session.run(["hidden"], {"x": x})[0]
    return found


@pytest.mark.parametrize(("precision", "size", "off"), [("fp16", 0.55, 0.005), ("int8", 0.35, 0.1)])
def test_weights_get_smaller_and_results_stay_near(graph: bytes, precision: Precision, size: float, off: float) -> None:
    small = with_precision(graph, precision)
    assert len(small) < size * len(graph)
    assert 0 < np.abs(run(small) - run(graph)).max() < off


def test_int8_leaves_products_with_a_vector(graph: bytes) -> None:
    nodes = onnx.load_model_from_string(with_precision(graph, "int8")).graph.node
    assert [node.name for node in nodes if node.op_type == "MatMul"] == ["second"]
    assert [node.op_type for node in nodes].count("MatMulInteger") == 1


def test_fp32_changes_nothing(graph: bytes) -> None:
    assert with_precision(graph, "fp32") == graph
