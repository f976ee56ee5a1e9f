"""A network in a file of ONNX, run as it comes, up to one of its inner outputs."""

from __future__ import annotations

import difflib
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from multimodal_attn.first_line import first_line
from multimodal_attn.models.encoders.carried_file import CarriedFile
from multimodal_attn.onnx_session import node_outputs, start_session

_MOST_AT_ONCE = 1024
_NEAR_NAMES, _LONGEST_NAME = 5, 200  # in an error


class OnnxNetwork(nn.Module):
    """Pictures to the map or the patches that one node of a network gives; it has no gradient.

    What a node gives may be (B, channels, rows, columns), (B, rows, columns, channels) or, as vision transformers have
    it, (B, tokens, channels), whose last tokens are the patches of a square grid; what comes before them is left out.

    Args:
        file: in ONNX, with its weights inside.
        output: name of the node's output.
        shape: channels, rows and columns of the map; None finds out.

    Raises:
        ValueError: if the network has no such output, or what it gives is no map.
    """

    def __init__(self, file: CarriedFile, output: str, image_size: int, shape: tuple[int, int, int] | None) -> None:
        super().__init__()
        self.file, self.output, self.image_size = file, output, image_size
        self._session: Any = None
        self.shape = shape or self._find_shape()

    def extra_repr(self) -> str:
        return self.output

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}  # a session can be neither copied nor sent to another process

    def forward(self, pictures: Tensor) -> Tensor:
        """Maps normalized pictures (B, 3, height, width) to (B, channels, rows, columns)."""
        if pictures.is_meta:
            return pictures.new_empty(len(pictures), *self.shape)
        given = pictures.detach().float().cpu().contiguous().numpy()
        made = torch.from_numpy(self._run(given)).to(pictures.device)
        channels, rows, columns = self.shape
        if made.ndim == 3 and made.shape[1] >= rows * columns and made.shape[2] == channels:
            return made[:, -rows * columns :].transpose(1, 2).unflatten(2, (rows, columns))
        if made.ndim == 4 and made.shape[1:] == self.shape:
            return made
        if made.ndim == 4 and made.shape[1:] == (rows, columns, channels):
            return made.permute(0, 3, 1, 2)
        raise ValueError(f"encoder.output: {self.output!r} gives {tuple(made.shape)}; expected {self.shape} of each")

    def _run(self, pictures: np.ndarray) -> np.ndarray:
        session = self._started()
        (given,) = session.get_inputs()
        at_once = given.shape[0] if isinstance(given.shape[0], int) else len(pictures)
        if not 1 <= at_once <= _MOST_AT_ONCE:
            raise ValueError(f"encoder.file: the network reads {at_once} pictures; expected 1 to {_MOST_AT_ONCE}")
        from onnxruntime import RunOptions

        options = RunOptions()
        options.only_execute_path_to_fetches = True  # what comes after the node is not of interest
        made = []
        for first in range(0, len(pictures), at_once):
            some = pictures[first : first + at_once]
            missing = at_once - len(some)
            padded = np.concatenate([some, np.repeat(some[:1], missing, axis=0)]) if missing else some
            try:
                found = session.run([self.output], {given.name: padded}, options)[0]
            except Exception as error:  # onnxruntime has a class for each of its failures
                raise ValueError(f"encoder.file: the network cannot be run ({first_line(error)})") from None
            if not isinstance(found, np.ndarray) or found.dtype.kind != "f" or found.shape[:1] != (at_once,):
                raise ValueError(f"encoder.output: {self.output!r} gives no numbers for each picture; expected a map")
            if not np.isfinite(found).all():
                raise ValueError(f"encoder.output: {self.output!r} gives what is no number; expected a map")
            made.append(found[: len(some)])
        return np.concatenate(made)

    def _find_shape(self) -> tuple[int, int, int]:
        size = self.image_size
        (given,) = self._started().get_inputs()
        sides = [side for side in given.shape[2:] if isinstance(side, int)]
        if any(side != size for side in sides):
            raise ValueError(
                f"data.image_size: {size}; expected {sides[0]}, the size that the network of encoder=onnx has"
            )
        made = self._run(np.zeros((1, 3, size, size), dtype=np.float32))
        if made.ndim == 3:
            side = math.isqrt(made.shape[1])
            if made.shape[1] - side**2 <= 5:  # a class token, and registers
                return made.shape[2], side, side
        if made.ndim == 4 and made.shape[2] == made.shape[3]:
            return made.shape[1], made.shape[2], made.shape[3]
        if made.ndim == 4 and made.shape[1] == made.shape[2]:
            return made.shape[3], made.shape[1], made.shape[2]
        raise ValueError(
            f"encoder.output: {self.output!r} gives {made.shape}; expected (batch, channels, rows, columns), or"
            " (batch, tokens, channels) with the patches of a square grid"
        )

    def _started(self) -> Any:
        if self._session is None:
            self._session = _start(self.file.content, self.output)
        return self._session


def _start(content: bytes, output: str) -> Any:
    """A session of the network that can give an output of any of its nodes."""
    reason = ""
    for candidate in (_with_output(content, output), content):
        try:
            session = start_session(candidate, torch.get_num_threads())
        except ValueError as error:
            reason = str(error)
            continue
        if output not in [made.name for made in session.get_outputs()]:
            names = [name for name in node_outputs(content) if len(name) <= _LONGEST_NAME]
            near = difflib.get_close_matches(output, names, _NEAR_NAMES, 0.5) or names[-_NEAR_NAMES:]
            raise ValueError(
                f"encoder.output: none of the {len(names)} nodes of the network gives {output!r}; expected the output"
                f" of one, such as {', '.join(near)}"
            )
        if len(session.get_inputs()) != 1 or len(session.get_inputs()[0].shape) != 4:
            raise ValueError(
                "encoder.file: the network does not read pictures alone; expected one input (batch, 3, height, width)"
            )
        return session
    raise ValueError(f"encoder.file: cannot be run up to encoder.output={output}: {reason}")


def _with_output(content: bytes, name: str) -> bytes:
    """The same network with one more output.

    A message of protobuf may come in pieces: what is appended here is read as a part of its graph. So the package
    ``onnx`` is not needed, and the weights are not parsed. The numbers are those of the fields in ``onnx.proto``:
    ModelProto.graph, GraphProto.output and ValueInfoProto.name.
    """
    piece = name.encode()
    for field in (1, 12, 7):
        piece = bytes([field << 3 | 2]) + _varint(len(piece)) + piece
    return content + piece


def _varint(number: int) -> bytes:
    digits = []
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])
