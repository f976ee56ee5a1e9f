"""The books of a batched beam: what ended, what goes on, and the way back to every word and its attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from multimodal_attn.types import EOS, Hypothesis


class Continuations(NamedTuple):
    """Texts of every source that are one token longer than the rows that they come from.

    Attributes:
        totals: (B, C) weighted log probability of the text; minus infinity where there is none.
        tokens: (B, C) its new token.
        origins: (B, C) the row that it comes from.
        log_probs: (B, C) the decoder's own log probability of the new token.
        shares: name -> (B, C) what each scorer has in ``totals``; empty if the decoder has all of it.
        bonuses: name -> (B, C) what is added to the score as it is, whatever the length.
    """

    totals: Tensor
    tokens: Tensor
    origins: Tensor
    log_probs: Tensor
    shares: dict[str, Tensor]
    bonuses: dict[str, Tensor]

    def map(self, change: Callable[[Tensor], Tensor]) -> Continuations:
        """The same change of every tensor."""
        shares = {name: change(share) for name, share in self.shares.items()}
        bonuses = {name: change(bonus) for name, bonus in self.bonuses.items()}
        return Continuations._make([*map(change, self[:4]), shares, bonuses])

    def columns(self, index: Tensor) -> Continuations:
        """The chosen ones: (B, C') indices."""
        return self.map(lambda tensor: tensor.gather(1, index))

    def rows(self, rows: slice) -> Continuations:
        """Those of some rows, side by side: of (B, K, C) tensors, (B, any number)."""
        return self.map(lambda tensor: tensor[:, rows].flatten(1))

    @staticmethod
    def together(groups: Sequence[Continuations]) -> Continuations:
        """Those of several groups of rows, one group after the other."""
        columns = [torch.cat(tensors, dim=1) for tensors in zip(*(group[:4] for group in groups), strict=True)]
        shares = {name: torch.cat([group.shares[name] for group in groups], dim=1) for name in groups[0].shares}
        bonuses = {name: torch.cat([group.bonuses[name] for group in groups], dim=1) for name in groups[0].bonuses}
        return Continuations._make([*columns, shares, bonuses])


class Ledger:
    """Follows the rows of a beam through its steps.

    A text that ends among a step's best ``width`` candidates is finished. The score of a text of L tokens, <eos>
    counted, is

        total / L ** length_penalty + bonuses

    A source is done at its limit, or when its ``width`` best finished texts all score better than its best unfinished
    one does so far. To stop at the first ``width`` would prefer short texts: they end while the right one goes on.

    Rows may lie in several banks that do not compete with each other, those of the first bank first (see
    ``ForcedWords``). A text of a later bank is returned only where no earlier one has any.

    Args:
        limits: (B,) after how many tokens the texts of each source are cut off.
        width: rows of a bank; with one bank, K.
        length_penalty: exponent of the length.
        num_banks: K is so many times ``width``.
    """

    def __init__(self, limits: Tensor, width: int, length_penalty: float, num_banks: int = 1) -> None:
        self.limits: list[int] = limits.tolist()
        self.width, self.length_penalty, self.num_banks = width, length_penalty, num_banks
        self.longest = max(self.limits)
        self.done = [False] * len(self.limits)
        self._steps: list[_Step] = []
        self._gates: list[Tensor] = []
        self._endings: list[list[_Ending]] = [[] for _ in self.limits]

    def add(self, candidates: Continuations, weights: Tensor, gate: Tensor | None = None) -> Continuations:
        """Writes down a step: notes the texts that end in it, and gives the ``width`` best of each bank that go on.

        Shapes:
            candidates: (B, 2K), of each bank the 2 * width best, best first, no two of a source alike in row and token.
            weights: (B, K, N, S) the step's attention. gate: (B, K) the decoder's gate in this step, if it has one.
        """
        length = len(self._steps) + 1
        ends = (candidates.tokens == EOS).unflatten(1, (self.num_banks, 2 * self.width))
        for b, bank, rank in ends[..., : self.width].nonzero().tolist():
            column = 2 * self.width * bank + rank
            if not self.done[b] and math.isfinite(candidates.totals[b, column]):
                parts, origin = self._parts(candidates, b, column, length), int(candidates.origins[b, column])
                self._endings[b].append(_Ending(parts, length - 1, origin, bank, cut=False))
        # At most ``width`` of the 2 * width end, since each row has one <eos>; of several banks, one may have more.
        going_on = ends.long().argsort(dim=2, stable=True)[..., : self.width]
        first = 2 * self.width * torch.arange(self.num_banks, device=ends.device)
        kept = candidates.columns((going_on + first[:, None]).flatten(1))
        if self.num_banks > 1:
            kept = kept._replace(totals=kept.totals.masked_fill(kept.tokens == EOS, -torch.inf))
        self._steps.append(_Step(kept.tokens, kept.origins, kept.log_probs, weights))
        if gate is not None:
            self._gates.append(gate)
        for b, limit in enumerate(self.limits):
            if not self.done[b] and (length >= limit or self._settled(kept, b, length)):
                self.done[b] = True
                if not self._complete(b):  # nothing ended in time: the best unfinished texts, marked as cut off
                    self._endings[b] += [
                        _Ending(self._parts(kept, b, k, length), length, k, k // self.width, cut=True)
                        for k in range(self.num_banks * self.width)
                        if math.isfinite(kept.totals[b, k])
                    ]
        return kept

    def _complete(self, b: int) -> list[_Ending]:
        """The finished texts of a source that lie in the first bank."""
        return [ending for ending in self._endings[b] if ending.bank == 0]

    def _settled(self, kept: Continuations, b: int, length: int) -> bool:
        """Whether a source's finished texts are better than what goes on."""
        endings = self._complete(b)
        if len(endings) < self.width:
            return False
        if not math.isfinite(kept.totals[b, 0]):
            return True
        worst = sorted((ending.score for ending in endings), reverse=True)[self.width - 1]
        return worst >= sum(self._parts(kept, b, 0, length).values())

    def _parts(self, texts: Continuations, b: int, column: int, length: int) -> dict[str, float]:
        """The score of a text, by who gave what of it."""
        shares = texts.shares or {"decoder": texts.totals}
        parts = {name: float(share[b, column]) / length**self.length_penalty for name, share in shares.items()}
        return parts | {name: float(bonus[b, column]) for name, bonus in texts.bonuses.items()}

    def hypotheses(self, gate_name: str = "") -> list[list[Hypothesis]]:
        """The finished texts of every source, best first, each with the attention of exactly its words.

        Args:
            gate_name: what the decoder calls its gate.
        """
        tokens, origins, log_probs, weights = (
            torch.stack(pieces).cpu()
            for pieces in zip(*self._steps, strict=True)  # (T, B, K, ...)
        )
        gates = torch.stack(self._gates).cpu() if self._gates else None
        rows_before_of = origins.tolist()  # lists are read faster, one number at a time, than tensors
        results = []
        for b, endings in enumerate(self._endings):
            found = []
            bank = min((ending.bank for ending in endings), default=0)
            endings = [ending for ending in endings if ending.bank == bank]
            for ending in sorted(endings, key=lambda e: -e.score)[: self.width]:
                row, rows_after, rows_before = ending.row, [], []
                for t in range(ending.length - 1, -1, -1):
                    rows_after.append(row)
                    row = rows_before_of[t][b][row]
                    rows_before.append(row)  # the row that attended in step t is the one that the word came from
                after, before = rows_after[::-1], rows_before[::-1]
                steps = torch.arange(ending.length)
                found.append(
                    Hypothesis(
                        tokens[steps, b, after].tolist(),
                        ending.score,
                        log_probs[steps, b, after],
                        weights[steps, b, before],
                        ending.cut,
                        ending.parts,
                        None if gates is None else gates[steps, b, before].tolist(),
                        gate_name,
                    )
                )
            results.append(found)
        return results


class _Step(NamedTuple):
    """What a step leaves for tracing back: of the rows after it, but for ``weights``, which are of the rows before."""

    tokens: Tensor
    origins: Tensor
    log_probs: Tensor
    weights: Tensor


class _Ending(NamedTuple):
    """A text of ``length`` tokens that ended (or was cut) in ``row``, as rows were after its last token."""

    parts: dict[str, float]
    length: int
    row: int
    bank: int
    cut: bool

    @property
    def score(self) -> float:
        return sum(self.parts.values())
