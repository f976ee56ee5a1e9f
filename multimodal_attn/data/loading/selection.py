"""A data set without the examples that training cannot use."""

from __future__ import annotations

from torch import Tensor

from multimodal_attn.data.datasets.base import Dataset, Entry, LazyEntries
from multimodal_attn.types import Example, UnreadableError


class Selection(Dataset):
    """The examples that are not left out, in their order; ``skipped`` lists the others with their reasons.

    Args:
        source: the data set.
        reasons: index -> why this example is left out.

    Raises:
        ValueError: if nothing remains.
    """

    def __init__(self, source: Dataset, reasons: dict[int, str]) -> None:
        self.source = source
        self._kept = [index for index in range(len(source)) if index not in reasons]
        left_out = [UnreadableError(source.entries[index].key, reasons[index]) for index in sorted(reasons)]
        super().__init__(source.reader, LazyEntries(len(self._kept), self._entry), [*source.skipped, *left_out])
        self.cut, self.symbols = source.cut, source.symbols
        if not self._kept:
            listed = "".join(f"\n  {error}" for error in self.skipped[:5])
            raise ValueError(f"data: every training example is left out{listed}")

    def _entry(self, index: int) -> Entry:
        return self.source.entries[self._kept[index]]

    def in_epoch(self, index: int, epoch: int) -> Example:
        return self.source.in_epoch(self._kept[index], epoch)

    def path(self, index: int) -> str | None:
        return self.source.path(self._kept[index])

    def read(self, index: int) -> Tensor | str:
        return self.source.read(self._kept[index])

    def fingerprint(self, index: int) -> str | None:
        return self.source.fingerprint(self._kept[index])

    def lengths(self) -> list[float]:
        lengths = self.source.lengths()
        return [lengths[index] for index in self._kept]


def outside(
    lengths: list[float], minimum: float | None, maximum: float | None, name: str = "max_seconds"
) -> dict[int, str]:
    """Reasons to leave out the examples shorter or longer than the limits, in seconds; None for no limit.

    Args:
        lengths: of all examples.
        minimum: data.min_seconds.
        maximum: the upper limit.
        name: of the upper limit.
    """
    reasons = {}
    for index, seconds in enumerate(lengths):
        if minimum is not None and seconds < minimum:
            reasons[index] = f"shorter than data.min_seconds={minimum:g} ({seconds:.2f} s)"
        elif maximum is not None and seconds > maximum:
            reasons[index] = f"longer than data.{name}={maximum:g} ({seconds:.2f} s)"
    return reasons
