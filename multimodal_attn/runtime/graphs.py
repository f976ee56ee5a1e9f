"""The three graphs of an exported model, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

_LARGEST = 1 << 31  # bytes: what a file in ONNX's format can hold


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
        ValueError: if a file is missing, is no such graph, or keeps weights outside of the folder.
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
        states, mask = self._encode(["states", "mask"], {"source": source, "lengths": lengths})
        return states, mask

    def begin(
        self, states: np.ndarray, mask: np.ndarray, tokens: np.ndarray
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """What the decoder projects of a memory, and its state before the first of ``tokens`` (B, K)."""
        given = {"states": states, "mask": mask, "tokens": tokens}
        made = self._begin([*self._sources, *self._states], given)
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
        logits, weights, *rest = self._step(["logits", "weights", *self._gate, *self._next], given)
        gates, number = rest[: len(self._gate)], len(self._gate)
        return Step(logits, weights, gates[0] if gates else None, rest[number:])


class _Graph:
    """One of them, with the names of what it takes and gives."""

    def __init__(self, folder: Path, name: str, known: list[str], needed: list[str], threads: int | None) -> None:
        import onnxruntime

        path = folder / f"{name}.onnx"
        # By its resolved path: a link out of the folder would take with it where weights in other files may lie.
        if not path.is_file() or path.resolve().parent != folder.resolve() or path.stat().st_size > _LARGEST:
            raise ValueError(
                f"{path}: no file of at most {_LARGEST:,} bytes in this folder; expected an exported model"
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.inter_op_num_threads = 1
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class for each of its failures
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ValueError(f"{path}: not a graph that onnxruntime can run ({reason[:200]})") from None
        self.gives: list[str] = [one.name for one in self._session.get_outputs()]
        self._takes: list[str] = [one.name for one in self._session.get_inputs()]  # a graph may not use all
        if missing := sorted(set(needed) - set(self.gives)):
            raise ValueError(f"{path}: gives no {', '.join(missing)}; expected an exported model")
        if strange := sorted(set(self._takes) - set(known)):
            raise ValueError(f"{path}: wants {', '.join(strange)}; expected an exported model")

    def __call__(self, outputs: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
        found: list[np.ndarray] = self._session.run(outputs, {name: given[name] for name in self._takes})
        return found
