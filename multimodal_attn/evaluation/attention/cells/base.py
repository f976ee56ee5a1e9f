"""What evaluation knows of the cells of one kind of layout: where they are right, and how a source lacks one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
from torch import Tensor

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.evaluation.attention.shape import sharpness
from multimodal_attn.evaluation.statistics import Statistic, figures_of
from multimodal_attn.types import Batch, DecoderOutput, Hypothesis, Layout, Memory, Span, Target

AnyLayout = TypeVar("AnyLayout", bound=Layout)


class Text(NamedTuple):
    """A text and where the model looked while it was written, heads averaged.

    Attributes:
        maps: (T, S) of its tokens, S without padding.
        spans: first token and one past the last token of each word.
        ending: (S,) of <eos>; None where the text was not written to its end.
    """

    maps: np.ndarray
    spans: list[tuple[int, int]]
    ending: np.ndarray | None = None

    @property
    def word_maps(self) -> np.ndarray:
        """(W, S) the mean map of each word."""
        rows = [self.maps[first:stop].mean(axis=0) for first, stop in self.spans]
        return np.stack(rows) if rows else self.maps[:0]


@dataclass(frozen=True)
class Reading:
    """One source of a batch with what was written about it, freely and along the references.

    Attributes:
        batch: that it is of.
        index: its place in the batch.
        memory: of the batch.
        output: of the teacher-forced pass over the batch.
        hypothesis: the best text that the search found for it.
        tokenizer: of the texts.
        source_tokenizer: of a source that is a text.
        ctc_times: when CTC hears each word of the hypothesis, where it was asked.
    """

    batch: Batch
    index: int
    memory: Memory
    output: DecoderOutput
    hypothesis: Hypothesis
    tokenizer: Tokenizer
    source_tokenizer: Tokenizer | None = None
    ctc_times: list[Span] | None = None

    @property
    def targets(self) -> tuple[Target, ...]:
        """Its texts with their truth."""
        return self.batch.targets[self.index]

    @cached_property
    def positions(self) -> int:
        """How many of its memory positions are real."""
        return int(self.memory.mask[self.index].sum())

    @cached_property
    def written(self) -> Text:
        """The hypothesis."""
        tokens = self.hypothesis.tokens
        return Text(self._maps(self.hypothesis.weights), self.tokenizer.word_spans(tokens))

    @cached_property
    def words(self) -> list[str]:
        """Of the hypothesis."""
        return self.tokenizer.decode(self.hypothesis.tokens).split()

    @cached_property
    def waveform(self) -> np.ndarray | None:
        """(L,) of a recording, without padding; None of other sources, and where its features are cached."""
        waveform = self.batch.waveform(self.index)
        return None if waveform is None else waveform.float().cpu().numpy()

    def references(self) -> list[Target]:
        """The targets that the decoder was led along; a batch may hold fewer than there are."""
        return list(self.targets[: self.batch.tokens.shape[1]])

    def along(self, row: int) -> Text:
        """The reference of this number, read along with: only its own words have a truth about where they come from."""
        tokens = self.batch.tokens[self.index, row][self.batch.token_mask[self.index, row]][1:-1].tolist()
        maps = self._maps(self.output.weights[self.index, row, : len(tokens) + 1])
        return Text(maps[:-1], self.tokenizer.word_spans(tokens), maps[-1])

    def _maps(self, weights: Tensor) -> np.ndarray:
        return weights[..., : self.positions].float().cpu().numpy().mean(axis=1, dtype=np.float64)


class Cells(ABC, Generic[AnyLayout]):
    """Collects how the attention to one kind of cells compares with the truth.

    A new kind of layout is one subclass, in a file of its own, and a line in ``cells_of``.
    """

    ordered: ClassVar[bool] = True
    """Whether the cells lie in an order, so that attention can go forward and back."""

    def __init__(self) -> None:
        self.example = 0
        """Number of the example that is added; whoever adds several counts on."""
        self.samples: dict[str, list[Any]] = {}
        self.examples: dict[str, list[int]] = {}  # of each sample
        self.sharpness: list[np.ndarray] = []  # (2,) of each token that was compared
        self.sharpness_examples: list[int] = []

    @abstractmethod
    def update(self, reading: Reading, layout: AnyLayout) -> None:
        """Adds one source, as far as it has a truth."""

    @abstractmethod
    def statistics(self) -> list[Statistic]:
        """What the measures are computed from; empty before the first truth."""

    def compute(self) -> dict[str, float]:
        """The measures; empty before the first truth."""
        return figures_of(self.statistics(), self.example + 1)

    @staticmethod
    @abstractmethod
    def remove(source: Tensor, removed: Tensor, layout: AnyLayout, sample_rate: int) -> Tensor:
        """The sources with nothing to see, hear or read where these cells lie.

        Cells of the memory also saw what lies around them: what is removed here is only their own region.

        Args:
            source: as in ``Batch.source``, not encoded.
            removed: cells.
            layout: of the memory.
            sample_rate: of recordings, in Hz.

        Shapes:
            removed: (B, S) bool. Returns the same as source.
        """

    @staticmethod
    def quiet(batch: Batch, index: int, memory: Memory, sample_rate: int) -> np.ndarray | None:
        """Which real cells of a source hold nothing; None where a layout knows no such cells.

        Shapes:
            Returns (S,) bool, S without padding.
        """
        return None

    def merge(self, other: Cells[AnyLayout], first: int = 0) -> None:
        """Adds what another one has collected, such as another process; its first example is number ``first`` here."""
        for name, values in other.samples.items():
            self.samples.setdefault(name, []).extend(values)
            self.examples.setdefault(name, []).extend(first + example for example in other.examples[name])
        self.sharpness += other.sharpness
        self.sharpness_examples += [first + example for example in other.sharpness_examples]
        self.example = max(self.example, first + other.example)

    def note(self, name: str, values: list[Any]) -> None:
        """Adds samples of the example under a name."""
        self.samples.setdefault(name, []).extend(values)
        self.examples.setdefault(name, []).extend([self.example] * len(values))

    def note_sharpness(self, maps: np.ndarray) -> None:
        """Adds the tokens of a text that is compared with a truth, (T, S)."""
        self.sharpness.extend(sharpness(maps))
        self.sharpness_examples.extend([self.example] * len(maps))

    def joined(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Samples that are arrays (P, W), one after the other, and the example of each of their columns.

        Shapes:
            Returns (P, W) and (W,).
        """
        parts = self.samples[name]
        examples = np.repeat(self.examples[name], [part.shape[1] for part in parts])
        return np.concatenate(parts, axis=1), examples.astype(np.int64)
