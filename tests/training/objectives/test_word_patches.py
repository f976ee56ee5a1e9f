from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from multimodal_attn.training.objectives.word_patches import WordPatches, fit_scorer, separations
from multimodal_attn.types import Batch, DecoderOutput, Grid, Memory

WORDS, PATCHES, WIDTH = 4, 16, 12


def photos(number: int = 60) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Patches of noise; each word that a photo holds adds its own direction to one of them, and a weak one to all."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator))[0]
    features = 0.3 * torch.randn(number, PATCHES, WIDTH, generator=generator)
    words = (torch.rand(number, WORDS, generator=generator) < 0.4).float()
    places = torch.randint(PATCHES, (number, WORDS), generator=generator)
    for photo in range(number):
        for word in range(WORDS):
            if words[photo, word]:
                features[photo, places[photo, word]] += 2 * directions[word]
    return features, words, places


def test_the_scorer_finds_the_patch_that_makes_the_word() -> None:
    features, words, places = photos()
    mean, deviation = features.mean((0, 1)), features.std((0, 1))
    scorer = fit_scorer(features, mean, deviation, words, share=0.07, rounds=4)
    found = (((features - mean) / deviation) @ scorer).argmax(1)
    held = words.bool()
    assert (found[held] == places[held]).float().mean() > 0.95
    assert (separations(features, mean, deviation, words, scorer) > 2).all()
    nonsense = torch.randn(60, 1, generator=torch.Generator().manual_seed(1)) > 0
    by_chance = fit_scorer(features, mean, deviation, nonsense.float(), share=0.07, rounds=4)
    assert separations(features, mean, deviation, nonsense.float(), by_chance) < 1


class Data(SimpleNamespace):
    """What the objective asks of a data module: photos whose captions are their words, as tokens 4 and up."""

    def __init__(self, **settings: Any) -> None:
        features, words, self.places = photos()
        self.features, self.words = features, words
        super().__init__(tokenizer=range(4 + WORDS), **settings)

    def source(self, split: str) -> range:
        return range(len(self.features))

    def batch(self, first: int, stop: int, cached: bool = True) -> Batch:
        texts = [[1, *(4 + word for word in range(WORDS) if held[word]), 2] for held in self.words[first:stop].tolist()]
        tokens = torch.zeros(len(texts), 1, WORDS + 2, dtype=torch.long)
        for row, text in enumerate(texts):
            tokens[row, 0, : len(text)] = torch.tensor(text)
        lengths = torch.full((len(texts),), PATCHES)
        features = ((self.features[first:stop].half(), lengths),) if cached else ()
        return Batch(["x"] * len(texts), torch.zeros(0), lengths * 0, tokens, tokens > 0, [()] * len(texts), features)

    def loader(self, split: str) -> list[Batch]:
        return [self.batch(first, first + 20) for first in range(0, 60, 20)]


def loss(objective: WordPatches, batch: Batch, maps: torch.Tensor, grid: int = 4) -> float:
    """Of maps (B, 1, T - 1, S)."""
    mask = batch.token_mask[..., 1:]
    memory = Memory(torch.zeros(len(batch), grid**2, 1), torch.ones(len(batch), grid**2).bool(), Grid(grid, grid))
    output = DecoderOutput(torch.zeros(0), torch.zeros(0), maps[:, :, :, None] * mask[..., None, None], mask)
    model: Any = None
    return float(objective(model, batch, memory, output))


def test_maps_are_asked_to_lie_where_words_are() -> None:
    data: Any = Data()
    objective = WordPatches(photos=60, min_count=5, share=0.07, sharpness=4.0)
    objective.prepare(data)
    batch = data.batch(0, 10)
    right = torch.full((10, 1, WORDS + 1, PATCHES), 0.1 / PATCHES)
    for row in range(10):
        for step, token in enumerate(batch.tokens[row, 0, 1:].tolist()):
            if token >= 4:
                right[row, 0, step, data.places[row, token - 4]] += 0.9
    uniform = torch.full_like(right, 1 / PATCHES)
    assert loss(objective, batch, right) < 0.6 * loss(objective, batch, uniform)
    assert loss(objective, batch, right.roll(1, dims=-1)) > loss(objective, batch, uniform)
    finer = torch.full((10, 1, WORDS + 1, 64), 1 / 64)
    assert loss(objective, batch, finer, grid=8) > 0


def test_what_it_cannot_do_is_named() -> None:
    data: Any = Data()
    with pytest.raises(ValueError, match=r"objective.word_patches.min_count: 1000"):
        WordPatches(min_count=1000).prepare(data)
    with pytest.raises(ValueError, match=r"objective.word_patches.separation: 1000"):
        WordPatches(min_count=5, separation=1000.0).prepare(data)
    with pytest.raises(ValueError, match=r"objective.word_patches.stream: 1; the cache holds 1 streams"):
        WordPatches(stream=1).prepare(data)
    objective = WordPatches(photos=60, min_count=5)
    objective.prepare(data)
    with pytest.raises(ValueError, match="word_patches needs pictures and a frozen encoder"):
        loss(objective, data.batch(0, 2, cached=False), torch.full((2, 1, WORDS + 1, PATCHES), 1 / PATCHES))


def test_where_scores_say_nothing_the_map_is_a_bell_over_the_middle() -> None:
    data: Any = Data()
    for center in (0.0, 1.0):
        objective = WordPatches(photos=60, min_count=5, center=center)
        objective.prepare(data)
        objective.scorer.zero_()
        (taught,) = objective.maps(data.batch(0, 1).features[0][0], Grid(3, 5), torch.tensor([0]), torch.tensor([1]))
        if center:
            assert taught.argmax() == 7
            torch.testing.assert_close(taught.flip(0), taught)
            # 3 x 5 cells: the one above the middle lies 1/3 of the height off, the one beside it 1/5 of the width.
            above, beside = (float((taught[cell] / taught[7]).log()) for cell in (2, 6))
            assert (above, beside) == pytest.approx((-3 / 9 / (2 * 4 / 49), -3 / 25 / (2 * 4 / 49)), rel=1e-4)
        else:
            torch.testing.assert_close(taught, torch.full((15,), 1 / 15))
