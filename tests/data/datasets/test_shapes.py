from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch

from multimodal_attn.data.datasets.shapes import COLORS, SHAPES, SIZES, TEXTURES, Shapes
from multimodal_attn.data.reading.text import normalize_caption
from multimodal_attn.types import Box, Target

LEFT_OF, ABOVE = ({"left"}, {"above", "higher"})
RIGHT_OF, BELOW = ({"right"}, {"below", "underneath"})


@pytest.fixture(scope="module")
def scenes() -> Shapes:
    return Shapes("train", num_examples=120)


def _boxes(target: Target) -> dict[int, Box]:
    return {noun: boxes[0] for noun, boxes in target.boxes.items()}


def _described(target: Target) -> set[tuple[str, Box]]:
    """What a caption says of each object, and where it lies."""
    words = target.text.split()
    found = set()
    for noun, box in _boxes(target).items():
        start = noun
        while words[start - 1] not in ("a", "the"):
            start -= 1
        found.add((" ".join(words[start : noun + 1]), box))
    return found


def test_example_has_the_promised_form(scenes: Shapes) -> None:
    example = scenes[3]
    assert example.source.shape == (3, 96, 96)
    assert example.source.dtype == torch.uint8
    assert example.source.is_contiguous()
    assert len({scenes[i].key for i in range(20)}) == 20
    assert len(scenes) == len(scenes.lengths()) == 120
    assert scenes.skipped == []


def test_texts_are_the_captions_of_the_examples(scenes: Shapes) -> None:
    assert scenes.texts() == [target.text for i in range(len(scenes)) for target in scenes[i].targets]


def test_captions_are_normalised_and_of_moderate_length(scenes: Shapes) -> None:
    for text in scenes.texts():
        assert normalize_caption(text) == text
        assert 10 <= len(text.split()) <= 18


def test_five_paraphrases_say_the_same_in_other_words(scenes: Shapes) -> None:
    for i in range(len(scenes)):
        targets = scenes[i].targets
        assert len({target.text for target in targets}) == 5
        # The first word settles the template, so that a text never hangs between two of them.
        assert len({target.text.split()[0] for target in targets}) == 5
        assert all(_described(target) == _described(targets[0]) for target in targets)


def test_every_noun_has_the_box_of_its_object(scenes: Shapes) -> None:
    for i in range(len(scenes)):
        for target in scenes[i].targets:
            words = target.text.split()
            assert set(target.boxes) == {index for index, word in enumerate(words) if word in SHAPES}
            for box in _boxes(target).values():
                assert 0 <= box.left < box.right <= 1
                assert 0 <= box.top < box.bottom <= 1


def test_the_described_colour_fills_the_box(scenes: Shapes) -> None:
    """Reads the picture itself: inside a noun's box the pixels near to a palette colour are of the named colour."""
    palette = np.array([*COLORS.values()], float)
    for i in range(len(scenes)):
        pixels = scenes[i].source.permute(1, 2, 0).double().numpy()
        for phrase, box in _described(scenes[i].targets[0]):
            left, top, right, bottom = (round(96 * edge) for edge in box)
            inside = pixels[top:bottom, left:right].reshape(-1, 3)
            distances = np.linalg.norm(inside[:, None] - palette, axis=2)
            votes = np.bincount(distances.argmin(1)[distances.min(1) < 45], minlength=len(palette))
            assert [*COLORS][votes.argmax()] in phrase.split()


def test_size_words_follow_the_boxes(scenes: Shapes) -> None:
    for i in range(len(scenes)):
        for phrase, box in _described(scenes[i].targets[0]):
            extent = max(box.right - box.left, box.bottom - box.top)
            low, high = SIZES[phrase.split()[0]]
            assert low - 0.02 <= extent <= high + 0.02


def test_relations_hold_between_the_boxes(scenes: Shapes) -> None:
    seen = set()
    for i in range(len(scenes)):
        for target in scenes[i].targets:
            words = target.text.split()
            (_, first), (_, second) = sorted(_boxes(target).items())
            (relation,) = set(words) & (LEFT_OF | ABOVE | RIGHT_OF | BELOW)
            seen.add(relation)
            if words[0] == relation:  # "left of a ring there is a star"
                first, second = second, first
            if relation in RIGHT_OF | BELOW:
                first, second = second, first
            if relation in LEFT_OF | RIGHT_OF:
                assert first.right < second.left
            else:
                assert first.bottom < second.top
    assert seen == LEFT_OF | ABOVE | RIGHT_OF | BELOW


def test_every_attribute_occurs(scenes: Shapes) -> None:
    words = {word for text in scenes.texts() for word in text.split()}
    assert {*COLORS, *SHAPES, *SIZES, *filter(None, TEXTURES)} <= words


def test_scenes_depend_on_seed_split_and_index_alone(scenes: Shapes) -> None:
    again = Shapes("train", num_examples=50)
    assert torch.equal(again[49].source, scenes[49].source)
    assert again[49].targets == scenes[49].targets
    for other in (Shapes("val", 50), Shapes("test", 50), Shapes("train", 50, seed=1)):
        assert not set(other.texts()) & set(again.texts())
        assert not torch.equal(other[0].source, again[0].source)
    assert all(not torch.equal(scenes[a].source, scenes[b].source) for a, b in pairwise(range(20)))


def test_captions_do_not_depend_on_the_picture_size(scenes: Shapes) -> None:
    small = Shapes("train", 20, image_size=64)
    assert small[0].source.shape == (3, 64, 64)
    assert small.texts() == scenes.texts()[: 5 * 20]
    for fine, coarse in zip(*(sorted(_described(s[0].targets[0])) for s in (scenes, small)), strict=True):
        assert fine[1] == pytest.approx(coarse[1], abs=0.03)


def test_fewer_captions_are_the_first_ones(scenes: Shapes) -> None:
    two = Shapes("train", 5, captions_per_scene=2)
    assert len(two.texts()) == 10
    assert two[4].targets == scenes[4].targets[:2]


def test_pickles_without_the_pictures_it_drew() -> None:
    scenes = Shapes("val", 10)
    pictures = [scenes[i].source for i in range(10)]
    packed = pickle.dumps(scenes)
    assert len(packed) < 4096
    assert torch.equal(pickle.loads(packed)[7].source, pictures[7])


def test_a_full_cache_still_gives_every_scene(scenes: Shapes) -> None:
    cramped = Shapes("train", 4, cache_bytes=2 * 3 * 96 * 96)
    for _ in range(2):
        assert all(torch.equal(cramped[i].source, scenes[i].source) for i in range(4))
    assert cramped[0].source is cramped[0].source
    assert cramped[3].source is not cramped[3].source


def test_iteration_ends(scenes: Shapes) -> None:
    assert len(list(Shapes("test", 3))) == 3
    with pytest.raises(IndexError):
        scenes[len(scenes)]


def test_number_of_scenes_may_differ_between_splits() -> None:
    assert [len(Shapes(split, {"train": 4, "val": 2})) for split in ("train", "val")] == [4, 2]
    with pytest.raises(ValueError, match=r"data\.num_examples: no number for test; expected one for train, val, test"):
        Shapes("test", {"train": 4, "val": 2})
