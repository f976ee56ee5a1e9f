"""Steps of a recording: when attention hears a word."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor

from multimodal_attn.evaluation.attention.cells.base import Cells, Reading, Text
from multimodal_attn.evaluation.statistics import Mean, Median, Number, Ratio, Statistic
from multimodal_attn.measures import BY_ALIGNER
from multimodal_attn.prediction.times.boundaries import attention_times
from multimodal_attn.prediction.times.onset_times import onset_times
from multimodal_attn.prediction.times.word_alignment import align_words
from multimodal_attn.types import Batch, Memory, Span, Target, Timeline

WITHIN_MS = (20, 50, 100, 200)
F1_WITHIN_MS = (50, 100, 200)
SILENCE_DB = -40.0  # below the loudest step of the recording


class RecordingCells(Cells[Timeline]):
    """Timing along what the model wrote, over the correctly recognized words, ``onset_num_words``.

    ``onset_error_ms`` (median), ``onset_mean_error_ms``, ``onset_bias_ms`` (median with its sign, positive = late),
    ``onset_within_20_ms`` and the like, the same of ``offset``, and each again as ``onset_peak_...`` from the plain
    peaks, and as ``ctc_onset_...`` from CTC without attention; ``onset_even_ms`` is the error if the words were spread
    evenly over the recording. ``word_times_f1_50_ms`` and the like count all words: one is right if it is the true word
    and neither its start nor its end is further off. Where an aligner gave the true times, all names begin with
    ``aligner_``.
    """

    def update(self, reading: Reading, layout: Timeline) -> None:
        if reading.targets and reading.targets[0].times:
            waveform, rate = reading.waveform, reading.batch.sample_rate
            self.compare(reading.written, reading.words, reading.targets[0], layout, reading.ctc_times, waveform, rate)

    def compare(
        self,
        text: Text,
        words: list[str],
        target: Target,
        timeline: Timeline,
        by_ctc: list[Span] | None = None,
        waveform: np.ndarray | None = None,
        sample_rate: int = 16_000,
    ) -> None:
        """Adds one transcript with its maps.

        Args:
            text: that the model wrote.
            words: of it.
            target: with the times of its words.
            timeline: where the positions lie.
            by_ctc: when CTC hears each word, where it was asked.
            waveform: of the recording, where it is at hand.
            sample_rate: of it, in Hz.

        Shapes:
            waveform: (L,).
        """
        self.note_sharpness(text.maps)
        heard = {
            "{}": attention_times(text.maps, timeline, text.spans, waveform, sample_rate),
            "{}_peak": onset_times(text.maps, timeline, text.spans, method="peak"),
        }
        if by_ctc is not None:
            heard["ctc_{}"] = by_ctc
        whole = Span(timeline.offset_seconds, timeline.offset_seconds + timeline.step_seconds * text.maps.shape[1])
        self.compare_times(words, heard, target, whole)

    def compare_times(self, words: list[str], heard: dict[str, list[Span]], target: Target, whole: Span) -> None:
        """Adds one transcript by the times of its words alone.

        Args:
            words: that were written.
            heard: a time for each, by the name of the figures with ``{}`` in place of "onset".
            target: with the times of its words.
            whole: the recording.
        """
        reference, by = target.text.split(), BY_ALIGNER if target.timed_by else ""
        step = (whole.end - whole.start) / max(1, len(words))
        even = [Span(whole.start + step * index, whole.start + step * (index + 1)) for index in range(len(words))]
        self.note(f"{by}counts", [(len(words), len(reference))])
        for name in heard.keys() & {"{}", "ctc_{}"}:
            self.note(by + name.format("word_times"), [])  # where no word is right, none is in time
        for index, true in align_words(words, reference):
            if index is None or true is None or words[index] != reference[true]:
                continue
            truth = target.times[true]
            for name, found in {**heard, "{}_even": even}.items():
                late = [1000 * (found[index].start - truth.start), 1000 * (found[index].end - truth.end)]
                self.note(by + name.format("onset"), late[:1])
                self.note(by + name.format("offset"), late[1:])
                if name in ("{}", "ctc_{}"):
                    self.note(by + name.format("word_times"), [max(map(abs, late))])

    def statistics(self) -> list[Statistic]:
        found: list[Statistic] = []
        for name, values in self.samples.items():
            if name.endswith("counts"):
                continue
            # Milliseconds of each word, of which there may be none.
            late, examples = np.array(values, dtype=float), np.array(self.examples[name], dtype=np.int64)
            by = BY_ALIGNER if name.startswith(BY_ALIGNER) else ""
            if name.endswith("word_times"):  # precision is over the words that were written, recall over the true ones
                numbers, of = np.sum(self.samples[f"{by}counts"], axis=1), np.array(self.examples[f"{by}counts"])
                for limit in F1_WITHIN_MS:
                    found.append(Ratio(f"{name}_f1_{limit}_ms", 2.0 * (late <= limit), examples, numbers, of))
                continue
            if name.endswith("_even"):
                found.append(Median(f"{name}_ms", np.abs(late), examples))
                continue
            found.append(Median(f"{name}_error_ms", np.abs(late), examples))
            found.append(Mean(f"{name}_mean_error_ms", np.abs(late), examples))
            found.append(Median(f"{name}_bias_ms", late, examples))
            for limit in WITHIN_MS:
                found.append(Mean(f"{name}_within_{limit}_ms", np.abs(late) <= limit, examples))
            if name == f"{by}onset":
                found.append(Number(f"{name}_num_words", examples))
        return found

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
