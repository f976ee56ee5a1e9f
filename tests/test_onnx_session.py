"""Graphs from strangers: whatever leads to another file is refused before onnxruntime sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multimodal_attn.onnx_session import check_whole, start_session

onnx = pytest.importorskip("onnx")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT


def elsewhere(location: str, name: str = "w") -> Any:
    """A tensor of four numbers that lie in another file."""
    tensor = onnx.TensorProto(name=name, data_type=FLOAT, dims=[4], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def serialized(nodes: list[Any], weights: list[Any], functions: list[Any] | None = None) -> bytes:
    values = [helper.make_tensor_value_info(name, FLOAT, [4]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "graph", values[:1], values[1:], weights)
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid("own", 1)] if functions else [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions or [])
    return bytes(model.SerializeToString())


def graphs(location: str) -> Iterator[tuple[str, bytes]]:
    """A graph for each place that a tensor may have in one."""
    add = helper.make_node("Add", ["x", "w"], ["y"])
    constant = helper.make_node("Constant", [], ["w"], value=elsewhere(location))
    yield "a weight", serialized([add], [elsewhere(location)])
    yield "a constant", serialized([constant, add], [])
    out = [helper.make_tensor_value_info("o", FLOAT, [4])]
    branch = helper.make_graph(
        [helper.make_node("Identity", ["v"], ["o"])], "branch", [], out, [elsewhere(location, "v")]
    )
    true = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", onnx.TensorProto.BOOL, [], [True]))
    choice = helper.make_node("If", ["c"], ["w"], then_branch=branch, else_branch=branch)
    yield "a weight of a branch", serialized([true, choice, add], [])
    own = helper.make_function("own", "F", ["a"], ["b"], [constant, helper.make_node("Add", ["a", "w"], ["b"])], [])
    own.opset_import.append(helper.make_opsetid("", 17))
    yield "a constant of a function", serialized([helper.make_node("F", ["x"], ["y"], domain="own")], [], [own])
    values, places = elsewhere(location), helper.make_tensor("i", onnx.TensorProto.INT64, [4], range(4))
    sparse = helper.make_sparse_tensor(values, places, [8])
    node = helper.make_node("Constant", [], ["w"], sparse_value=sparse)
    yield "a sparse constant", serialized([node, add], [])


def test_a_graph_that_is_whole_runs() -> None:
    weight = onnx.numpy_helper.from_array(np.arange(4, dtype=np.float32), "w")
    session = start_session(serialized([helper.make_node("Add", ["x", "w"], ["y"])], [weight]), 1)
    assert session.run(None, {"x": np.ones(4, np.float32)})[0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("location", ["secret", "./secret", "sub/../secret", "../secret", "/etc/passwd", ""])
def test_what_leads_to_another_file_is_refused(location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    found = dict(graphs(location))
    assert len(found) == 5
    for content in found.values():
        with pytest.raises(ValueError, match="keeps its weights in another file"):
            check_whole(content)
        with pytest.raises(ValueError, match="keeps its weights in another file"):
            start_session(content)


def test_numbers_may_be_written_at_length() -> None:
    """protobuf takes a number with empty bytes behind it as well: of 112 (field 14, a number) 0xf0 0x00."""
    tensor = bytes([0xF0, 0x00, 1])
    graph = bytes([5 << 3 | 2, len(tensor) | 128, 0x00]) + tensor
    model = bytes([7 << 3 | 2, len(graph)]) + graph
    assert onnx.load_from_string(model).graph.initializer[0].data_location == onnx.TensorProto.EXTERNAL
    with pytest.raises(ValueError, match="another file"):
        check_whole(model)


@pytest.mark.parametrize("content", [b"no", b"\xff" * 40, b"\x3a\xff\xff\xff\xff\x0f", b"\x3b", b"\x3a" + b"\x80" * 11])
def test_what_is_no_onnx_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="is not ONNX, or is cut off"):
        check_whole(content)


def test_another_format_of_onnxruntime_is_refused(tmp_path: Path) -> None:
    import onnxruntime

    weight = onnx.numpy_helper.from_array(np.arange(4, dtype=np.float32), "w")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    content = serialized([helper.make_node("Add", ["x", "w"], ["y"])], [weight])
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    with pytest.raises(ValueError, match=r"is not ONNX|not a graph"):
        start_session((tmp_path / "model.ort").read_bytes())
