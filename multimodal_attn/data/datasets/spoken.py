"""Commands and numbers spoken by a synthesiser, with the true time of every word: a demo without a download."""

from __future__ import annotations

from pathlib import Path

from multimodal_attn.data.reading.audio import read_audio
from multimodal_attn.data.synthesis.corpus import SPLITS, Recipe, prepare, read_listing
from multimodal_attn.types import Example, Span, Target, UnreadableError


class Spoken:
    """The built-in speech: 94 words in commands of 4 to 9, in many voices, with noise and reverberation.

    Every sentence is in one split only, and so is every voice: val and test are spoken by voices never heard in train.
    The corpus is built into ``cache_dir`` when it is not there or damaged, which needs ``multimodal_attn[speech]``.

    Args:
        split: "train", "val" or "test".
        cache_dir: where the corpus is kept, in a folder of its own for each seed and size.
        num_train: utterances of the split.
        num_val: the same.
        num_test: the same.
        seed: of all that is drawn.
        sample_rate: to resample to, in Hz; the files have 16 kHz.

    Raises:
        ValueError: for an unknown split or a size that makes no sense, and if the corpus cannot be built.
    """

    def __init__(
        self,
        split: str,
        cache_dir: str | Path = "~/.cache/multimodal_attn",
        num_train: int = 3000,
        num_val: int = 250,
        num_test: int = 250,
        seed: int = 0,
        sample_rate: int = 16000,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f"split: '{split}'; the spoken corpus has {', '.join(SPLITS)}")
        for key, value in (("num_train", num_train), ("num_val", num_val), ("num_test", num_test)):
            if value < 1:
                raise ValueError(f"data.{key}: {value}; expected at least 1")
        if seed < 0:
            raise ValueError(f"data.seed: {seed}; expected 0 or more")
        self.sample_rate = sample_rate
        self.skipped: list[UnreadableError] = []
        self._folder = prepare(cache_dir, Recipe(num_train, num_val, num_test, seed), split)
        self._entries = read_listing(self._folder, split)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Example:
        """The utterance with the times of its words.

        Raises:
            UnreadableError: if its recording cannot be decoded.
        """
        waveform = read_audio(self.path(index), self.sample_rate)
        return Example(self.key(index), waveform, self.targets(index))

    def key(self, index: int) -> str:
        """The name of its file."""
        return Path(self._entries[index]["file"]).stem

    def targets(self, index: int) -> tuple[Target, ...]:
        """The transcript with its word times, without reading the recording."""
        entry = self._entries[index]
        times = tuple(Span(start, end) for start, end in zip(entry["starts"], entry["ends"], strict=True))
        return (Target(entry["text"], times=times),)

    def path(self, index: int) -> str:
        return str(self._folder / self._entries[index]["file"])

    def texts(self) -> list[str]:
        """Every transcript."""
        return [entry["text"] for entry in self._entries]

    def lengths(self) -> list[float]:
        """Seconds of each recording."""
        return [entry["seconds"] for entry in self._entries]

    def voices(self) -> list[str]:
        """The espeak-ng voice of each utterance."""
        return [entry["voice"] for entry in self._entries]
