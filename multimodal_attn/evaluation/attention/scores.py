"""How far attention can be trusted: one accumulator for grounding, timing, alignment and shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.evaluation.attention.cells import cells_of
from multimodal_attn.evaluation.attention.cells.base import Cells, Reading
from multimodal_attn.evaluation.attention.shape import sharpness, text_shape
from multimodal_attn.prediction.entropy import effective_cells
from multimodal_attn.types import Batch, DecoderOutput, Hypothesis, Memory, Span


class AttentionScores:
    """Collects batches, then computes what their attention is worth. Heads are averaged everywhere.

    ``compute`` gives, where any example had the truth for it, the measures of ``cells/`` (docs/measures.md has the
    formulas); and of the shape of maps ``attention_entropy`` and ``attention_peak``, means over the tokens that were
    compared with the truth, or over the written ones where there is no truth; the other ``attention_...`` over the
    written texts.
    """

    def __init__(self) -> None:
        self._cells: dict[type[Cells[Any]], Cells[Any]] = {}
        self._written: list[np.ndarray] = []  # (2,) relative entropy and largest weight of each token
        self._shapes: dict[str, list[float]] = {}

    def update(
        self,
        batch: Batch,
        memory: Memory,
        output: DecoderOutput,
        best: Sequence[Hypothesis],
        tokenizer: Tokenizer,
        source_tokenizer: Tokenizer | None = None,
        ctc_times: Sequence[list[Span] | None] | None = None,
    ) -> None:
        """Adds a batch.

        Boxes and source words are compared along the references (teacher-forced: only their words have the truth), word
        times and the shape of the maps along what the model wrote freely.

        Args:
            batch: with its targets.
            memory: of the batch.
            output: of the teacher-forced pass over it.
            best: the best text of each source.
            tokenizer: of the texts.
            source_tokenizer: of sources that are texts.
            ctc_times: for each source, when CTC hears each word of its best text; None where it was not asked.
        """
        kind = cells_of(memory.layout)
        cells = self._cells.setdefault(kind, kind())
        times = ctc_times or [None] * len(best)
        for index, (hypothesis, by_ctc) in enumerate(zip(best, times, strict=True)):
            own = tokenizer.of_source(batch.source_texts[index])
            reading = Reading(batch, index, memory, output, hypothesis, own, source_tokenizer, by_ctc)
            self._add_shape(reading.written.maps, kind.ordered)
            cells.update(reading, memory.layout)

    def _add_shape(self, maps: np.ndarray, ordered: bool) -> None:
        if not maps.size:
            return
        self._written.extend(sharpness(maps))
        self._shapes.setdefault("effective_cells", []).extend(effective_cells(maps))
        for name, value in text_shape(maps, ordered).items():
            self._shapes.setdefault(name, []).append(value)

    def merge(self, other: AttentionScores) -> None:
        """Adds the batches of another accumulator, such as another process has."""
        for kind, cells in other._cells.items():
            self._cells.setdefault(kind, kind()).merge(cells)
        for name, values in other._shapes.items():
            self._shapes.setdefault(name, []).extend(values)
        self._written += other._written

    def compute(self) -> dict[str, float]:
        """The measures named above, as a flat dictionary; empty before the first example."""
        scores: dict[str, float] = {}
        compared: list[np.ndarray] = []
        for cells in self._cells.values():
            scores |= cells.compute()
            compared += cells.sharpness
        if tokens := compared or self._written:
            entropy, peak = np.mean(tokens, axis=0).tolist()
            scores |= {"attention_entropy": entropy, "attention_peak": peak}
        return scores | {f"attention_{name}": float(np.mean(values)) for name, values in self._shapes.items()}
