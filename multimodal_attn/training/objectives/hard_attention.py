"""REINFORCE for attention that draws its positions (Williams 1992; Xu et al. 2015, section 4.1)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import DropoutRate, Finite, NotNegative
from multimodal_attn.training.objectives.base import Objective
from multimodal_attn.types import Batch, DecoderOutput, Memory


class HardAttention(Objective):
    """Makes the positions likelier after which the text was likelier than usual (equations 10 to 12).

    The gradient is that of ``-(log p(text | positions) - baseline) log p(positions) - entropy_weight H(positions)``,
    the first factor held constant, summed over texts and divided by the number of their tokens: as cross-entropy is a
    mean over tokens, ``weight=1`` together with it is an unbiased estimate of the gradient of its expectation. The
    value is the entropy's part alone; what REINFORCE adds to the gradient has no value worth looking at.

    The baseline is a moving average of the log probability of the texts, here for each token, and times the tokens that
    the reward counts: texts of a batch differ in length, where the paper's do not.

    Args:
        weight: of this objective in the sum; lambda_r of the paper.
        entropy_weight: of the entropy of the probabilities, which keeps them from being decided too soon; lambda_e is
            ``weight * entropy_weight``.
        baseline_decay: of the moving average; 0.9 in the paper (equation 11).
        reward: "text", the log probability of the whole text as in the paper, or "rest", that of the tokens which the
            position can influence: its own and those after it. Both are unbiased; "rest" varies less.

    Raises:
        ValueError: when it is called in training, if the attention does not say what it drew.
    """

    baseline: Tensor

    def __init__(
        self,
        weight: NotNegative = 1.0,
        entropy_weight: Finite = 0.01,
        baseline_decay: DropoutRate = 0.9,
        reward: Literal["text", "rest"] = "rest",
    ) -> None:
        super().__init__(weight)
        self.entropy_weight, self.baseline_decay, self.reward = entropy_weight, baseline_decay, reward
        self.register_buffer("baseline", torch.tensor(torch.nan))  # until the first batch has been seen

    def forward(self, model: Seq2Seq, batch: Batch, memory: Memory, output: DecoderOutput) -> Tensor:
        weights, number = output.weights.float(), output.mask.sum().clamp(min=1)
        # Clamped: the slope of x log x is infinite at 0.
        entropy = -(weights * weights.clamp(min=1e-8).log()).sum() / number
        value = -self.entropy_weight * entropy
        if not self.training:
            return value
        if output.choices is None:
            raise ValueError("objective: hard_attention needs attention=hard with attention.estimator=reinforce")
        drawn = output.mask[..., None] & (output.choices >= 0)  # (B, K, T, N)
        chosen = weights.gather(-1, output.choices.clamp(min=0)[..., None])[..., 0]
        # Clamped: rounding may leave 0 for what was drawn all the same.
        log_chosen = torch.where(drawn, chosen, 1.0).clamp(min=1e-8).log()
        estimate = -(self._advantage(output)[..., None] * log_chosen).sum() / number
        return value + (estimate - estimate.detach())

    @torch.no_grad()
    def _advantage(self, output: DecoderOutput) -> Tensor:
        """Reward less baseline of every step, (B, K, T); takes the batch into the baseline afterwards."""
        own = output.logits.float().log_softmax(-1).gather(-1, output.labels[:, None])[:, 0]
        log_probs = own.new_zeros(output.mask.shape).masked_scatter(output.mask, own)
        mean = own.mean() if len(own) else self.baseline
        baseline = torch.where(self.baseline.isnan(), mean, self.baseline)
        gain = (log_probs - baseline) * output.mask
        moved = self.baseline_decay * baseline + (1 - self.baseline_decay) * mean
        self.baseline.copy_(torch.where(moved.isfinite(), moved, self.baseline))
        if self.reward == "text":
            return gain.sum(-1, keepdim=True).expand_as(gain)
        return gain.flip(-1).cumsum(-1).flip(-1)
