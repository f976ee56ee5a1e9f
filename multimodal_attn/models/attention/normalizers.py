"""From scores to weights: softmax, sparsemax, 1.5-entmax, and the smoothing of scores by sigmoids.

All of them give weights that sum to 1 over real positions and are exactly 0 on padding, and stay finite, all 0, on a
row without real positions. Sparsemax and 1.5-entmax also give exactly 0 to real positions whose score is far below the
best one.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from multimodal_attn.masking import masked_softmax

NormalizerName = Literal["softmax", "sparsemax", "entmax15", "sigmoid"]


class Normalizer(nn.Module):
    """Turns the scores of a mechanism into its weights.

    Args:
        name: "softmax"; "sparsemax" (Martins & Astudillo 2016); "entmax15" (Peters et al. 2019), which lies between
            both; "sigmoid", each score's sigmoid divided by their sum (Chorowski et al. 2015, section 2.3).
        temperature: divides the scores first; below 1 sharpens, above 1 flattens.
    """

    def __init__(self, name: NormalizerName = "softmax", temperature: float = 1.0) -> None:
        super().__init__()
        self.name, self.temperature = name, temperature

    @property
    def plain(self) -> bool:
        """Whether this is the softmax of the scores as they are."""
        return self.name == "softmax" and self.temperature == 1.0

    def forward(self, scores: Tensor, mask: Tensor) -> Tensor:
        """Weights over the last axis.

        Shapes:
            scores: (..., S). mask: broadcastable to it. Returns (..., S).
        """
        if self.temperature != 1.0:
            scores = scores / self.temperature
        if self.name == "softmax":
            return masked_softmax(scores, mask)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        if self.name == "sigmoid":
            # softmax(log sigmoid) is sigmoid / sum of sigmoids, and has no 0 / 0 when every score is very low.
            return masked_softmax(functional.logsigmoid(scores), mask)
        function = _Sparsemax if self.name == "sparsemax" else _Entmax15
        weights: Tensor = function.apply(_below_best(scores, mask))
        return weights.masked_fill(~mask, 0.0)


def _below_best(scores: Tensor, mask: Tensor) -> Tensor:
    """Scores less the best real one, and -3 on padding, which no threshold of this file reaches.

    A threshold lies at most 1 (sparsemax) or 2 (1.5-entmax) below the best score, or the best position alone would
    get more than all of the weight.
    """
    best = scores.detach().masked_fill(~mask, torch.finfo(scores.dtype).min).amax(-1, keepdim=True)
    return (scores - best).masked_fill(~mask, -3.0)


def _ranks(scores: Tensor) -> Tensor:
    return torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)


class _Sparsemax(torch.autograd.Function):
    """Euclidean projection onto the simplex (Martins & Astudillo 2016, algorithm 1; Jacobian: section 2.5)."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        ordered = scores.sort(dim=-1, descending=True).values
        excess = ordered.cumsum(-1) - 1
        size = (_ranks(scores) * ordered > excess).sum(-1, keepdim=True)
        threshold = excess.gather(-1, size - 1) / size
        weights = (scores - threshold).clamp(min=0)
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (weights,) = ctx.saved_tensors
        support = (weights > 0).to(grad.dtype)
        mean = (grad * support).sum(-1, keepdim=True) / support.sum(-1, keepdim=True)
        return support * (grad - mean)


class _Entmax15(torch.autograd.Function):
    """``max(scores / 2 - threshold, 0)^2`` (Peters et al. 2019, algorithm 2, which finds the threshold by sorting)."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        halves = scores / 2
        # Nothing below -1 is in the support: clamped, far outliers cost no digits of the sums of squares.
        ordered = halves.sort(dim=-1, descending=True).values.clamp(min=-1.5)
        ranks = _ranks(scores)
        mean, mean_square = ordered.cumsum(-1) / ranks, ordered.square().cumsum(-1) / ranks
        spread = ranks * (mean_square - mean.square())
        thresholds = mean - ((1 - spread) / ranks).clamp(min=0).sqrt()
        size = (thresholds <= ordered).sum(-1, keepdim=True)
        weights = (halves - thresholds.gather(-1, size - 1)).clamp(min=0).square()
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (weights,) = ctx.saved_tensors
        slopes = weights.sqrt()  # of the weights in the scores, with the threshold held
        mean = (grad * slopes).sum(-1, keepdim=True) / slopes.sum(-1, keepdim=True)
        return slopes * (grad - mean)
