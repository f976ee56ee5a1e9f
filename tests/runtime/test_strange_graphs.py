"""Graphs of strangers that are graphs, and not a model's: a sentence that names the graph."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from multimodal_attn.export.exported import load_exported
from multimodal_attn.runtime import Runtime

helper = onnx.helper


def constants(path: Path, **values: Any) -> None:
    """A graph that reads nothing and gives these arrays."""
    nodes, outputs = [], []
    for name, value in values.items():
        array = np.asarray(value)
        nodes.append(helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(array, name)))
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        outputs.append(helper.make_tensor_value_info(name, kind, None))
    model = helper.make_model(
        helper.make_graph(nodes, "graph", [], outputs), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    path.write_bytes(model.SerializeToString())


@pytest.fixture
def folder(exported: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported[1], tmp_path / "copy"))


def source_of(folder: Path) -> np.ndarray:
    return np.zeros((8, 8, 3)) if Runtime(folder).description.reads == "picture" else np.zeros(4000, dtype=np.float32)


STATES, MASK = np.zeros((1, 3, 8), np.float32), np.ones((1, 3), bool)
MEMORIES: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "numbers without shape": (np.float32(0), MASK),
    "no position": (STATES[:, :0], MASK[:, :0]),
    "more states than the mask": (STATES, MASK[:, :2]),
    "two sources": (STATES.repeat(2, 0), MASK.repeat(2, 0)),
    "texts": (np.full((1, 3, 8), "x", dtype=object), MASK),
    "another width": (STATES[..., :1], MASK),
}


@pytest.mark.parametrize("name", MEMORIES)
def test_a_memory_that_is_none_is_refused(name: str, folder: Path) -> None:
    source = source_of(folder)
    states, mask = MEMORIES[name]
    constants(folder / "encode.onnx", states=states, mask=mask)
    with pytest.raises(ValueError, match=r"(encode|begin|step)\.onnx"):
        Runtime(folder)(source)
    with pytest.raises(ValueError, match=r"(encode|begin|step)\.onnx"):
        load_exported(folder)(source)


@pytest.mark.parametrize("wrong", ["nan", "infinite", "shape", "no row", "weights", "scalar"])
def test_a_step_that_is_none_is_refused(wrong: str, folder: Path) -> None:
    source, runtime = source_of(folder), Runtime(folder)
    step = onnx.load(folder / "step.onnx")
    size = len(runtime.description.vocabulary.parts)
    logits, weights = np.zeros((1, 1, size), np.float32), np.ones((1, 1, 1, 1), np.float32)
    if wrong in ("nan", "infinite"):
        logits[...] = np.nan if wrong == "nan" else np.inf
    if wrong == "no row":
        logits = logits[:, :0]
    constants(
        folder / "step.onnx",
        logits=np.float32(0) if wrong == "scalar" else logits[0] if wrong == "shape" else logits,
        weights=weights[0] if wrong == "weights" else weights,
        **{
            one.name: np.zeros((1, 1, 1), np.float32)
            for one in step.graph.output
            if one.name not in ("logits", "weights")
        },
    )
    with pytest.raises(ValueError, match=r"step\.onnx"):
        Runtime(folder)(source, width=1)
    with pytest.raises(ValueError, match=r"step\.onnx"):
        load_exported(folder, width=1)(source)


def test_an_array_of_terabytes_is_refused(folder: Path) -> None:
    source = source_of(folder)
    size = onnx.numpy_helper.from_array(np.array([1, 3, 10**13], np.int64), "size")
    nodes = [
        helper.make_node("Constant", [], ["size"], value=size),
        helper.make_node("ConstantOfShape", ["size"], ["states"]),
        helper.make_node("Constant", [], ["mask"], value=onnx.numpy_helper.from_array(MASK, "mask")),
    ]
    outputs = [helper.make_tensor_value_info("states", 1, None), helper.make_tensor_value_info("mask", 9, None)]
    graph = helper.make_graph(nodes, "graph", [], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "encode.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"encode\.onnx"):
        Runtime(folder)(source)
