"""Whether a word depends on the cells that it attends to: deletion and insertion against random cells.

Cells are taken away, or put in, in the order of their weight (Petsiuk et al. 2018; DeYoung et al. 2020,
comprehensiveness and sufficiency), and the log probability of the model's own word is followed.

In the memory, a cell is deleted through ``Memory.mask``: neither attention nor the mean that a decoder starts from can
read it, nothing is invented in its place, and every mechanism must honor the mask anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from multimodal_attn.evaluation.attention.cells import cells_of
from multimodal_attn.evaluation.attention.rollout import input_rollout, memory_rollout
from multimodal_attn.evaluation.bootstrap import Interval, intervals
from multimodal_attn.evaluation.faithfulness.attribution import (
    Words,
    gradient_times_attention,
    integrated_gradients,
    word_log_probs,
)
from multimodal_attn.evaluation.statistics import Mean, Number, Statistic, figures_of
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.types import UNK, Batch, Hypothesis, Memory

SHARES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
KINDS = ("deletion", "insertion")
RANDOM = "random"

Curve = Callable[[Tensor, str], Tensor]


class FaithfulnessScores:
    """Collects examples, then computes how much more the chosen cells matter than random ones.

    ``compute`` gives ``faithfulness_deletion`` and ``faithfulness_insertion``: the mean height of the area between
    the curve of the attended cells and that of random cells, in nats a word, positive where attention is right; with
    95 % intervals from resampling examples (``intervals``). ``faithfulness_gradient_attention_...`` and
    ``faithfulness_integrated_gradients_...`` are the same for cells in their order, ``faithfulness_rollout_...`` for
    that of attention rollout where the model has layers of self-attention, ``faithfulness_input_...`` for cells whose
    part of the source is taken away before encoding.

    Args:
        num_draws: random orders that make the control.
        max_words: words of an example, spread evenly over its text.
        rows: words in one pass through the decoder, each with a memory of its own.
        seed: of the random orders.
    """

    def __init__(self, num_draws: int = 5, max_words: int = 8, rows: int = 64, seed: int = 0) -> None:
        if num_draws < 1:
            raise ValueError(f"faithfulness: {num_draws} random draws; expected at least 1")
        self.num_draws, self.max_words, self.rows = num_draws, max_words, rows
        self._random = torch.Generator().manual_seed(seed)
        self._num_examples = 0
        self._examples: dict[str, list[int]] = {"memory": [], "input": []}  # the example of each row of the curves
        self._curves: dict[tuple[str, str, str], list[Tensor]] = {}  # (place, kind, method) -> (rows, shares)

    @torch.no_grad()
    def update(
        self,
        model: Seq2Seq,
        batch: Batch,
        memory: Memory,
        hypotheses: Sequence[Hypothesis],
        spans: Sequence[list[tuple[int, int]]],
        sample_rate: int = 16_000,
    ) -> None:
        """Adds a batch.

        Args:
            model: in evaluation mode.
            batch: of pictures, waveforms or texts as they are, not encoded.
            memory: of the batch.
            hypotheses: the best text of each example, with its attention.
            spans: token range of each of its words.
            sample_rate: of recordings, in Hz.
        """
        texts = [
            (source, hypothesis.tokens, first, stop)
            for source, (hypothesis, found) in enumerate(zip(hypotheses, spans, strict=True))
            for first, stop in _spread(found, self.max_words)
        ]
        if not texts:
            return
        device = memory.mask.device
        words = Words.of_texts(texts, device)
        maps = torch.stack(
            [hypotheses[source].weights[first:stop].float().mean((0, 1)) for source, _, first, stop in texts]
        ).to(device)
        scores = {"attention": maps} | self._explanations(model, memory, words)
        self._examples["memory"] += (words.sources + self._num_examples).tolist()
        self._follow("memory", scores, memory.mask[words.sources], self._memory_curve(model, memory, words))

        written = [index for index, found in enumerate(spans) if found]
        whole = [(index, hypotheses[index].tokens, 0, spans[index][-1][1]) for index in written]
        text_maps = torch.stack([hypotheses[i].weights.float().mean((0, 1)) for i in written]).to(device)
        sources = torch.tensor(written, device=device)
        self._examples["input"] += (sources + self._num_examples).tolist()
        if not batch.features:
            copies = None if batch.copies is None else batch.copies[sources]
            lengths = batch.source_lengths[sources]
            chosen_texts = [batch.source_texts[index] for index in written]
            chosen = replace(
                batch, source=batch.source[sources], source_lengths=lengths, copies=copies, source_texts=chosen_texts
            )
            num_words = torch.tensor([float(len(spans[index])) for index in written], device=device)
            read = Words.of_texts(whole, device)
            scores = {"attention": text_maps}
            by_rollout = input_rollout(model, chosen, memory.select(sources), read, text_maps)
            if by_rollout is not None:
                scores["rollout"] = by_rollout
            curve = self._input_curve(model, chosen, memory, read, num_words, sample_rate)
            self._follow("input", scores, memory.mask[sources], curve)
        self._num_examples += len(hypotheses)

    def _explanations(self, model: Seq2Seq, memory: Memory, words: Words) -> dict[str, Tensor]:
        """What attention is compared with, as far as this model allows it."""
        found: dict[str, list[Tensor]] = {"gradient_attention": [], "integrated_gradients": [], "rollout": []}
        for start in range(0, len(words), self.rows):
            part = words.select(slice(start, start + self.rows))
            source = memory.select(part.sources)
            by_weight = gradient_times_attention(model.decoder, source, part)
            if by_weight is not None:
                found["gradient_attention"].append(by_weight)
            found["integrated_gradients"].append(integrated_gradients(model.decoder, source, part))
            by_rollout = memory_rollout(model.decoder, source, part)
            if by_rollout is not None:
                found["rollout"].append(by_rollout)
        return {method: torch.cat(parts) for method, parts in found.items() if parts}

    def _follow(self, place: str, scores: dict[str, Tensor], mask: Tensor, curve: Curve) -> None:
        """Notes the curves of each order of cells and the mean of random ones."""
        for kind in KINDS:
            for method, values in scores.items():
                found = curve(cell_ranks(values, mask, self._random), kind)
                self._curves.setdefault((place, kind, method), []).append(found.cpu())
            draws = [
                curve(cell_ranks(torch.zeros_like(mask, dtype=torch.float32), mask, self._random), kind)
                for _ in range(self.num_draws)
            ]
            self._curves.setdefault((place, kind, RANDOM), []).append(torch.stack(draws).mean(0).cpu())

    def _memory_curve(self, model: Seq2Seq, memory: Memory, words: Words) -> Curve:
        def curve(ranks: Tensor, kind: str) -> Tensor:
            parts = []
            for start in range(0, len(words), self.rows):
                rows = slice(start, start + self.rows)
                part = words.select(rows)
                source = memory.select(part.sources)
                values = [
                    word_log_probs(model.decoder, replace(source, mask=kept), part)
                    for kept in kept_cells(ranks[rows], source.mask, kind)
                ]
                parts.append(torch.stack(values, dim=1))
            return torch.cat(parts)

        return curve

    def _input_curve(
        self, model: Seq2Seq, batch: Batch, memory: Memory, texts: Words, num_words: Tensor, sample_rate: int
    ) -> Curve:
        cells = cells_of(memory.layout)

        def curve(ranks: Tensor, kind: str) -> Tensor:
            mask = memory.mask[texts.sources]
            values = []
            for kept in kept_cells(ranks, mask, kind):
                removed = mask & ~kept
                source = cells.remove(batch.source, removed, memory.layout, sample_rate)
                copies = None if batch.copies is None else batch.copies.masked_fill(removed, UNK)
                encoded = model.encode(replace(batch, source=source, copies=copies))
                values.append(word_log_probs(model.decoder, encoded, texts) / num_words)
            return torch.stack(values, dim=1)

        return curve

    def curves(self) -> dict[str, dict[str, dict[str, list[float]]]]:
        """The mean log probability of a word at each of ``SHARES``, by place, kind and method."""
        found: dict[str, dict[str, dict[str, list[float]]]] = {}
        for (place, kind, method), parts in self._curves.items():
            means = torch.cat(parts).mean(0).tolist()
            found.setdefault(place, {}).setdefault(kind, {})[method] = means
        return found

    def left_out(self) -> list[str]:
        """A plain sentence if attention rollout could not be measured, or not everywhere."""
        places = {place for place, _, method in self._curves if method == "rollout"}
        if not self._curves or "memory" in places:
            return []
        if "input" in places:
            return ["rollout in the memory is left out: the decoder has no layers of self-attention to go through"]
        return ["rollout is left out: the model has no layers of self-attention to go through"]

    def compute(self) -> dict[str, float]:
        """The measures named above, as a flat dictionary; empty before the first word."""
        return figures_of(self.statistics(), self._num_examples)

    def intervals(self) -> dict[str, Interval]:
        """Of the measures, 95 %."""
        return intervals(self.statistics(), self._num_examples)

    def statistics(self) -> list[Statistic]:
        """What the measures are computed from."""
        found: list[Statistic] = []
        for place, kind, method in self._curves:
            if method == RANDOM:
                continue
            own = torch.cat(self._curves[place, kind, method])
            control = torch.cat(self._curves[place, kind, RANDOM])
            gap = (control - own if kind == "deletion" else own - control).double().numpy()
            area = np.trapezoid(gap, SHARES, axis=1) / (SHARES[-1] - SHARES[0])
            name = "_".join(
                ["faithfulness", *(["input"] if place == "input" else []), *([method] if method != "attention" else [])]
            )
            found.append(Mean(f"{name}_{kind}", area, np.array(self._examples[place])))
        return found + ([Number("faithfulness_num_words", np.array(self._examples["memory"]))] if found else [])


def verdicts(scores: Mapping[str, float], ends: Mapping[str, Interval]) -> list[str]:
    """A plain sentence for each measure of attention that does not beat random cells; empty if all do."""
    sentences = []
    for name, action in (
        ("faithfulness_deletion", "deleting the most attended cells of a word harms it no more than deleting"),
        ("faithfulness_insertion", "the most attended cells of a word bring it back no sooner than"),
        ("faithfulness_input_deletion", "hiding the source at the most attended cells harms no more than at"),
        ("faithfulness_input_insertion", "showing the source at the most attended cells alone helps no more than at"),
    ):
        if name in ends and ends[name].low <= 0:
            interval = f"{ends[name].low:.3f} to {ends[name].high:.3f}"
            sentences.append(
                f"{name}: attention does not beat chance: {action} random cells"
                f" ({scores[name]:.3f} nats a word, 95 % interval {interval}). Do not read these maps as reasons."
            )
    return sentences


def cell_ranks(scores: Tensor, mask: Tensor, random: torch.Generator) -> Tensor:
    """The place of each cell when real cells are ordered from the highest score down; padding comes last.

    Equal scores, but for rounding, are in random order: a uniform map must not be better than chance by counting from
    the top left.

    Shapes:
        scores: (R, S). mask: (R, S). Returns (R, S) int64.
    """
    largest = scores.abs().amax(1, keepdim=True).clamp(min=1e-30)
    levels = (scores / largest * 1e5).round().masked_fill(~mask, -torch.inf)
    shuffled = torch.rand(scores.shape, generator=random).to(scores.device).argsort(1)
    best_first = levels.gather(1, shuffled).argsort(dim=1, descending=True, stable=True)
    return shuffled.gather(1, best_first).argsort(1)


def kept_cells(ranks: Tensor, mask: Tensor, kind: str) -> list[Tensor]:
    """The real cells that are left (deletion) or there already (insertion) at each of ``SHARES``.

    Shapes:
        ranks, mask: (R, S). Returns (R, S) bool, one for each share.
    """
    counts = [(share * mask.sum(1, keepdim=True)).round() for share in SHARES]
    if kind == "deletion":
        return [mask & (ranks >= count) for count in counts]
    return [mask & (ranks < count) for count in counts]


def _spread(spans: list[tuple[int, int]], number: int) -> list[tuple[int, int]]:
    """At most ``number`` of them, evenly spread."""
    number = min(number, len(spans))
    return [spans[index * len(spans) // number] for index in range(number)]
