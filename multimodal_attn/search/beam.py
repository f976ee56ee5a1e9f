"""Batched beam search over a memory that is never copied."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.search.limits import forbid, length_limits
from multimodal_attn.types import BOS, EOS, Hypothesis, Memory


class BeamSearch:
    """Keeps the ``width`` best unfinished texts of every source.

    A text that ends among a step's best ``width`` candidates is finished; a source is done when it has ``width``
    finished texts. Finished texts are compared by log probability / length ** ``length_penalty``. With width 1 this
    is greedy search.

    Args:
        width: K, hypotheses per source.
        length_penalty: 0 compares plain log probabilities, 1 their mean per token (<eos> counted).
        max_length: tokens after which a text is cut off.
        max_length_ratio: cut off earlier, after this many tokens per real memory position; None for no such limit.

    Raises:
        ValueError: if ``width`` is below 1.
    """

    def __init__(
        self, width: int = 5, length_penalty: float = 1.0, max_length: int = 200, max_length_ratio: float | None = None
    ) -> None:
        if width < 1:
            raise ValueError(f"search.width: {width}; expected at least 1")
        self.width, self.length_penalty = width, length_penalty
        self.max_length, self.max_length_ratio = max_length, max_length_ratio

    @torch.no_grad()
    def __call__(self, decoder: Decoder, memory: Memory) -> list[list[Hypothesis]]:
        """For every source its finished hypotheses, best first, at most ``width``.

        Arguments as in ``GreedySearch``.
        """
        batch, width, device = len(memory.mask), self.width, memory.mask.device
        limits = length_limits(memory, self.max_length, self.max_length_ratio).tolist()
        source = decoder.prepare(memory)
        state = decoder.start(source, rows=width)
        token = torch.full((batch, width), BOS, device=device)
        # All rows of a source are the same at first: only row 0 may be continued.
        totals = torch.full((batch, width), -torch.inf, device=device)
        totals[:, 0] = 0.0
        history: list[_Step] = []
        finished: list[list[_Finished]] = [[] for _ in range(batch)]
        done = [False] * batch
        for t in range(max(limits)):
            logits, state, attended = decoder.step(token, state, source)
            values, words, origins, step_log_probs = self._candidates(forbid(logits), totals)
            ends = words == EOS
            for b, rank in ends[:, :width].nonzero().tolist():
                if not done[b] and len(finished[b]) < width and math.isfinite(value := float(values[b, rank])):
                    ending = _Finished(self._normalise(value, t + 1), t, int(origins[b, rank]), cut=False)
                    finished[b].append(ending)
            # The best candidates that go on: at most ``width`` of 2 * width end, since each row has one <eos>.
            keep = ends.long().argsort(dim=1, stable=True)[:, :width]
            totals, token, index = values.gather(1, keep), words.gather(1, keep), origins.gather(1, keep)
            history.append(_Step(token, index, step_log_probs.gather(1, keep), attended.weights))
            for b, limit in enumerate(limits):
                if not done[b] and (len(finished[b]) >= width or t + 1 >= limit):
                    done[b] = True
                    if not finished[b]:  # nothing ended in time: the best unfinished texts, marked as cut off
                        finished[b] = [
                            _Finished(self._normalise(float(totals[b, k]), t + 1), t + 1, k, cut=True)
                            for k in range(width)
                            if math.isfinite(float(totals[b, k]))
                        ]
            if all(done):
                break
            state = state.select(index)
        return self._trace(history, finished)

    def _candidates(self, logits: Tensor, totals: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The 2 * width best continuations of every source, best first.

        The best words of each row are taken before normalising: no log-softmax over the whole vocabulary is needed.

        Shapes:
            logits: (B, K, V). totals: (B, K). Returns totals, words, rows of origin and their own log probability,
            (B, 2K) each.
        """
        per_row = min(2 * self.width, logits.shape[-1])
        best, words = logits.topk(per_row, dim=-1)
        log_probs = best - logits.logsumexp(-1, keepdim=True)
        values, flat = (totals[..., None] + log_probs).flatten(1).topk(2 * self.width, dim=1)
        return values, words.flatten(1).gather(1, flat), flat // per_row, log_probs.flatten(1).gather(1, flat)

    def _normalise(self, total: float, length: int) -> float:
        return total / length**self.length_penalty

    def _trace(self, history: list[_Step], finished: list[list[_Finished]]) -> list[list[Hypothesis]]:
        """Follows every finished text back to its start, and gathers the attention of exactly its words."""
        tokens = torch.stack([s.tokens for s in history]).cpu()  # (T, B, K)
        origins = torch.stack([s.origins for s in history]).cpu()
        log_probs = torch.stack([s.log_probs for s in history]).cpu()
        weights = torch.stack([s.weights for s in history]).cpu()  # (T, B, K, N, S)
        results = []
        for b, endings in enumerate(finished):
            hypotheses = []
            for ending in sorted(endings, key=lambda e: -e.score)[: self.width]:
                row, rows_after, rows_before = ending.row, [], []
                for t in range(ending.length - 1, -1, -1):
                    rows_after.append(row)
                    row = int(origins[t, b, row])
                    rows_before.append(row)  # the row that attended in step t is the one that the word came from
                after, before = rows_after[::-1], rows_before[::-1]
                steps = torch.arange(ending.length)
                hypotheses.append(
                    Hypothesis(
                        tokens[steps, b, after].tolist(),
                        ending.score,
                        log_probs[steps, b, after],
                        weights[steps, b, before],
                        ending.cut,
                    )
                )
            results.append(hypotheses)
        return results


class _Step(NamedTuple):
    """What a step leaves for tracing back: of the rows after it, but for ``weights``, which are of the rows before."""

    tokens: Tensor
    origins: Tensor
    log_probs: Tensor
    weights: Tensor


class _Finished(NamedTuple):
    """A text of ``length`` tokens that ended (or was cut) in ``row``, as rows were after its last token."""

    score: float
    length: int
    row: int
    cut: bool
