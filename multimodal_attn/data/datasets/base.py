"""What every data set offers: its examples by number, and what is known of them without reading a source."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from multimodal_attn.data.modalities.base import Reader
from multimodal_attn.types import Example, Target, UnreadableError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


class Entry(NamedTuple):
    """An example without its source.

    Attributes:
        key: unique and stable within a split.
        targets: its texts.
        length: of its source, in the unit of the data set's reader.
    """

    key: str
    targets: tuple[Target, ...]
    length: float = 1.0


class LazyEntries(Sequence[Entry]):
    """Entries that are made each time they are asked for, where a list of them would fill the memory.

    Args:
        number: of entries.
        make: the entry of an index.
    """

    def __init__(self, number: int, make: Callable[[int], Entry]) -> None:
        self._number, self._make = number, make

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, index: int) -> Entry:  # type: ignore[override]  # nobody asks for slices
        if not 0 <= index < self._number:
            raise IndexError(index)
        return self._make(index)


class Dataset(TorchDataset[Example], ABC):
    """One split of a corpus.

    A subclass hands over its entries and says where each source lies (``path``), or else makes the source (``read``).

    Args:
        reader: of the modality of the sources.
        entries: of the examples, in their order.
        skipped: what had to be left out, with the reasons.

    Attributes:
        cut: sources of which only the beginning is read, with the reasons.
        symbols: words of its texts that every vocabulary has to have, however rare they are.
    """

    symbols: tuple[str, ...] = ()

    def __init__(self, reader: Reader, entries: Sequence[Entry], skipped: Iterable[UnreadableError] = ()) -> None:
        self.reader, self.entries = reader, entries
        self.skipped: list[UnreadableError] = list(skipped)
        self.cut: list[UnreadableError] = []

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Example:
        """The example with its source.

        Raises:
            UnreadableError: if the source cannot be read, or is of quite another length than the entry says.
        """
        entry, source = self.entries[index], self.read(index)
        self.reader.check_length(source, entry.length, self.path(index) or entry.key)
        return Example(entry.key, source, entry.targets, self.reader.sample_rate)

    def in_epoch(self, index: int, epoch: int) -> Example:
        """The example as an epoch of training takes it, for data sets that have it in several versions."""
        return self[index]

    def path(self, index: int) -> str | None:
        """The file that is an example's source as it stands; None where there is none."""
        return None

    def read(self, index: int) -> Tensor | str:
        """The source of an example; raises as ``__getitem__`` does."""
        path = self.path(index)
        assert path is not None, f"{type(self).__name__} has neither path nor read"
        return self.reader.read(path)

    def fingerprint(self, index: int) -> str | None:
        """Changes when an example's source does; None where only the source itself can tell.

        Raises:
            OSError: if the source's file is gone.
        """
        path = self.path(index)
        return None if path is None else self.reader.fingerprint(path)

    def texts(self) -> list[str]:
        """Every text that is to be written."""
        return [target.text for entry in self.entries for target in entry.targets]

    def documents(self) -> list[list[str]]:
        """The same, those of one source together."""
        return [[target.text for target in entry.targets] for entry in self.entries]

    def source_texts(self) -> list[str]:
        """Every text that is to be read; empty for other modalities than texts."""
        return [str(self.read(index)) for index in range(len(self))] if self.reader.modality == "text" else []

    def vocabulary_texts(self) -> tuple[list[str], list[str]]:
        """What the vocabularies of what is written and of what is read are built from."""
        return self.texts(), self.source_texts()

    def lengths(self) -> list[float]:
        """Of each source, in the unit of the reader."""
        return [entry.length for entry in self.entries]

    def check_readable(self) -> None:
        """Raises a ValueError if there is no example that can be read."""
        for index in range(len(self)):
            try:
                self.read(index)
            except UnreadableError:
                continue
            return
        raise ValueError("data: no example can be read")

    def spread(self, number: int) -> list[Example]:
        """At most so many examples, spread evenly over the split; what cannot be read is left out."""
        number, found = min(number, len(self)), []
        for place in range(number):
            try:
                found.append(self[place * len(self) // number])
            except UnreadableError:  # the loader lists it
                continue
        return found


def number_of_examples(split: Split, num_examples: int | Mapping[Split, int]) -> int:
    """How many examples a generated split has.

    Args:
        split: which.
        num_examples: of this split, or a number for each split.

    Raises:
        ValueError: if there is none for this split.
    """
    if not isinstance(num_examples, Mapping):
        return num_examples
    if split not in num_examples:
        raise ValueError(f"data.num_examples: no number for {split}; expected one for {', '.join(SPLITS)}")
    return num_examples[split]
