"""A decoder whose vocabulary and source compete in one softmax, without a gate (Gu et al. 2016)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from multimodal_attn.models.decoders.pointer_generator import PointerGenerator


class CopyNet(PointerGenerator):
    """A pointer-generator in which the words of the vocabulary and the positions of the source share one softmax.

    The probability of a word is the sum of its shares (Gu et al. 2016, equations 4 to 6), those of the vocabulary's
    logits and of a score for each position where it stands. The paper scores positions by weights of their own. Here
    the score of position s is

        w . [context, hidden, input] + b + log V + log(weight on s)

    so that words are copied by the map that is shown: attention decides between positions, their sum stands against the
    vocabulary. With log V an untrained model copies every other word, whatever the size V of its vocabulary. What is
    reported as the probability of copying is the share of all positions.
    """

    def _copying(self, logits: Tensor, hidden: Tensor, context: Tensor, embedded: Tensor) -> Tensor:
        score = self.switch(torch.cat([context, hidden, embedded], dim=-1)).float() + math.log(logits.shape[-1])
        return torch.sigmoid(score - logits.float().logsumexp(-1, keepdim=True))
