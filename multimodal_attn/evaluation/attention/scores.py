"""How far attention can be trusted: one accumulator for grounding, timing, alignment and shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.evaluation.attention.cells import cells_of
from multimodal_attn.evaluation.attention.cells.base import Cells, Reading, Text
from multimodal_attn.evaluation.attention.shape import sharpness, sink_share, text_shape
from multimodal_attn.evaluation.statistics import Mean, Statistic, figures_of
from multimodal_attn.prediction.entropy import effective_cells
from multimodal_attn.types import Batch, DecoderOutput, Hypothesis, Layout, Memory, Span


class AttentionScores:
    """Collects batches, then computes what their attention is worth. Heads are averaged everywhere.

    ``compute`` gives, where any example had the truth for it, the measures of ``cells/`` (docs/measures.md has the
    formulas); and of the shape of maps ``attention_entropy`` and ``attention_peak``, means over the tokens that were
    compared with the truth, or over the written ones where there is no truth; the other ``attention_...`` over the
    written texts.
    """

    def __init__(self) -> None:
        self._cells: dict[type[Cells[Any]], Cells[Any]] = {}
        self.num_examples = 0
        # Name of a measure -> the values of tokens or texts, and the example of each.
        self._shapes: dict[str, tuple[list[float], list[int]]] = {}

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
        times = ctc_times or [None] * len(best)
        for index, (hypothesis, by_ctc) in enumerate(zip(best, times, strict=True)):
            own = tokenizer.of_source(batch.source_texts[index])
            reading = Reading(batch, index, memory, output, hypothesis, own, source_tokenizer, by_ctc)
            self.add(memory.layout, reading.written).update(reading, memory.layout)

    def add(self, layout: Layout, written: Text | None) -> Cells[Any]:
        """Adds an example and the shape of its maps.

        Args:
            layout: of the memory.
            written: its text; None if nobody attended to anything.

        Returns:
            What compares the example with its truth.
        """
        kind = cells_of(layout)
        cells = self._cells.setdefault(kind, kind())
        if written is not None:
            self._add_shape(written, kind.ordered)
        cells.example = self.num_examples
        self.num_examples += 1
        return cells

    def _add_shape(self, text: Text, ordered: bool) -> None:
        maps = text.maps
        if not maps.size:
            return
        entropy, peak = sharpness(maps).T
        self._note({"entropy": entropy, "peak": peak, "effective_cells": effective_cells(maps)}, self.num_examples)
        shape = text_shape(maps, ordered)
        if (sink := sink_share(text.word_maps)) is not None:
            shape["sink"] = sink
        self._note({name: np.array([value]) for name, value in shape.items()}, self.num_examples)

    def _note(self, values: Mapping[str, np.ndarray], example: int) -> None:
        for name, some in values.items():
            held, examples = self._shapes.setdefault(name, ([], []))
            held.extend(some.tolist())
            examples.extend([example] * len(some))

    def merge(self, other: AttentionScores) -> None:
        """Adds the batches of another accumulator, such as another process has."""
        first = self.num_examples
        for kind, cells in other._cells.items():
            self._cells.setdefault(kind, kind()).merge(cells, first)
        for name, (values, examples) in other._shapes.items():
            held, of = self._shapes.setdefault(name, ([], []))
            held.extend(values)
            of.extend(first + example for example in examples)
        self.num_examples += other.num_examples

    def statistics(self) -> list[Statistic]:
        """What the measures named above are computed from, of ``num_examples``; empty before the first."""
        shapes = {name: (np.array(values), np.array(examples)) for name, (values, examples) in self._shapes.items()}
        compared = [cells for cells in self._cells.values() if cells.sharpness]
        if compared:
            examples = np.concatenate([cells.sharpness_examples for cells in compared])
            entropy, peak = np.concatenate([cells.sharpness for cells in compared]).T
            shapes = {**shapes, "entropy": (entropy, examples), "peak": (peak, examples)}
        found = [statistic for cells in self._cells.values() for statistic in cells.statistics()]
        return found + [Mean(f"attention_{name}", values, of) for name, (values, of) in shapes.items()]

    def compute(self) -> dict[str, float]:
        """The measures named above, as a flat dictionary; empty before the first example."""
        return figures_of(self.statistics(), self.num_examples)
