"""Connected digits, strung together from single recordings of the Free Spoken Digit Dataset: every join is known."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from multimodal_attn.data.datasets.base import Dataset, Entry, LazyEntries, Split, number_of_examples
from multimodal_attn.data.modalities.recording import RecordingReader
from multimodal_attn.data.reading.audio import audio_seconds, read_audio
from multimodal_attn.ranges import Count, NotNegative, SampleRate, WholeNumber
from multimodal_attn.types import Span, Target, UnreadableError

WORDS = "zero one two three four five six seven eight nine".split()
NUM_EXAMPLES: Mapping[Split, int] = {"train": 2000, "val": 200, "test": 200}
INDICES: dict[Split, range] = {"test": range(0, 5), "val": range(5, 10), "train": range(10, 10**6)}
"""Of the recordings of one digit by one speaker; 0 to 4 are the corpus's official test."""

_RECORDING = re.compile(r"([0-9])_(.+)_([0-9]+)\.wav")
_LAYOUT = "recordings/DIGIT_SPEAKER_INDEX.wav, such as recordings/7_jackson_32.wav"


@dataclass(frozen=True)
class _Recording:
    path: Path
    digit: int
    seconds: float


class ConnectedDigits(Dataset):
    """Digit strings of one speaker each: its recordings one after another, with silence before, between and after.

    The protocol says what is new in val and test. "index": other recordings of the same speakers (train has indices
    from 10 on, val 5 to 9, test 0 to 4). "speaker": the speakers ``held_out`` (all others are train; of the held-out
    ones, test has indices 0 to 4 and val the rest).

    What example ``index`` of a split is depends on ``seed`` and on the recordings found, and on nothing else.

    Args:
        split: "train", "val" or "test".
        root: folder that has ``recordings/``.
        sample_rate: to resample to, in Hz; the recordings have 8 kHz.
        num_examples: strings of this split, or a number for each split.
        min_digits: in a string.
        max_digits: the same.
        protocol: "index" or "speaker".
        gap_seconds: shortest and longest silence.
        seed: of all that is drawn.
        held_out: speakers of val and test under protocol "speaker".

    Raises:
        ValueError: if ``root`` has no recordings for the split, or a smallest value is above its largest.
    """

    def __init__(
        self,
        split: Split,
        root: str | Path,
        sample_rate: SampleRate = 16_000,
        num_examples: Count | Mapping[Split, Count] = NUM_EXAMPLES,
        min_digits: Count = 3,
        max_digits: Count = 7,
        protocol: Literal["index", "speaker"] = "index",
        gap_seconds: tuple[NotNegative, NotNegative] = (0.05, 0.25),
        seed: WholeNumber = 0,
        held_out: Sequence[str] = ("nicolas", "theo"),
    ) -> None:
        if min_digits > max_digits:
            raise ValueError(f"data.min_digits: {min_digits}; expected at most data.max_digits={max_digits}")
        low, high = gap_seconds
        if low > high:
            raise ValueError(f"data.gap_seconds: {list(gap_seconds)}; expected the shortest and the longest silence")
        folder = Path(root).expanduser() / "recordings"
        if not folder.is_dir():
            raise ValueError(f"data.root: '{Path(root).expanduser()}' has no recordings/; expected {_LAYOUT}")
        number = number_of_examples(split, num_examples)
        super().__init__(RecordingReader(sample_rate), LazyEntries(number, self._entry))
        speakers = self._find(folder, split, protocol, held_out)
        if not speakers:
            raise ValueError(
                f"data.root: '{folder}' has no usable recording for split={split}, protocol={protocol}"
                f"{f', held_out={list(held_out)}' if protocol == 'speaker' else ''}; expected {_LAYOUT}"
            )
        self._plans: list[tuple[list[_Recording], list[int]]] = []  # recordings, and the samples of silence around them
        for index in range(number):
            random = np.random.default_rng([seed, list(INDICES).index(split), index])
            recordings = speakers[int(random.integers(len(speakers)))]
            count = int(random.integers(min_digits, max_digits + 1))
            chosen = [recordings[i] for i in random.integers(len(recordings), size=count)]
            gaps = [round(gap * sample_rate) for gap in random.uniform(low, high, size=count + 1)]
            self._plans.append((chosen, gaps))

    def _find(self, folder: Path, split: Split, protocol: str, held_out: Sequence[str]) -> list[list[_Recording]]:
        """The recordings of a split, by speaker, in the order of their names."""
        speakers: dict[str, list[_Recording]] = {}
        for path in sorted(folder.glob("*.wav")):
            match = _RECORDING.fullmatch(path.name)
            if not match:
                self.skipped.append(UnreadableError(str(path), "is not named DIGIT_SPEAKER_INDEX.wav"))
                continue
            digit, speaker, index = int(match[1]), match[2], int(match[3])
            if protocol == "index":
                wanted = index in INDICES[split]
            elif split == "train":
                # The official test stays apart here too, so that no recording of it is ever trained on.
                wanted = speaker not in held_out and index not in INDICES["test"]
            else:
                wanted = speaker in held_out and (index in INDICES["test"]) == (split == "test")
            if wanted:
                try:
                    speakers.setdefault(speaker, []).append(_Recording(path, digit, audio_seconds(path)))
                except UnreadableError as error:
                    self.skipped.append(error)
        return list(speakers.values())

    def _entry(self, index: int) -> Entry:
        recordings, gaps = self._plans[index]
        rate, position, times = self.reader.sample_rate, gaps[0], []
        for recording, gap in zip(recordings, gaps[1:], strict=True):
            end = position + math.ceil(recording.seconds * rate - 1e-6)  # as many samples as resampling gives
            times.append(Span(position / rate, end / rate))
            position = end + gap
        text = " ".join(WORDS[recording.digit] for recording in recordings)
        return Entry(f"{index:05d}", (Target(text, times=tuple(times)),), position / rate)

    def read(self, index: int) -> Tensor:
        recordings, gaps = self._plans[index]
        parts = [torch.zeros(gaps[0])]
        for recording, gap in zip(recordings, gaps[1:], strict=True):
            parts += [read_audio(recording.path, self.reader.sample_rate), torch.zeros(gap)]
        return torch.cat(parts)
