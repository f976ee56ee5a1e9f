"""Commands and numbers spoken by a synthesizer, with the true time of every word: a demo without a download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from multimodal_attn.data.datasets.base import Split
from multimodal_attn.data.datasets.recordings import TranscribedRecordings, Utterance
from multimodal_attn.data.reading.cache import CACHE_GIGABYTES, limit_cache, mark_used
from multimodal_attn.data.synthesis.corpus import Recipe, prepare, read_listing
from multimodal_attn.ranges import Count, Positive, SampleRate, WholeNumber
from multimodal_attn.types import Span, Target


class Spoken(TranscribedRecordings):
    """The built-in speech: 94 words in commands of 4 to 9, in many voices, with noise and reverberation.

    Every sentence is in one split only, and so is every voice: val and test are spoken by voices never heard in train.
    The corpus is built into ``cache_dir`` when it is not there or damaged, which needs the package ``espeakng-loader``.

    Args:
        split: "train", "val" or "test".
        cache_dir: where the corpus is kept, in a folder of its own for each seed and size.
        num_train: utterances of the split.
        num_val: the same.
        num_test: the same.
        seed: of all that is drawn.
        sample_rate: to resample to, in Hz; the files have 16 kHz.
        cache_gigabytes: the most that is kept in ``cache_dir``; what has not been used for longest goes.

    Attributes:
        voices: the espeak-ng voice of each utterance.

    Raises:
        ValueError: if the corpus cannot be built.
    """

    def __init__(
        self,
        split: Split,
        cache_dir: str | Path = "~/.cache/multimodal_attn",
        num_train: Count = 3000,
        num_val: Count = 250,
        num_test: Count = 250,
        seed: WholeNumber = 0,
        sample_rate: SampleRate = 16_000,
        cache_gigabytes: Positive = CACHE_GIGABYTES,
    ) -> None:
        folder = prepare(cache_dir, Recipe(num_train, num_val, num_test, seed), split)
        mark_used(folder)
        limit_cache(cache_dir, cache_gigabytes, keep=[folder])
        listed = read_listing(folder, split)
        self.voices = [entry["voice"] for entry in listed]
        super().__init__((_utterance(folder, entry) for entry in listed), sample_rate)


def _utterance(folder: Path, entry: dict[str, Any]) -> Utterance:
    times = tuple(Span(start, end) for start, end in zip(entry["starts"], entry["ends"], strict=True))
    path = folder / entry["file"]
    return Utterance(path.stem, path, Target(entry["text"], times=times), entry["seconds"])
