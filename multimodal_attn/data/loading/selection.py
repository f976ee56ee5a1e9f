"""A data set without the examples that training cannot use."""

from __future__ import annotations

from typing import Protocol

from multimodal_attn.types import Example, Target, UnreadableError


class Listed(Protocol):
    """A data set that knows its examples without reading them."""

    skipped: list[UnreadableError]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...

    def lengths(self) -> list[float]: ...

    def key(self, index: int) -> str: ...

    def targets(self, index: int) -> tuple[Target, ...]: ...


class Selection:
    """The examples that are not left out, in their order; ``skipped`` lists the others with their reasons.

    Args:
        source: the data set.
        reasons: index -> why this example is left out.

    Raises:
        ValueError: if nothing remains, or the data set cannot name its examples.
    """

    def __init__(self, source: Listed, reasons: dict[int, str]) -> None:
        if not (hasattr(source, "key") and hasattr(source, "targets")):
            raise ValueError(
                f"data: {type(source).__name__} needs the methods key(index) and targets(index) for examples to be left"
                " out of it"
            )
        self.source = source
        self.skipped = source.skipped + [UnreadableError(source.key(i), reasons[i]) for i in sorted(reasons)]
        self._kept = [index for index in range(len(source)) if index not in reasons]
        if not self._kept:
            listed = "".join(f"\n  {error}" for error in self.skipped[:5])
            raise ValueError(f"data: every training example is left out{listed}")

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index: int) -> Example:
        return self.source[self._kept[index]]

    def key(self, index: int) -> str:
        return self.source.key(self._kept[index])

    def targets(self, index: int) -> tuple[Target, ...]:
        return self.source.targets(self._kept[index])

    def texts(self) -> list[str]:
        return [target.text for index in range(len(self)) for target in self.targets(index)]

    def lengths(self) -> list[float]:
        lengths = self.source.lengths()
        return [lengths[index] for index in self._kept]


def outside(lengths: list[float], minimum: float | None, maximum: float | None) -> dict[int, str]:
    """Reasons to leave out the examples shorter or longer than the limits, in seconds; None for no limit."""
    reasons = {}
    for index, seconds in enumerate(lengths):
        if minimum is not None and seconds < minimum:
            reasons[index] = f"shorter than data.min_seconds={minimum:g} ({seconds:.2f} s)"
        elif maximum is not None and seconds > maximum:
            reasons[index] = f"longer than data.max_seconds={maximum:g} ({seconds:.2f} s)"
    return reasons
