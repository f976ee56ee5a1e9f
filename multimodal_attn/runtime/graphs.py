"""The three graphs of an exported model, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
        self._encode = _session(folder, "encode", ("states", "mask"), threads)
        self._begin = _session(folder, "begin", (), threads)
        self._step = _session(folder, "step", ("logits", "weights"), threads)
        made = [output.name for output in self._begin.get_outputs()]
        self._sources = [name for name in made if name.startswith("source.")]
        self._states = [name for name in made if name.startswith("state.")]
        self._gate = [output.name for output in self._step.get_outputs() if output.name == "gate"]
        given = {"tokens", "states", "mask", *made}
        for session, known in (
            (self._encode, {"source", "lengths"}),
            (self._begin, {"states", "mask", "tokens"}),
            (self._step, given),
        ):
            if strange := {one.name for one in session.get_inputs()} - known:
                raise ValueError(f"{folder}: a graph wants {', '.join(sorted(strange))}; expected an exported model")

    def encode(self, source: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The memory: states (B, S, D) and mask (B, S)."""
        states, mask = _run(self._encode, ["states", "mask"], {"source": source, "lengths": lengths})
        return states, mask

    def begin(
        self, states: np.ndarray, mask: np.ndarray, tokens: np.ndarray
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """What the decoder projects of a memory, and its state before the first of ``tokens`` (B, K)."""
        given = {"states": states, "mask": mask, "tokens": tokens}
        made = _run(self._begin, [*self._sources, *self._states], given)
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
        left = [name.replace("state", "next") for name in self._states]
        logits, weights, *rest = _run(self._step, ["logits", "weights", *self._gate, *left], given)
        gates, number = rest[: len(self._gate)], len(self._gate)
        return Step(logits, weights, gates[0] if gates else None, rest[number:])


def _session(folder: Path, name: str, outputs: Sequence[str], threads: int | None) -> Any:
    import onnxruntime

    path = folder / f"{name}.onnx"
    # By its resolved path: a link out of the folder would take with it where weights in other files may lie.
    if not path.is_file() or path.resolve().parent != folder.resolve() or path.stat().st_size > _LARGEST:
        raise ValueError(f"{path}: no file of at most {_LARGEST:,} bytes in this folder; expected an exported model")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.inter_op_num_threads = 1
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class for each of its failures
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"{path}: not a graph that onnxruntime can run ({reason[:200]})") from None
    if missing := set(outputs) - {output.name for output in session.get_outputs()}:
        raise ValueError(f"{path}: gives no {', '.join(sorted(missing))}; expected an exported model")
    return session


def _run(session: Any, outputs: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
    wanted = {one.name for one in session.get_inputs()}  # a graph has no inputs that it does not use
    found: list[np.ndarray] = session.run(outputs, {name: array for name, array in given.items() if name in wanted})
    return found
