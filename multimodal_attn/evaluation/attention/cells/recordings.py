"""Steps of a recording: when attention hears a word."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor

from multimodal_attn.evaluation.attention.cells.base import Cells, Reading, Text
from multimodal_attn.evaluation.statistics import Mean, Median, Number, Statistic
from multimodal_attn.prediction.timing import onset_times
from multimodal_attn.prediction.word_alignment import align_words
from multimodal_attn.types import Batch, Memory, Span, Target, Timeline

WITHIN_MS = (20, 50, 100, 200)
SILENCE_DB = -40.0  # below the loudest step of the recording


class RecordingCells(Cells[Timeline]):
    """Timing along what the model wrote, over the correctly recognized words, ``onset_num_words``.

    ``onset_error_ms`` (median), ``onset_bias_ms`` (median with its sign, positive = late), ``onset_within_20_ms`` and
    the like, the same of ``offset``, and each again as ``onset_peak_...`` from the plain peak in place of the monotonic
    path, and as ``ctc_onset_...`` from CTC without attention; ``onset_even_ms`` is the error if the words were spread
    evenly over the recording.
    """

    def update(self, reading: Reading, layout: Timeline) -> None:
        if reading.targets and reading.targets[0].times:
            self.compare(reading.written, reading.words, reading.targets[0], layout, reading.ctc_times)

    def compare(
        self, text: Text, words: list[str], target: Target, timeline: Timeline, by_ctc: list[Span] | None = None
    ) -> None:
        """Adds one transcript.

        Args:
            text: that the model wrote.
            words: of it.
            target: with the times of its words.
            timeline: where the positions lie.
            by_ctc: when CTC hears each word, where it was asked.
        """
        self.note_sharpness(text.maps)
        if not len(text.maps):
            return
        reference = target.text.split()
        step = timeline.step_seconds * text.maps.shape[1] / max(1, len(words))
        even = [timeline.offset_seconds + step * index for index in range(len(words))]
        heard = {
            "{}": onset_times(text.maps, timeline, text.spans),
            "{}_peak": onset_times(text.maps, timeline, text.spans, method="peak"),
            "{}_even": [Span(start, start + step) for start in even],
        }
        if by_ctc is not None:
            heard["ctc_{}"] = by_ctc
        for index, true in align_words(words, reference):
            if index is None or true is None or words[index] != reference[true]:
                continue
            truth = target.times[true]
            for name, found in heard.items():
                self.note(name.format("onset"), [1000 * (found[index].start - truth.start)])
                self.note(name.format("offset"), [1000 * (found[index].end - truth.end)])

    def statistics(self) -> list[Statistic]:
        found: list[Statistic] = []
        for name, values in self.samples.items():
            late, examples = np.array(values), np.array(self.examples[name])  # milliseconds of each word
            if name.endswith("_even"):
                found.append(Median(f"{name}_ms", np.abs(late), examples))
                continue
            found.append(Median(f"{name}_error_ms", np.abs(late), examples))
            found.append(Median(f"{name}_bias_ms", late, examples))
            for limit in WITHIN_MS:
                found.append(Mean(f"{name}_within_{limit}_ms", np.abs(late) <= limit, examples))
        return found + ([Number("onset_num_words", np.array(self.examples["onset"]))] if self.samples else [])

    @staticmethod
    def remove(source: Tensor, removed: Tensor, layout: Timeline, sample_rate: int) -> Tensor:
        """Waveforms (B, L) with silence in the steps."""
        seconds = torch.arange(source.shape[1], device=source.device) / sample_rate
        steps = torch.floor((seconds - layout.offset_seconds) / layout.step_seconds).long()
        covered = (steps >= 0) & (steps < removed.shape[1])
        samples = removed[:, steps.clamp(0, removed.shape[1] - 1)] & covered
        return source.masked_fill(samples, 0.0)

    @staticmethod
    def quiet(batch: Batch, index: int, memory: Memory, sample_rate: int) -> np.ndarray:
        waveform = batch.source[index, : batch.source_lengths[index]].float().cpu().numpy()
        positions = int(memory.mask[index].sum())
        padded = positions < memory.mask.shape[1]
        return quiet_steps(waveform, sample_rate, cast(Timeline, memory.layout), positions, padded)


def quiet_steps(waveform: np.ndarray, sample_rate: int, timeline: Timeline, positions: int, padded: bool) -> np.ndarray:
    """The memory steps with nothing to hear: silence, and the last step where padding follows.

    Args:
        waveform: without padding.
        sample_rate: in Hz.
        timeline: where the steps lie.
        positions: how many steps are real.
        padded: whether padding follows the last of them.

    Shapes:
        waveform: (L,). Returns (positions,) bool.
    """
    edges = (timeline.offset_seconds + timeline.step_seconds * np.arange(positions + 1)) * sample_rate
    edges = np.clip(np.rint(edges).astype(np.int64), 0, len(waveform))
    energy = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    power = np.diff(energy[edges]) / np.maximum(np.diff(edges), 1)
    quiet = power <= power.max(initial=0.0) * 10 ** (SILENCE_DB / 10)
    if padded and positions:
        quiet[-1] = True
    return quiet
