"""Maps taught by a scorer of words and patches that is learned from captions alone: no boxes.

The scorer is multiple-instance learning with hard assignments: a photo whose caption holds a word has the word in some
of its patches, and those that score best are taken for it. Zhou et al. 2020 ("More Grounded Image Captioning through
Distilling Image-Text Matching Model") teach maps by a matcher of captions and regions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from multimodal_attn.data.loading.datamodule import DataModule
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import Count, NotNegative, Positive, PositiveShare, WholeNumber
from multimodal_attn.training.objectives.base import Objective
from multimodal_attn.types import Batch, DecoderOutput, Grid, Memory


class WordPatches(Objective):
    """Asks the map of a word to lie where a linear scorer of patches finds the word.

    Mean over the tokens that the scorer knows of ``sum_s q_s log(q_s / a_s)``, where *a* is the map, averaged over
    heads, and *q* the softmax of the scores within the photo and of a bell over its middle, where photographers put
    what they mean. Wants a frozen encoder with a feature cache.

    The scorer is fitted once, before training: ridge regression from patches to words, first with every patch of a
    photo for each of its words, then, in rounds, with the best ``share`` of them. It knows the words that it tells
    photos by.

    Args:
        weight: of this objective in the sum.
        epochs: in so many first epochs; None for all.
        stream: which of the encoder's streams the scorer sees, counted from 0.
        photos: that it is fitted to, at most.
        min_count: of photos among these that a word needs.
        share: of a photo's patches that are taken for a word.
        rounds: of the fitting.
        separation: between the best scores of photos with and without a word that it needs, in standard deviations.
        sharpness: of *q*: scores within a photo have this standard deviation.
        center: weight of the bell, beside scores of standard deviation 1; 0 for none.

    Raises:
        ValueError: if there are no cached features of such a stream, or no word is known.
    """

    def __init__(
        self,
        weight: NotNegative = 0.3,
        epochs: Count | None = None,
        stream: WholeNumber = 0,
        photos: Count = 6000,
        min_count: Count = 8,
        share: PositiveShare = 0.04,
        rounds: Count = 12,
        separation: NotNegative = 0.3,
        sharpness: Positive = 3.0,
        center: NotNegative = 1.0,
    ) -> None:
        super().__init__(weight, epochs)
        self.stream, self.photos, self.min_count = stream, photos, min_count
        self.share, self.rounds, self.separation = share, rounds, separation
        self.sharpness, self.center = sharpness, center

    @torch.no_grad()
    def prepare(self, data: DataModule) -> None:
        """Fits the scorer."""
        features, words = self._examples(data)
        self.mean = features.float().mean((0, 1))
        self.deviation = torch.stack([photo.float().var(0) for photo in features]).mean(0).clamp(min=1e-6).sqrt()
        counts = words.sum(0)
        known = ((counts >= self.min_count) & (counts < len(words) / 2)).nonzero()[:, 0]
        if not len(known):
            raise ValueError(f"objective.word_patches.min_count: {self.min_count}; no word stands in as many photos")
        scorer = fit_scorer(features, self.mean, self.deviation, words[:, known], self.share, self.rounds)
        told = separations(features, self.mean, self.deviation, words[:, known], scorer) >= self.separation
        if not told.any():
            raise ValueError(f"objective.word_patches.separation: {self.separation:g}; no word is told apart so well")
        # A column for each token of the vocabulary; of unknown ones 0.
        self.column = torch.zeros(words.shape[1], dtype=torch.long)
        self.column[known[told]] = torch.arange(1, int(told.sum()) + 1)
        self.scorer = torch.cat([torch.zeros(len(scorer), 1), scorer[:, told]], dim=1)

    def _examples(self, data: DataModule) -> tuple[Tensor, Tensor]:
        """Features (photos, patches, width) in float16, and which token stands in a caption (photos, V) as 0 or 1."""
        features: list[Tensor] = []
        words: list[Tensor] = []
        number = len(data.source("train"))
        for batch in data.loader("train"):
            if len(batch.features) <= self.stream:
                raise ValueError(
                    f"objective.word_patches.stream: {self.stream}; the cache holds {len(batch.features)} streams;"
                    " expected a frozen encoder and data.cache_dir"
                )
            held = torch.zeros(len(batch), len(data.tokenizer))
            held.scatter_(1, batch.tokens.flatten(1), 1.0)
            every = max(1, number // self.photos)
            features += list(batch.features[self.stream][0][::every].half())
            words += list(held[::every])
            if len(features) >= self.photos:
                break
        return torch.stack(features[: self.photos]), torch.stack(words[: self.photos])

    def forward(self, model: Seq2Seq, batch: Batch, memory: Memory, output: DecoderOutput) -> Tensor:
        if not isinstance(memory.layout, Grid) or not batch.features:
            raise ValueError("objective: word_patches needs pictures and a frozen encoder with data.cache_dir")
        maps = output.weights.float().mean(3)  # (B, K, T, S)
        columns = self.column.to(maps.device)[batch.tokens[..., 1:]] * output.mask
        places = columns.nonzero(as_tuple=True)
        if not len(places[0]):
            return maps.sum() * 0.0
        taught = self.maps(batch.features[self.stream][0], memory.layout, places[0], columns[places])
        divergence = torch.xlogy(taught, taught) - taught * maps[places].clamp(min=1e-6).log()
        return divergence.sum() / len(taught)

    @torch.no_grad()
    def maps(self, features: Tensor, grid: Grid, sources: Tensor, columns: Tensor) -> Tensor:
        """Where the scorer finds words.

        Shapes:
            features: (B, patches, width). sources: (W,) whose photo each word is of. columns: (W,) of the scorer.
            Returns (W, S), rows that sum to 1.
        """
        patches = (features.float() - self.mean.to(features.device)) / self.deviation.to(features.device)
        scores = (patches @ self.scorer.to(features.device)).transpose(1, 2)[sources, columns].float()
        side = math.isqrt(scores.shape[1])
        on_grid = functional.interpolate(
            scores.view(-1, 1, side, side), (grid.rows, grid.columns), mode="bilinear", antialias=True
        ).flatten(1)
        centered = on_grid - on_grid.mean(1, keepdim=True)
        spread = centered.square().mean(1, keepdim=True).sqrt().clamp(min=1e-6)
        return (self.sharpness * (centered / spread + self.center * bell(grid).to(spread.device))).softmax(1)


def bell(grid: Grid) -> Tensor:
    """Logarithm of a normal distribution over the middle of a photo, 0 at its top.

    Its standard deviation is 2/7 of either side.

    Shapes:
        Returns (S,).
    """
    rows, columns = ((torch.arange(count) + 0.5) / count - 0.5 for count in (grid.rows, grid.columns))
    return -(rows[:, None].square() + columns.square()).flatten() / (2 * (2 / 7) ** 2)


def fit_scorer(
    features: Tensor, mean: Tensor, deviation: Tensor, words: Tensor, share: float, rounds: int, ridge: float = 0.1
) -> Tensor:
    """Ridge regression from patches to words; which patches are a word's is chosen anew in each round.

    Shapes:
        features: (photos, patches, width). mean, deviation: (width,). words: (photos, W) of 0 and 1. Returns
            (width, W).
    """
    number, width = features.shape[1:]
    best = max(1, round(share * number))
    held = [row.nonzero()[:, 0] for row in words]
    covariance, scorer = torch.zeros(width, width), torch.zeros(width, words.shape[1])
    for round_number in range(rounds + 1):
        found = torch.zeros_like(scorer)
        for photo, own in zip(features, held, strict=True):
            patches = (photo.float() - mean) / deviation
            if round_number == 0:
                covariance += patches.T @ patches
                found[:, own] += patches.sum(0)[:, None]
            else:
                chosen = (patches @ scorer[:, own]).topk(best, dim=0).indices
                found[:, own] += patches[chosen].sum(0).T
        if round_number == 0:
            total = len(features) * number
            root = torch.linalg.cholesky(covariance / total + ridge * torch.eye(width))
        # Patches have mean 0, so that no part of what is found is due to how often a word is said.
        scorer = torch.cholesky_solve(found / total, root)
    return scorer


def separations(features: Tensor, mean: Tensor, deviation: Tensor, words: Tensor, scorer: Tensor) -> Tensor:
    """How far the best patches of photos with a word score above those without, in standard deviations of the latter.

    Shapes:
        As in ``fit_scorer``. Returns (W,).
    """
    tops = torch.cat([(((chunk.float() - mean) / deviation) @ scorer).amax(1) for chunk in features.split(32)])
    without = 1 - words
    number = without.sum(0).clamp(min=2)
    low = (tops * without).sum(0) / number
    spread = ((tops - low).square() * without).sum(0) / number
    high = (tops * words).sum(0) / words.sum(0).clamp(min=1)
    return (high - low) / spread.clamp(min=1e-12).sqrt()
