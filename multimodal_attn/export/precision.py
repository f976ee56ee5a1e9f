"""Graphs with smaller weights."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from multimodal_attn.runtime.description import Precision

_SMALL = 1024  # numbers; fewer than these are not worth a conversion


def with_precision(graph: bytes, precision: Precision) -> bytes:
    """A graph whose weights have a precision.

    - "fp16" halves the file. onnxruntime widens the weights when it loads them, so that a CPU, which has no products in
      fp16, computes as before.
    - "int8" keeps a scale for each column of a matrix, and multiplies in int8 (onnxruntime's dynamic quantization).
      Convolutions, recurrent layers of an encoder and embeddings stay as they are.

    Args:
        graph: an ONNX file, of ``graphs``.
        precision: "fp32" changes nothing.
    """
    return _CONVERSIONS[precision](graph)


def _to_int8(graph: bytes) -> bytes:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load_model_from_string(graph)
    with tempfile.TemporaryDirectory() as folder, _without_advice():
        file = Path(folder) / "graph.onnx"
        quantize_dynamic(
            model,
            file,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_vector_products(model),
        )
        return file.read_bytes()


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keeps from users that onnxruntime would like graphs to be prepared, which the exporter has done."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _vector_products(model: Any) -> list[str]:
    """Products with a vector, as of additive scores: a column of its own has no scale to share, and gains nothing."""
    matrices = {weight.name for weight in model.graph.initializer if len(weight.dims) == 2 and min(weight.dims) > 1}
    products = [node for node in model.graph.node if node.op_type in ("MatMul", "Gemm")]
    return [node.name for node in products if not matrices.intersection(node.input)]


def _to_fp16(graph: bytes) -> bytes:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_model_from_string(graph)
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _SMALL:
            continue
        name, values = weight.name, numpy_helper.to_array(weight)
        largest = float(np.finfo(np.float16).max)
        weight.CopyFrom(numpy_helper.from_array(values.clip(-largest, largest).astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [weight.name], [name], f"{name}.widened", to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    content: bytes = model.SerializeToString()
    return content


_CONVERSIONS: dict[Precision, Callable[[bytes], bytes]] = {
    "fp32": lambda graph: graph,
    "fp16": _to_fp16,
    "int8": _to_int8,
}
