"""Signs that attention has collapsed: on one cell, on silence, on what it sees whatever the word, or in circles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.evaluation.attention.cells import cells_of
from multimodal_attn.evaluation.attention.shape import sink_share
from multimodal_attn.types import Batch, Hypothesis, Memory


@dataclass(frozen=True)
class Sign:
    """One kind of collapse over a whole set.

    Attributes:
        share: in [0, 1], how far it has gone.
        key: of the example that shows it best.
        detail: what it does there, for people.
        expected: the share that attention without a preference would have.
    """

    share: float
    key: str
    detail: str
    expected: float = 0.0


class CollapseSigns:
    """Collects what a validation decoded, then says how much of it has collapsed."""

    def __init__(self) -> None:
        self._maps: list[tuple[str, np.ndarray]] = []  # key and the weight of each cell, summed over tokens
        self._quiet: list[tuple[str, float, float]] = []  # key, share of weight on quiet steps, share of such steps
        self._sinks: list[tuple[str, float]] = []  # key, share of weight on cells that get it whatever the word
        self._repeats: list[tuple[str, int, str]] = []  # key, repetitions beyond the references', text

    def merge(self, other: CollapseSigns) -> None:
        """Adds what another one has collected, such as that of another process."""
        self._maps += other._maps
        self._quiet += other._quiet
        self._sinks += other._sinks
        self._repeats += other._repeats

    def update(
        self, batch: Batch, memory: Memory, best: Sequence[Hypothesis], tokenizer: Tokenizer, sample_rate: int
    ) -> None:
        """Adds a batch.

        Args:
            batch: with its references.
            memory: of the batch.
            best: the best text of each source.
            tokenizer: of the texts.
            sample_rate: of recordings, in Hz.
        """
        cells = cells_of(memory.layout)
        for index, (hypothesis, real) in enumerate(zip(best, memory.mask.sum(1).tolist(), strict=True)):
            weights = hypothesis.weights[..., :real].float().cpu().numpy()
            self.add_map(batch.keys[index], weights, cells.quiet(batch, index, memory, sample_rate))
            self.add_words(batch.keys[index], weights, tokenizer.word_spans(hypothesis.tokens))
            references = [target.text for target in batch.targets[index]]
            self.add_text(
                batch.keys[index], tokenizer.of_source(batch.source_texts[index]).decode(hypothesis.tokens), references
            )

    def add_map(self, key: str, weights: np.ndarray, quiet: np.ndarray | None = None) -> None:
        """Adds the attention of one text.

        Args:
            key: of the example.
            weights: of the text's tokens, without padding.
            quiet: steps of a recording where there is nothing to hear.

        Shapes:
            weights: (T, N, S). quiet: (S,) bool.
        """
        if not weights.size:
            return
        cells = np.nan_to_num(weights).mean(axis=1, dtype=np.float64).sum(axis=0)
        self._maps.append((key, cells))
        if quiet is not None:
            self._quiet.append((key, float(cells[quiet].sum() / max(cells.sum(), 1e-12)), float(quiet.mean())))

    def add_words(self, key: str, weights: np.ndarray, spans: Sequence[tuple[int, int]]) -> None:
        """Adds the same attention word by word; ``spans`` are the first token and one past the last of each.

        Shapes:
            weights: (T, N, S).
        """
        maps = [weights[first:stop].mean(axis=(0, 1)) for first, stop in spans]
        if maps and (share := sink_share(np.stack(maps))) is not None:
            self._sinks.append((key, share))

    def add_text(self, key: str, text: str, references: list[str]) -> None:
        """Adds one text; what its references repeat is no sign of anything."""
        allowed = max((repetitions(reference.split()) for reference in references), default=1)
        found = repetitions(text.split())
        self._repeats.append((key, found if found > max(allowed, 2) else 0, text))

    def cell(self) -> Sign | None:
        """The share of all weight that lies on one cell, counted from the start or from the end of the memory."""
        if not self._maps:
            return None
        longest = max(len(cells) for _, cells in self._maps)
        total = sum(cells.sum() for _, cells in self._maps)
        places = [
            (np.sum([np.pad(cells[::way], (0, longest - len(cells))) for _, cells in self._maps], axis=0), way)
            for way in (1, -1)
        ]
        sums, way = max(places, key=lambda place: float(place[0].max()))
        place = int(sums.argmax())
        key, cells = max(
            ((key, cells[::way]) for key, cells in self._maps if place < len(cells)),
            key=lambda item: float(item[1][place] / max(item[1].sum(), 1e-12)),
        )
        where = f"cell {place}" if way == 1 else f"cell {place} from the end"
        here = cells[place] / max(cells.sum(), 1e-12)
        expected = len(self._maps) / sum(len(cells) for _, cells in self._maps)
        return Sign(float(sums[place] / max(total, 1e-12)), key, f"{here:.0%} of its weight on {where}", expected)

    def quiet(self) -> Sign | None:
        """The mean share of weight on steps with nothing to hear; None for anything but recordings."""
        if not self._quiet:
            return None
        key, share, _ = max(self._quiet, key=lambda item: item[1])
        shares = np.array([item[1:] for item in self._quiet]).mean(axis=0)
        return Sign(float(shares[0]), key, f"{share:.0%} of its weight on silence or the last step", float(shares[1]))

    def sink(self) -> Sign | None:
        """The mean share of weight on cells that get it whatever the word; see ``sink_share``."""
        if not self._sinks:
            return None
        key, share = max(self._sinks, key=lambda item: item[1])
        mean = float(np.mean([share for _, share in self._sinks]))
        return Sign(mean, key, f"{share:.0%} of its weight lies where every word of it looks")

    def repeats(self) -> Sign | None:
        """The share of texts that say the same one to four words three times in a row, or more often."""
        if not self._repeats:
            return None
        key, _, text = max(self._repeats, key=lambda item: item[1])
        return Sign(float(np.mean([number > 0 for _, number, _ in self._repeats])), key, f"it reads {text[:80]!r}")


def repetitions(words: list[str], longest: int = 4) -> int:
    """How often in a row a run of 1 to ``longest`` words stands, at most; 1 for a text without repetition."""
    most = 1 if words else 0
    for length in range(1, longest + 1):
        in_a_row = 0  # words that equal the one a run before them
        for before, word in zip(words, words[length:], strict=False):
            in_a_row = in_a_row + 1 if word == before else 0
            most = max(most, in_a_row // length + 1)
    return most
