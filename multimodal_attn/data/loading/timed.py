"""A data set of recordings with word times from a file in place of its own."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from multimodal_attn.data.datasets.base import Dataset, Entry, LazyEntries, Split
from multimodal_attn.data.reading.word_times import read_word_times

log = logging.getLogger(__name__)


class Timed(Dataset):
    """The same examples, with the times of ``multimodal-attn align``; those that it has none of have no times.

    Args:
        source: a data set of recordings with one text each.
        split: of it.
        path: of the file.

    Raises:
        ValueError: if the file cannot be read, has nothing of the split, or its texts are not those of the data.
    """

    def __init__(self, source: Dataset, split: Split, path: str | Path) -> None:
        file = Path(path).expanduser()
        if source.reader.modality != "recording":
            raise ValueError(f"data.word_times: '{file}'; expected null, as {source.reader.phrase} has no word times")
        self.source = source
        lines = read_word_times(file, "data.word_times")
        self._times = {line.key: line.target for line in lines if line.split == split}
        super().__init__(source.reader, LazyEntries(len(source), self._entry), source.skipped)
        texts = {entry.key: entry.targets[0].text for entry in source.entries if entry.targets}
        other = [key for key, target in self._times.items() if texts.get(key) != target.text]
        if len(other) == len(self._times) and split != "train":
            example = f", such as {other[0]!r}" if other else ""
            raise ValueError(
                f"data.word_times: '{file}' has no times for the texts of the {split} split{example}; expected what"
                f" multimodal-attn align --splits {split} writes for these data"
            )
        for key in other:
            del self._times[key]
        if other:
            log.warning("data.word_times: %d of %s are of other texts, such as %r", len(other), file, other[0])

    def _entry(self, index: int) -> Entry:
        entry = self.source.entries[index]
        timed, targets = self._times.get(entry.key), entry.targets
        if targets:
            times, by = (timed.times, timed.timed_by) if timed else ((), "")
            targets = (replace(targets[0], times=times, timed_by=by), *targets[1:])
        return entry._replace(targets=targets)

    def path(self, index: int) -> str | None:
        return self.source.path(index)

    def read(self, index: int) -> Tensor | str:
        return self.source.read(index)

    def fingerprint(self, index: int) -> str | None:
        return self.source.fingerprint(index)

    def lengths(self) -> list[float]:
        return self.source.lengths()
