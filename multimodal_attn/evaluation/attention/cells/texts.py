"""Tokens of a source text: whether they are those of the source word that a word comes from."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from multimodal_attn.evaluation.attention.cells.base import Cells, Reading, Text
from multimodal_attn.evaluation.attention.copying import copying_samples
from multimodal_attn.evaluation.attention.grounding import ground
from multimodal_attn.evaluation.statistics import Mean, Number, Statistic
from multimodal_attn.types import UNK, Target, TokenAxis

_NUMBERS = {
    "copy_accuracy": "copy_num_tokens",
    "unknown_words": "unknown_num_words",
    "names_written": "names_num_words",
}
"""Figures -> how many words or tokens they are over."""


class TextCells(Cells[TokenAxis]):
    """Alignment along the references, over words whose source words are known, and what was copied on the way.

    ``alignment_accuracy``, ``alignment_mass_gain``, ``alignment_uniform`` and ``alignment_num_words``; the figures of
    ``copying_samples``, and ``copy_num_tokens``, ``unknown_num_words`` and ``names_num_words``, over which they are.
    """

    def update(self, reading: Reading, layout: TokenAxis) -> None:
        if reading.source_tokenizer is None:
            return
        for name, values in copying_samples(reading).items():
            self.note(name, values)
        for row, target in enumerate(reading.references()):
            if target.read_from:
                source = reading.batch.source[reading.index, : reading.positions].tolist()
                self.compare(reading.along(row), target, reading.source_tokenizer.word_spans(source))

    def compare(self, text: Text, target: Target, source_spans: list[tuple[int, int]]) -> None:
        """Adds one translation, read along with; ``source_spans`` are the positions of each word of the source."""
        self.note_sharpness(text.maps)
        number = len(text.spans)  # a translation that was cut off lacks the last words
        known = [(*text.spans[word], places) for word, places in target.read_from.items() if places and word < number]
        if not known:
            return
        maps = np.stack([text.maps[first:stop].mean(0) for first, stop, _ in known])
        right = np.zeros(maps.shape, dtype=bool)
        for row, (_, _, places) in enumerate(known):
            for place in places:
                if place < len(source_spans):  # else the source was cut off before it
                    right[row, slice(*source_spans[place])] = True
        found = ground(maps, right)
        self.note("aligned", [np.stack([found.hit, found.mass, right.mean(1)])])

    def statistics(self) -> list[Statistic]:
        found: list[Statistic] = []
        for name, values in self.samples.items():
            if name != "aligned" and values:
                found.append(Mean(name, np.array(values, dtype=float), np.array(self.examples[name])))
        for name, number in _NUMBERS.items():
            if self.samples.get(name):
                found.append(Number(number, np.array(self.examples[name])))
        if "aligned" not in self.samples:
            return found
        (hit, mass, uniform), examples = self.joined("aligned")
        return [
            *found,
            Mean("alignment_accuracy", hit, examples),
            Mean("alignment_mass_gain", mass - uniform, examples),
            Mean("alignment_uniform", uniform, examples),
            Number("alignment_num_words", examples),
        ]

    @staticmethod
    def remove(source: Tensor, removed: Tensor, layout: TokenAxis, sample_rate: int) -> Tensor:
        """Texts (B, S) with <unk> in place of the tokens."""
        return source.masked_fill(removed, UNK)
