"""Sampling from the nucleus of each next token's distribution (Holtzman et al. 2020, section 3.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import BeamWidth, Positive, PositiveShare, Seed, TextLength
from multimodal_attn.search.base import Search
from multimodal_attn.search.independent_texts import hypotheses, write
from multimodal_attn.search.rules.base import Rule
from multimodal_attn.types import Hypothesis, Memory


class NucleusSampling(Search):
    """Samples texts, each token from the smallest set of best tokens that holds ``top_p`` of the probability.

    The score of a text is the mean log probability that the model itself gives to its tokens, <eos> included, whatever
    the temperature. The texts of a source depend on ``seed`` and on its key, and on no other source.

    Args:
        num_samples: K, texts of every source.
        temperature: divides the log probabilities: below 1 sharpens the distribution, above 1 flattens it.
        top_p: share of the probability that is sampled from; 1 for all of it.
        seed: of the random numbers.
        max_length, max_length_ratio, rules: as in ``Search``.
    """

    def __init__(
        self,
        num_samples: BeamWidth = 5,
        temperature: Positive = 1.0,
        top_p: PositiveShare = 0.9,
        seed: Seed = 0,
        max_length: TextLength = 200,
        max_length_ratio: Positive | None = None,
        rules: Sequence[Rule] = (),
    ) -> None:
        super().__init__(max_length, max_length_ratio, rules)
        self.num_samples, self.temperature, self.top_p, self.seed = num_samples, temperature, top_p, seed

    @torch.no_grad()
    def __call__(self, model: Seq2Seq, memory: Memory, keys: Sequence[str] | None = None) -> list[list[Hypothesis]]:
        """For every source its ``num_samples`` texts, those with the best score first; arguments as in ``Search``."""
        limits = self.limits(memory)
        uniforms = self._uniforms(keys or [str(b) for b in range(len(limits))], int(limits.max()))
        uniforms = uniforms.to(memory.mask.device)

        def choose(log_probs: Tensor, number: int) -> Tensor:
            return self._choose(log_probs, uniforms[..., number])

        written = write(model, memory, self.num_samples, choose, limits, self.rules)
        found = hypotheses(written, limits, model.decoder.gate_name)
        return [sorted(texts, key=lambda text: -text.score) for texts in found]

    def _uniforms(self, keys: Sequence[str], longest: int) -> Tensor:
        """A number in [0, 1) for every token that may be sampled, (B, K, T)."""
        numbers = []
        for key in keys:
            digest = hashlib.blake2b(f"{self.seed} {key}".encode(errors="surrogateescape"), digest_size=7).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest))
            # On the CPU and step by step (the first axis), so that neither the device nor a longer batch mate changes
            # what a source gets.
            numbers.append(torch.rand(longest, self.num_samples, generator=generator).t())
        return torch.stack(numbers)

    def _choose(self, log_probs: Tensor, uniforms: Tensor) -> Tensor:
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
        # Rounding may put a number past the last token of the nucleus.
        return tokens.gather(-1, index.minimum(inside.sum(-1, keepdim=True) - 1))[..., 0]
