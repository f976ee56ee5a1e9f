"""ONNX graphs of unknown origin: checked to be self-contained, then given to onnxruntime.

A tensor of a graph may say that its numbers lie in another file. onnxruntime would open it, also in graphs that are
given as bytes; there the path begins in the working directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from multimodal_attn.first_line import first_line
from multimodal_attn.optional_packages import require_packages

_GRAPH, _NODE, _TENSOR, _ATTRIBUTE, _SPARSE, _TRAINING, _FUNCTION = range(7)
# What messages of onnx.proto lead to tensors, by the number of the field.
_INSIDE: dict[int, dict[int, int]] = {
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _NODE: {5: _ATTRIBUTE},
    _TENSOR: {},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _TRAINING: {1: _GRAPH, 2: _GRAPH},
    _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
}
_OF_MODEL = {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of a tensor
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def start_session(content: bytes, threads: int | None = None) -> Any:
    """An ``onnxruntime.InferenceSession`` on the CPU that opens no file.

    Args:
        content: of a file of ONNX.
        threads: that compute; None for all cores.

    Raises:
        ValueError: if it is no such graph, keeps numbers in another file, or onnxruntime is missing or refuses it.
    """
    require_packages("ONNX", "runtime", "onnxruntime")
    import onnxruntime

    check_whole(content)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.load_model_format", "ONNX")  # another format has not been checked
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class for each of its failures
        raise ValueError(f"not a graph that onnxruntime can run ({first_line(error)})") from None


def check_whole(content: bytes) -> None:
    """Refuses a graph that keeps numbers of any of its tensors in another file.

    Raises:
        ValueError: for it, and for what is no ONNX.
    """
    view = memoryview(content)
    waiting: list[tuple[dict[int, int], int, int, bool]] = [(_OF_MODEL, 0, len(view), False)]
    while waiting:
        inside, first, last, is_tensor = waiting.pop()
        for field, kind, value, begin, end in _fields(view, first, last):
            if is_tensor and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and kind == _VARINT and value)):
                raise ValueError("keeps its weights in another file; expected a graph with its weights inside")
            if kind == _BYTES and field in inside:
                waiting.append((_INSIDE[inside[field]], begin, end, inside[field] == _TENSOR))


def node_outputs(content: bytes) -> list[str]:
    """Names of what the nodes of a graph give, first to last, without those of graphs in it.

    Raises:
        ValueError: for what is no ONNX.
    """
    view = memoryview(content)
    places = [(0, len(view))]
    for wanted in (7, 1, 2):  # of onnx.proto: ModelProto.graph, GraphProto.node, NodeProto.output
        places = [
            (begin, end)
            for first, last in places
            for field, kind, _, begin, end in _fields(view, first, last)
            if field == wanted and kind == _BYTES
        ]
    return [bytes(view[begin:end]).decode("utf-8", "replace") for begin, end in places if end > begin]


def _fields(view: memoryview, place: int, stop: int) -> Iterator[tuple[int, int, int, int, int]]:
    """The fields of a message of protobuf: number, kind, value if it is a varint, and where its bytes begin and end.

    Raises:
        ValueError: for what is none.
    """
    while place < stop:
        tag, place = _varint(view, place, stop)
        kind, value, begin = tag & 7, 0, place
        if kind == _VARINT:
            value, place = _varint(view, place, stop)
        elif kind == _BYTES:
            size, begin = _varint(view, place, stop)
            place = begin + size
        elif kind in (_FIXED64, _FIXED32):
            place += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError("is not ONNX, or is cut off")
        if place > stop:
            raise ValueError("is not ONNX, or is cut off")
        yield tag >> 3, kind, value, begin, place


def _varint(view: memoryview, place: int, stop: int) -> tuple[int, int]:
    """A number of protobuf, seven bits a byte, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= stop:
            break
        byte = view[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("is not ONNX, or is cut off")
