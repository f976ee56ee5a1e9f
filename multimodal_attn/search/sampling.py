"""Sampling from the nucleus of each next token's distribution (Holtzman et al. 2020, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.search.constraints import Constraints
from multimodal_attn.search.limits import LengthLimits, require_above, require_at_least
from multimodal_attn.search.rollout import roll_out
from multimodal_attn.types import Hypothesis, Memory


class NucleusSampling:
    """Draws texts, each token from the smallest set of best tokens that holds ``top_p`` of the probability.

    The score of a text is the mean log probability that the model itself gives to its tokens, <eos> included, whatever
    the temperature. The draws of a source depend on ``seed`` and on how many sources this search has met before, and
    so not on the size of the batches.

    Args:
        num_samples: K, texts of every source.
        temperature: divides the log probabilities: below 1 sharpens the distribution, above 1 flattens it.
        top_p: share of the probability that is drawn from; 1 for all of it.
        seed: of the draws.
        max_length: tokens after which a text is cut off.
        max_length_ratio: cut off earlier, after this many tokens per real memory position; None for no such limit.
        min_length: see ``Constraints``, as for the three below.
        no_repeat_ngram: n of the n-grams that may not come twice.
        forbidden: sequences of tokens; words, in a yaml.
        eos_threshold: how well <eos> must do against the best other token.

    Attributes:
        sources_met: so far; whoever decodes a part of a data set sets it to the place where that part begins.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        num_samples: int = 5,
        temperature: float = 1.0,
        top_p: float = 0.9,
        seed: int = 0,
        max_length: int = 200,
        max_length_ratio: float | None = None,
        min_length: int = 0,
        no_repeat_ngram: int = 0,
        forbidden: Sequence[Sequence[int]] = (),
        eos_threshold: float | None = None,
    ) -> None:
        require_at_least("num_samples", num_samples, 1)
        require_above("temperature", temperature, 0)
        require_above("top_p", top_p, 0)
        if top_p > 1:
            raise ValueError(f"search.top_p: {top_p}; expected at most 1")
        self.num_samples, self.temperature, self.top_p, self.seed = num_samples, temperature, top_p, seed
        self.limits = LengthLimits(max_length, max_length_ratio)
        self.constraints = Constraints(min_length, no_repeat_ngram, forbidden, eos_threshold)
        self.sources_met = 0

    @torch.no_grad()
    def __call__(self, decoder: Decoder, memory: Memory) -> list[list[Hypothesis]]:
        """For every source its ``num_samples`` texts, those with the best score first.

        Arguments as in ``GreedySearch``.
        """
        uniforms = self._uniforms(memory)
        drawn = roll_out(
            decoder,
            memory,
            self.num_samples,
            lambda log_probs, step: self._draw(log_probs, uniforms[..., step]),
            self.limits,
            self.constraints,
        )
        return [sorted(texts, key=lambda text: -text.score) for texts in drawn]

    def _uniforms(self, memory: Memory) -> Tensor:
        """A number in [0, 1) for every token that may be drawn, (B, K, T)."""
        longest = int(self.limits.of(memory).max())
        numbers = []
        for _ in range(len(memory.mask)):
            # Drawn on the CPU and step by step (the first axis), so that neither the device nor a longer batch mate
            # changes what a source gets. A large odd factor keeps the seeds of two searches apart.
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.sources_met)
            numbers.append(torch.rand(longest, self.num_samples, generator=generator).t())
            self.sources_met += 1
        return torch.stack(numbers).to(memory.mask.device)

    def _draw(self, log_probs: Tensor, uniforms: Tensor) -> Tensor:
        """Tokens by the inverse of the nucleus' cumulative distribution.

        Shapes:
            log_probs: (B, K, V). uniforms: (B, K). Returns (B, K).
        """
        probabilities, tokens = (log_probs / self.temperature).softmax(-1).sort(dim=-1, descending=True, stable=True)
        # A token is inside if those before it do not hold top_p already, so the best one always is.
        before = probabilities.cumsum(-1) - probabilities
        inside = (before < self.top_p) & (probabilities > 0)
        nucleus = (probabilities * inside).cumsum(-1)
        index = (nucleus <= uniforms[..., None] * nucleus[..., -1:]).sum(-1, keepdim=True)
        # Rounding may put a number behind the last token of the nucleus.
        return tokens.gather(-1, index.minimum(inside.sum(-1, keepdim=True) - 1))[..., 0]
