"""The three graphs of an exported model, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from multimodal_attn.first_line import first_line
from multimodal_attn.onnx_session import start_session

_LARGEST = 1 << 31  # bytes: what a file in ONNX's format can hold

_Shape = tuple[Any, ...]
"""Sizes of an array: None for any, and ... at the end for any further ones."""


class Step(NamedTuple):
    """What a decoder gives for one token of each row.

    Attributes:
        logits: (B, K, V) of the next tokens.
        weights: (B, K, N, S) attention.
        gate: (B, K), or None.
        state: of the rows after this token, (B, K, ...) each.
    """

    logits: np.ndarray
    weights: np.ndarray
    gate: np.ndarray | None
    state: list[np.ndarray]


class Graphs:
    """Those of a folder.

    Args:
        folder: with ``encode.onnx``, ``begin.onnx`` and ``step.onnx``.
        threads: that compute; None for all cores.

    Raises:
        ValueError: if a file is missing, is no such graph, or keeps weights in another file.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        memory = ["states", "mask"]
        self._encode = _Graph(folder, "encode", ["source", "lengths"], memory, threads)
        self._begin = _Graph(folder, "begin", [*memory, "tokens"], [], threads)
        made = self._begin.gives
        self._sources = [name for name in made if name.startswith("source.")]
        self._states = [name for name in made if name.startswith("state.")]
        self._next = [name.replace("state", "next") for name in self._states]
        needed = ["logits", "weights", *self._next]
        self._step = _Graph(folder, "step", [*memory, "tokens", *made], needed, threads)
        self._gate = ["gate"] if "gate" in self._step.gives else []

    def encode(self, source: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The memory: states (B, S, D) and mask (B, S)."""
        number = len(source)
        shapes: list[_Shape] = [(number, None, None), (number, None)]
        states, mask = self._encode(["states", "mask"], {"source": source, "lengths": lengths}, shapes)
        if not 0 < mask.shape[1] == states.shape[1]:
            raise ValueError(f"encode.onnx: a mask of {mask.shape} for states of {states.shape}; expected one of each")
        return states, mask.astype(bool)

    def begin(
        self, states: np.ndarray, mask: np.ndarray, tokens: np.ndarray
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """What the decoder projects of a memory, and its state before the first of ``tokens`` (B, K)."""
        given = {"states": states, "mask": mask, "tokens": tokens}
        shapes = [(len(tokens), ...)] * len(self._sources) + [(*tokens.shape, ...)] * len(self._states)
        made = self._begin([*self._sources, *self._states], given, shapes)
        return made[: len(self._sources)], made[len(self._sources) :]

    def step(
        self,
        tokens: np.ndarray,
        states: np.ndarray,
        mask: np.ndarray,
        projected: Sequence[np.ndarray],
        state: Sequence[np.ndarray],
    ) -> Step:
        """Reads one token per row: tokens (B, K); the rest as ``encode`` and ``begin`` gave it, or the step before."""
        given = {"tokens": tokens, "states": states, "mask": mask}
        given.update(zip(self._sources, projected, strict=True))
        given.update(zip(self._states, state, strict=True))
        shapes: list[_Shape] = [(*tokens.shape, None), (*tokens.shape, None, states.shape[1])]
        shapes += [tokens.shape] * len(self._gate) + [(*tokens.shape, ...)] * len(self._next)
        logits, weights, *rest = self._step(["logits", "weights", *self._gate, *self._next], given, shapes)
        if not (np.isfinite(logits.max(-1)).all() and np.isfinite(weights).all()):
            raise ValueError("step.onnx: logits or weights that are no numbers; expected an exported model")
        gates, number = rest[: len(self._gate)], len(self._gate)
        return Step(logits, weights, gates[0] if gates else None, rest[number:])


class _Graph:
    """One of them, with the names of what it takes and gives."""

    def __init__(self, folder: Path, name: str, known: list[str], needed: list[str], threads: int | None) -> None:
        path = self._path = folder / f"{name}.onnx"
        # By its resolved path: a link may lead out of the folder.
        if not path.is_file() or path.resolve().parent != folder.resolve() or path.stat().st_size > _LARGEST:
            raise ValueError(
                f"{path}: no file of at most {_LARGEST:,} bytes in this folder; expected an exported model"
            )
        try:
            self._session = start_session(path.read_bytes(), threads)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        self.gives: list[str] = [one.name for one in self._session.get_outputs()]
        self._takes: list[str] = [one.name for one in self._session.get_inputs()]  # a graph may not use all
        if missing := sorted(set(needed) - set(self.gives)):
            raise ValueError(f"{path}: gives no {', '.join(missing)}; expected an exported model")
        if strange := sorted(set(self._takes) - set(known)):
            raise ValueError(f"{path}: needs {', '.join(strange)}; expected an exported model")

    def __call__(self, outputs: list[str], given: dict[str, np.ndarray], shapes: Sequence[_Shape]) -> list[np.ndarray]:
        """What it gives under these names, each of its shape."""
        try:
            found: list[np.ndarray] = self._session.run(outputs, {name: given[name] for name in self._takes})
        except Exception as error:  # onnxruntime has a class for each of its failures
            raise ValueError(f"{self._path}: cannot be run ({first_line(error)})") from None
        for name, array, shape in zip(outputs, found, shapes, strict=True):
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf" or not _fits(array.shape, shape):
                what = (
                    f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
                )
                raise ValueError(f"{self._path}: {name} is {what}; expected an exported model")
        return found


def _fits(shape: tuple[int, ...], wanted: _Shape) -> bool:
    begin = wanted[:-1] if wanted[-1] is ... else wanted
    if len(shape) < len(begin) or (begin is wanted and len(shape) > len(begin)):
        return False
    return all(want in (None, have) for want, have in zip(begin, shape, strict=False))
