"""Rendered scenes of colored shapes with captions and the true box of every noun: a demonstration without a download.

A viewer can verify every caption. It speaks of the two big objects and leaves the colored tiny ones and everything
gray out. The first of the two is the one nearer to the top left corner; it is left of or above the other, whichever
of the two distances is clearly the larger. A surface without stripes, dots or checks has no word.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from annotated_types import Ge, Le
from PIL import Image, ImageDraw
from torch import Tensor

from multimodal_attn.data.datasets.base import Dataset, Entry, LazyEntries, Split, number_of_examples
from multimodal_attn.data.modalities.picture import PictureReader
from multimodal_attn.ranges import Count, Seed, WholeNumber
from multimodal_attn.types import Box, Example, Target

COLORS = {
    "red": (222, 38, 38),
    "orange": (250, 138, 20),
    "yellow": (244, 222, 45),
    "green": (40, 168, 60),
    "cyan": (55, 208, 222),
    "blue": (45, 82, 226),
    "purple": (142, 52, 190),
    "pink": (250, 130, 190),
}
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "diamond", "crescent")
TEXTURES = ("", "striped", "dotted", "checkered")
SIZES = {"small": (0.18, 0.20), "large": (0.28, 0.30)}
"""Extent of the described objects in fractions of the picture's side, from and to."""
TINY = (0.11, 0.12)
"""Extent of the colored objects that no caption mentions."""

# Each template starts with another word, which therefore settles all that follows. {0} is the object nearer to the
# top left.
_LEFT_OF = (
    "a {0} is left of a {1}",
    "the {1} is to the right of the {0}",
    "there is a {0} on the left side of a {1}",
    "left of a {1} there is a {0}",
    "we see a {1} on the right of a {0}",
)
_ABOVE = (
    "a {0} is above a {1}",
    "the {1} is down below the {0}",
    "there is a {0} higher up than a {1}",
    "above a {1} there is a {0}",
    "we see a {1} somewhere underneath a {0}",
)


class _Object(NamedTuple):
    size: str  # "" for the tiny ones
    texture: str
    color: str
    shape: str
    extent: float  # of the longer side, a fraction of the picture's side
    x: float  # of the center
    y: float
    turn: int  # degrees

    @property
    def words(self) -> str:
        return " ".join(filter(None, (self.size, self.texture, self.color, self.shape)))


@dataclass(frozen=True)
class _Scene:
    described: tuple[_Object, _Object]
    tiny: tuple[_Object, ...]
    horizontal: bool


