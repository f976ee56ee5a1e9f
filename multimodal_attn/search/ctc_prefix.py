"""The CTC probability of all texts that begin with a prefix (Watanabe et al. 2017, algorithm 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from multimodal_attn.masking import select_rows
from multimodal_attn.types import BOS, EOS, PAD

IMPOSSIBLE = -1e4
"""Log probability of a text that does not fit into its memory: finite, so that a beam without a better one goes on."""


class CTCPrefix:
    """Scores the rows of a beam by the encoder alone.

    For each row, ``nonblank[t]`` and ``blank[t]`` are the log probabilities of all paths over the first t positions
    that write the row's text and end in its last token or in the blank. With p the output of the CTC head, a text
    g that goes on with c has, over all positions,

        phi[t]          = blank[t - 1] + (nonblank[t - 1], unless c is the last token of g)
        psi(g c)        = sum over t of phi[t] p[t](c)                                    what a candidate is scored by
        nonblank'[t]    = (nonblank'[t - 1] + phi[t]) p[t](c)
        blank'[t]       = (blank'[t - 1] + nonblank'[t - 1]) p[t](blank)
        psi(g <eos>)    = nonblank[S] + blank[S]

    Candidates need only psi, one sum over positions. The two recurrences are linear, hence running sums of what enters
    them, each divided by the product of p up to there: they are done for the rows that go on, without a loop over
    positions.

    Args:
        logits: (B, S, V) of the CTC head; the padding token's class is the blank.
        mask: (B, S) of the memory.
        rows: K, rows of each source.
    """

    def __init__(self, logits: Tensor, mask: Tensor, rows: int) -> None:
        # In double precision, because the running sums subtract numbers of the size of a whole text's probability.
        self.log_probs = logits.double().log_softmax(-1).transpose(1, 2)  # (B, V, S)
        self.mask = mask
        self.last_position = mask.sum(1)[:, None, None].expand(-1, rows, 1)
        start = self.log_probs.new_zeros(len(mask), rows, 1)
        blank_sums = self.log_probs[:, None, PAD].cumsum(-1).expand(-1, rows, -1)
        self.blank = torch.cat([start, blank_sums], dim=-1)  # (B, K, S + 1): after 0 to S positions
        self.nonblank = torch.full_like(self.blank, -torch.inf)
        self.last = torch.full((len(mask), rows), BOS, device=mask.device)
        self.total = start[..., 0]  # (B, K) psi of the rows

    def score(self, tokens: Tensor) -> Tensor:
        """How much each candidate changes the log probability of its row.

        Shapes:
            tokens: (B, K, C). Returns (B, K, C).
        """
        return (self._prefix_scores(tokens) - self.total[..., None]).float()

    def _prefix_scores(self, tokens: Tensor) -> Tensor:
        own = select_rows(self.log_probs, tokens.flatten(1)).unflatten(1, tokens.shape[1:])  # (B, K, C, S)
        arriving = self._arriving(tokens) + own
        scores = arriving.masked_fill(~self.mask[:, None, None], -torch.inf).logsumexp(-1)
        whole = torch.logaddexp(self.nonblank, self.blank).gather(-1, self.last_position)  # (B, K, 1)
        return torch.where(tokens == EOS, whole, scores).clamp(min=IMPOSSIBLE)

    def _arriving(self, tokens: Tensor) -> Tensor:
        """phi of each candidate, (B, K, C, S)."""
        both, blank = torch.logaddexp(self.nonblank, self.blank)[..., None, :-1], self.blank[..., None, :-1]
        return torch.where((tokens == self.last[..., None])[..., None], blank, both)

    def advance(self, origins: Tensor, tokens: Tensor) -> None:
        """Lets row k go on as what row ``origins[b, k]`` was, with the token ``tokens[b, k]``.

        Shapes:
            origins: (B, K). tokens: (B, K).
        """
        self.blank, self.nonblank = select_rows(self.blank, origins), select_rows(self.nonblank, origins)
        self.last = select_rows(self.last, origins)
        self.total = self._prefix_scores(tokens[..., None])[..., 0]
        arriving = self._arriving(tokens[..., None])[..., 0, :]
        self.nonblank = _running(arriving, select_rows(self.log_probs, tokens))
        self.blank = _running(self.nonblank[..., :-1], self.log_probs[:, None, PAD])
        self.last = tokens


def _running(arriving: Tensor, log_probs: Tensor) -> Tensor:
    """``r[t] = (r[t - 1] + arriving[t]) p[t]`` with ``r[0] = 0``, in logarithms.

    Shapes:
        arriving, log_probs: (..., S), of positions 1 to S. Returns (..., S + 1), of positions 0 to S.
    """
    products = log_probs.cumsum(-1)
    values = products + (arriving - (products - log_probs)).logcumsumexp(-1)
    return torch.cat([torch.full_like(values[..., :1], -torch.inf), values], dim=-1)
