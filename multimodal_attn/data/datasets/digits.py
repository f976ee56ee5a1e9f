"""Connected digits, strung together from single recordings of the Free Spoken Digit Dataset: every join is known."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from multimodal_attn.data.reading.audio import audio_seconds, read_audio
from multimodal_attn.types import Example, Span, Target, UnreadableError

WORDS = "zero one two three four five six seven eight nine".split()
INDICES = {"test": range(0, 5), "val": range(5, 10), "train": range(10, 10**6)}
"""Of the recordings of one digit by one speaker; 0 to 4 are the corpus's official test."""

_RECORDING = re.compile(r"([0-9])_(.+)_([0-9]+)\.wav")
_LAYOUT = "recordings/DIGIT_SPEAKER_INDEX.wav, such as recordings/7_jackson_32.wav"


@dataclass(frozen=True)
class _Recording:
    path: Path
    digit: int
    seconds: float


class ConnectedDigits:
    """Digit strings of one speaker each: its recordings one after another, with silence before, between and after.

    The protocol says what is new in val and test. "index": other recordings of the same speakers (train has indices
    from 10 on, val 5 to 9, test 0 to 4). "speaker": the speakers ``held_out`` (all others are train; of the held-out
    ones, test has indices 0 to 4 and val the rest).

    What example ``index`` of a split is depends on ``seed`` and on the recordings found, and on nothing else.

    Args:
        split: "train", "val" or "test".
        root: folder that has ``recordings/``.
        sample_rate: to resample to, in Hz; the recordings have 8 kHz.
        num_examples: strings in this split; None for 2000 in train and 200 in val and test.
        min_digits: in a string.
        max_digits: the same.
        protocol: "index" or "speaker".
        gap_seconds: shortest and longest silence.
        seed: of all that is drawn.
        held_out: speakers of val and test under protocol "speaker".

    Raises:
        ValueError: if ``root`` has no recordings for the split, or an argument is outside of what is allowed.
    """

    def __init__(
        self,
        split: str,
        root: str | Path,
        sample_rate: int = 16000,
        num_examples: int | None = None,
        min_digits: int = 3,
        max_digits: int = 7,
        protocol: str = "index",
        gap_seconds: Sequence[float] = (0.05, 0.25),
        seed: int = 0,
        held_out: Sequence[str] = ("nicolas", "theo"),
    ) -> None:
        if split not in INDICES:
            raise ValueError(f"split: '{split}'; the digits have {', '.join(INDICES)}")
        if protocol not in ("index", "speaker"):
            raise ValueError(f"data.protocol: '{protocol}'; expected index or speaker")
        if not 1 <= min_digits <= max_digits:
            raise ValueError(
                f"data.min_digits: {min_digits} and data.max_digits: {max_digits}; expected 1 <= min <= max"
            )
        if len(gap_seconds) != 2 or not 0 <= gap_seconds[0] <= gap_seconds[1]:
            raise ValueError(
                f"data.gap_seconds: {list(gap_seconds)}; expected shortest and longest, 0 <= shortest <= longest"
            )
        if num_examples is None:
            num_examples = 2000 if split == "train" else 200
        if num_examples < 1 or seed < 0:
            raise ValueError(
                f"data.num_examples: {num_examples}, data.seed: {seed}; expected at least 1 and at least 0"
            )
        folder = Path(root).expanduser() / "recordings"
        if not folder.is_dir():
            raise ValueError(f"data.root: '{Path(root).expanduser()}' has no recordings/; expected {_LAYOUT}")
        self.sample_rate = sample_rate
        self.skipped: list[UnreadableError] = []
        speakers = self._find(folder, split, protocol, held_out)
        if not speakers:
            raise ValueError(
                f"data.root: '{folder}' has no usable recording for split={split}, protocol={protocol}"
                f"{f', held_out={list(held_out)}' if protocol == 'speaker' else ''}; expected {_LAYOUT}"
            )
        self._plans = []
        for index in range(num_examples):
            random = np.random.default_rng([seed, list(INDICES).index(split), index])
            recordings = speakers[int(random.integers(len(speakers)))]
            count = int(random.integers(min_digits, max_digits + 1))
            chosen = [recordings[i] for i in random.integers(len(recordings), size=count)]
            low, high = float(gap_seconds[0]), float(gap_seconds[1])
            gaps = [round(gap * sample_rate) for gap in random.uniform(low, high, size=count + 1)]
            self._plans.append((chosen, gaps))

    def _find(self, folder: Path, split: str, protocol: str, held_out: Sequence[str]) -> list[list[_Recording]]:
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
        return [recordings for recordings in speakers.values() if recordings]

    def __len__(self) -> int:
        return len(self._plans)

    def __getitem__(self, index: int) -> Example:
        """The string of digits with the span of each recording.

        Raises:
            UnreadableError: if one of its recordings cannot be decoded.
        """
        recordings, gaps = self._plans[index]
        parts, times = [torch.zeros(gaps[0])], []
        position = gaps[0]
        for recording, gap in zip(recordings, gaps[1:], strict=True):
            waveform = read_audio(recording.path, self.sample_rate)
            times.append(Span(position / self.sample_rate, (position + len(waveform)) / self.sample_rate))
            parts += [waveform, torch.zeros(gap)]
            position += len(waveform) + gap
        return Example(self.key(index), torch.cat(parts), (Target(self._text(recordings), times=tuple(times)),))

    @staticmethod
    def key(index: int) -> str:
        """The string's number."""
        return f"{index:05d}"

    def targets(self, index: int) -> tuple[Target, ...]:
        """The digits without their times, which only reading the recordings tells."""
        return (Target(self._text(self._plans[index][0])),)

    @staticmethod
    def _text(recordings: list[_Recording]) -> str:
        return " ".join(WORDS[recording.digit] for recording in recordings)

    def texts(self) -> list[str]:
        """Every transcript."""
        return [self._text(recordings) for recordings, _ in self._plans]

    def lengths(self) -> list[float]:
        """Seconds of each string."""
        return [
            (sum(math.ceil(r.seconds * self.sample_rate - 1e-6) for r in recordings) + sum(gaps)) / self.sample_rate
            for recordings, gaps in self._plans
        ]