class Shapes(Dataset):
    """Scenes that are drawn when they are asked for, from nothing but the seed, the split and the index.

    Args:
        split: "train", "val" or "test"; no scene seed is shared between them.
        num_examples: scenes in this split, or a number for each split.
        image_size: side of the square pictures in pixels.
        seed: of all scenes.
        captions_per_scene: 1 to 5; all say the same, each in the words of another template.
        cache_bytes: what drawn pictures may take in memory, in each process; later ones are drawn anew each time.

    Raises:
        ValueError: if there is no number for the split.
    """

    def __init__(
        self,
        split: Split,
        num_examples: Count | Mapping[Split, Count],
        image_size: Annotated[int, Ge(48), Le(4096)] = 96,  # in less, the textures cannot be told apart
        seed: Seed = 0,
        captions_per_scene: Annotated[int, Ge(1), Le(len(_ABOVE))] = len(_ABOVE),
        cache_bytes: WholeNumber = 2**29,
    ) -> None:
        number = number_of_examples(split, num_examples)
        super().__init__(PictureReader(image_size), LazyEntries(number, self._entry))
        self.split, self.image_size, self.seed = split, image_size, seed
        self.captions_per_scene = captions_per_scene
        self._room = cache_bytes // (3 * image_size**2)
        self._drawn: dict[int, Example] = {}

    def _entry(self, index: int) -> Entry:
        if (drawn := self._drawn.get(index)) is not None:
            return Entry(drawn.key, drawn.targets)
        return Entry(f"{self.split}-{index:06d}", self._targets(self._scene(index)))

    def __getitem__(self, index: int) -> Example:
        """The scene, laid out once for picture and captions.

        Shapes:
            source: (3, image_size, image_size) uint8.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        example = self._drawn.get(index)
        if example is None:
            scene = self._scene(index)
            pixels = _render(scene, self.image_size, self._random(index, "pixels"))
            source = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
            example = Example(f"{self.split}-{index:06d}", source, self._targets(scene))
            if len(self._drawn) < self._room:
                self._drawn[index] = example
        return example

    def read(self, index: int) -> Tensor | str:
        return self[index].source

    def texts(self) -> list[str]:
        return [text for index in range(len(self)) for text in self._captions(self._scene(index))]

    def lengths(self) -> list[float]:
        return [1.0] * len(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_drawn": {}}  # a worker draws its own: cheaper than sending all pictures

    def _scene(self, index: int) -> _Scene:
        return _lay_out(self._random(index, "layout"))

    def _random(self, index: int, purpose: str) -> Random:
        return Random(f"shapes {self.seed} {self.split} {index} {purpose}")

    def _captions(self, scene: _Scene) -> list[str]:
        templates = _LEFT_OF if scene.horizontal else _ABOVE
        return [t.format(*(o.words for o in scene.described)) for t in templates[: self.captions_per_scene]]

    def _targets(self, scene: _Scene) -> tuple[Target, ...]:
        boxes = [_box(object_, self.image_size) for object_ in scene.described]
        targets = []
        for text, template in zip(self._captions(scene), _LEFT_OF if scene.horizontal else _ABOVE, strict=False):
            nouns = [i for i, word in enumerate(text.split()) if word in SHAPES]
            order = (0, 1) if template.index("{0}") < template.index("{1}") else (1, 0)
            targets.append(Target(text, {noun: (boxes[which],) for noun, which in zip(nouns, order, strict=True)}))
        return tuple(targets)


# --------------------------------------------------------------------------------------------------- layout


def _lay_out(random: Random) -> _Scene:
    """Two objects whose relation leaves no doubt, and one to three tiny ones."""
    sizes = random.choices(tuple(SIZES), k=2)
    extents = [random.uniform(*SIZES[size]) for size in sizes]
    horizontal = random.random() < 0.5
    margins = [0.02 + extent / 2 for extent in extents]
    while True:
        (x0, y0), (x1, y1) = ((random.uniform(m, 1 - m), random.uniform(m, 1 - m)) for m in margins)
        along, across = (x1 - x0, abs(y1 - y0)) if horizontal else (y1 - y0, abs(x1 - x0))
        if along >= sum(extents) / 2 + 0.04 and across <= 0.5 * along:
            break
    looks = random.sample(range(len(COLORS) * len(SHAPES)), 2)
    described = (
        _make(random, sizes[0], looks[0], extents[0], x0, y0),
        _make(random, sizes[1], looks[1], extents[1], x1, y1),
    )
    tiny: list[_Object] = []
    for _ in range(random.randint(1, 3)):
        extent = random.uniform(*TINY)
        for _ in range(50):
            x, y = (random.uniform(0.02 + extent / 2, 0.98 - extent / 2) for _ in range(2))
            gaps = (max(abs(o.x - x), abs(o.y - y)) - (o.extent + extent) / 2 for o in (*described, *tiny))
            if min(gaps) >= 0.03:
                tiny.append(_make(random, "", random.randrange(len(COLORS) * len(SHAPES)), extent, x, y))
                break
    return _Scene(described, tuple(tiny), horizontal)


def _make(random: Random, size: str, look: int, extent: float, x: float, y: float) -> _Object:
    color, shape = tuple(COLORS)[look // len(SHAPES)], SHAPES[look % len(SHAPES)]
    # Few degrees, in few steps: a square stays apart from a diamond, and masks are found in their cache.
    return _Object(size, random.choice(TEXTURES), color, shape, extent, x, y, random.choice((-10, -5, 0, 5, 10)))


# -------------------------------------------------------------------------------------------------- drawing


def _outline(shape: str) -> np.ndarray:
    """Corner points (n, 2), y downwards, of any size."""
    if shape in ("circle", "ring"):
        return _arc(0, 360)
    if shape == "square":
        return np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
    if shape == "triangle":
        return np.array([(0, -1), (1, 0.8), (-1, 0.8)], float)
    if shape == "star":
        return _arc(-90, 270, 11)[:-1] * np.where(np.arange(10) % 2, 0.45, 1.0)[:, None]
    if shape == "cross":
        arm = np.array([(-0.34, -1), (0.34, -1), (0.34, -0.34)])
        turn = np.array([(0, 1), (-1, 0)])
        return np.concatenate([arm, arm @ turn, arm @ turn @ turn, arm @ turn @ turn @ turn])
    if shape == "diamond":
        return np.array([(0, -1), (0.72, 0), (0, 1), (-0.72, 0)], float)
    # A crescent opens to the right: a large arc, and back along a shifted one.
    return np.concatenate([_arc(50, 310), _arc(285, 75) * 0.78 + (0.45, 0)])


def _arc(start: float, end: float, points: int = 48) -> np.ndarray:
    angles = np.radians(np.linspace(start, end, points))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


@lru_cache(maxsize=4096)
def _mask(shape: str, extent: int, turn: int) -> np.ndarray:
    """Opacity (height, width, 1) in [0, 1], cropped to the shape, whose longer side is ``extent`` pixels."""
    angle = math.radians(turn)
    points = _outline(shape) @ np.array([(math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))])
    points -= points.min(axis=0)
    points *= extent / points.max()
    width, height = (int(side) for side in np.ceil(points.max(axis=0) - 1e-6))
    fine = 4  # drawn this much larger, then reduced: Pillow's own edges are jagged
    canvas = Image.new("L", (width * fine, height * fine))
    draw = ImageDraw.Draw(canvas)
    draw.polygon([tuple(p) for p in points * fine], fill=255)
    if shape == "ring":
        hole = (points - points.max(axis=0) / 2) * 0.45 + points.max(axis=0) / 2
        draw.polygon([tuple(p) for p in hole * fine], fill=0)
    return np.asarray(canvas.reduce(fine), np.float32)[..., None] / 255


@lru_cache(maxsize=1024)
def _pattern(texture: str, side: int, image_size: int, across: bool) -> np.ndarray:
    """Where (side, side, 1) the second tone shows."""
    y, x = np.mgrid[:side, :side] + 0.5
    period = image_size / 16
    if texture == "striped":
        tone = (y if across else x) % period < period / 2
    elif texture == "dotted":
        tone = np.hypot(x % period - period / 2, y % period - period / 2) < 0.32 * period
    elif texture == "checkered":
        cell = 1.15 * period  # wider than a stripe, or the two look alike in a small picture
        tone = (x // cell + y // cell) % 2 == 0
    else:
        tone = np.zeros_like(x, bool)
    return tone[..., None]


@lru_cache(maxsize=4)
def _noise(image_size: int) -> np.ndarray:
    """More noise than a picture needs, to be cut from: fresh noise would take as long as all the rest."""
    return np.random.default_rng(0).normal(0, 7, (2 * image_size, 2 * image_size, 3)).astype(np.float32)


def _place(object_: _Object, image_size: int) -> tuple[int, int, np.ndarray]:
    """Left and top pixel of an object, and its mask."""
    mask = _mask(object_.shape, round(object_.extent * image_size), object_.turn)
    height, width = mask.shape[:2]
    return round(object_.x * image_size - width / 2), round(object_.y * image_size - height / 2), mask


def _box(object_: _Object, image_size: int) -> Box:
    left, top, mask = _place(object_, image_size)
    height, width = mask.shape[:2]
    return Box(left / image_size, top / image_size, (left + width) / image_size, (top + height) / image_size)


def _render(scene: _Scene, image_size: int, random: Random) -> np.ndarray:
    """Picture (image_size, image_size, 3) uint8."""
    dark = random.random() < 0.4
    pixels = _background(image_size, dark, random)
    # Against the background, so that the second tone never looks like a hole in the object.
    second = np.float32(238 if dark else 28)
    for object_ in (*scene.tiny, *scene.described):
        left, top, mask = _place(object_, image_size)
        height, width = mask.shape[:2]
        pattern = _pattern(object_.texture, image_size // 2, image_size, random.random() < 0.5)
        dx, dy = random.randrange(8), random.randrange(8)
        color = np.array([c + random.uniform(-12, 12) for c in COLORS[object_.color]], np.float32)
        fill = np.where(pattern[dy : dy + height, dx : dx + width], second, color)
        patch = pixels[top : top + height, left : left + width]
        patch += mask * (fill - patch)
    dx, dy = random.randrange(image_size), random.randrange(image_size)
    pixels += _noise(image_size)[dy : dy + image_size, dx : dx + image_size]
    return pixels.clip(0, 255).astype(np.uint8)


def _background(image_size: int, dark: bool, random: Random) -> np.ndarray:
    """A tinted gradient (image_size, image_size, 3) float32 strewn with gray lines, specks and fragments."""
    level = random.uniform(25, 60) if dark else random.uniform(185, 225)
    ramp = np.linspace(-1, 1, image_size, dtype=np.float32)
    tilt = random.uniform(-22, 22) * ramp[:, None] + random.uniform(-22, 22) * ramp
    tint = np.array([level + random.uniform(-14, 14) for _ in range(3)], np.float32)
    image = Image.fromarray((tilt[..., None] + tint).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)

    def point() -> tuple[float, float]:
        return random.random() * image_size, random.random() * image_size

    def gray() -> tuple[int, int, int]:
        return (random.randrange(80, 130) if dark else random.randrange(95, 165),) * 3

    for _ in range(random.randint(2, 4)):
        draw.line([point(), point()], fill=gray(), width=1)
    for _ in range(random.randint(3, 6)):  # fragments
        x, y = point()
        reach = 0.04 * image_size
        corners = [(x + random.uniform(-reach, reach), y + random.uniform(-reach, reach)) for _ in range(4)]
        draw.polygon(corners, fill=gray())
    draw.point([point() for _ in range(random.randint(15, 40))], fill=gray())
    return np.asarray(image).astype(np.float32)
