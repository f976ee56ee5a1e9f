"""Texts with missing spans, and what is missing: how an encoder-decoder learns from texts alone (T5)."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from multimodal_attn.data.datasets.base import Dataset, Entry, LazyEntries
from multimodal_attn.types import Example, Target, UnreadableError

MEAN_SPAN_WORDS = 3.0
SENTINELS = tuple(
    chr(code)
    for first, last in ((0x2460, 0x2473), (0x3251, 0x325F), (0x32B1, 0x32BF))
    for code in range(first, last + 1)
)
"""The numbers 1 to 50 in circles, each a character of its own: they stand for the missing spans of a text."""


class CorruptedSpans(Dataset):
    """Span corruption (Raffel et al. 2020, section 3.1.4), over words:

        source   Zwei ① spielen mit einem ② .
        target   ① junge Hunde ② Ball

    Every epoch of training has other spans, which depend on the seed, the epoch and the index alone. Validation and
    test always have the same. A span may be anywhere, also at an end, and two are never side by side. There are as many
    as there are sentinels at most, so that those of very long texts are longer.

    Both vocabularies are built from the same texts, so that a model can later read and write any of them.

    Args:
        source: of texts; those of a single word are left out and listed.
        share: of the words of a text, those that are missing; at least one is, and at least one is not.
        mean_span_words: of a missing span, on average.
        seed: of the draws.

    Raises:
        ValueError: if no text has two words.
    """

    symbols = SENTINELS

    def __init__(
        self, source: Dataset, share: float = 0.15, mean_span_words: float = MEAN_SPAN_WORDS, seed: int = 0
    ) -> None:
        self.share, self.mean_span_words, self.seed = share, mean_span_words, seed
        self._texts: list[tuple[str, str]] = []  # key, text
        skipped = list(source.skipped)
        for entry in source.entries:
            text = entry.targets[0].text
            if len(text.split()) > 1:
                self._texts.append((entry.key, text))
            else:
                skipped.append(
                    UnreadableError(entry.key, f"a single word, {text!r}: nothing is left when it is missing")
                )
        if not self._texts:
            raise ValueError("data.corrupted_share: no text has two words; expected texts of which some can be missing")
        super().__init__(source.reader, LazyEntries(len(self._texts), self._entry), skipped)
        self.cut = source.cut

    def in_epoch(self, index: int, epoch: int) -> Example:
        source, target = self._pair(index, epoch)
        return Example(self._texts[index][0], source, (Target(target),))

    def _entry(self, index: int) -> Entry:
        key, text = self._texts[index]
        return Entry(key, (Target(self._pair(index, 0)[1]),), float(len(text)))

    def read(self, index: int) -> str:
        return self._pair(index, 0)[0]

    def lengths(self) -> list[float]:
        return [float(len(text)) for _, text in self._texts]

    def vocabulary_texts(self) -> tuple[list[str], list[str]]:
        """The whole texts, for both."""
        whole = [text for _, text in self._texts]
        return whole, whole

    def _pair(self, index: int, epoch: int) -> tuple[str, str]:
        """What is read and what is to be written."""
        words = self._texts[index][1].split()
        random = Random(f"{self.seed}-{epoch}-{index}")
        missing = min(max(1, round(self.share * len(words))), len(words) - 1)
        spans = max(1, round(missing / self.mean_span_words))
        spans = min(spans, missing, len(words) - missing + 1, len(SENTINELS))
        lengths = _parts(random, missing, spans)
        # One word more at either end: between two spans there is a word, before the first there need not be one.
        kept = _parts(random, len(words) - missing + 2, spans + 1)
        read: list[str] = []
        written: list[str] = []
        start = 0
        for sentinel, length, before in zip(SENTINELS, lengths, (kept[0] - 1, *kept[1:]), strict=False):
            read += [*words[start : start + before], sentinel]
            start += before + length
            written += [sentinel, *words[start - length : start]]
        return " ".join(read + words[start:]), " ".join(written)


def _parts(random: Random, total: int, number: int) -> list[int]:
    """A number as the sum of so many numbers of at least 1, all such sums being as probable."""
    ends = [0, *sorted(random.sample(range(1, total), number - 1)), total]
    return [stop - start for start, stop in pairwise(ends)]
