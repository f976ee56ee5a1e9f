"""The one color scale of figures and page: what a weight looks like, and where its scale ends."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps

# Perceptually uniform, and its lightness alone orders it: it reads the same for color-blind eyes and in gray print.
HEAT = colormaps["inferno"](np.arange(256))[:, :3].astype(np.float32)  # (256, 3) in [0, 1]
TRUTH = "#19d3f3"  # true boxes and times: a hue that the heat colors never take

# Over a photo, no weight dims it a little, and the top of the scale nearly covers it.
# The photo keeps only a part of its own color, so that a yellow dress cannot be taken for attention.
ALPHA_FLOOR, ALPHA_RANGE = 0.15, 0.7
PHOTO_COLOR = 0.3
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def heat_colors(weights: np.ndarray, limit: float) -> np.ndarray:
    """RGB in [0, 1] for weights on the scale from 0 to ``limit``.

    Shapes:
        weights: any. Returns (..., 3).
    """
    codes = np.clip(np.nan_to_num(weights) / limit, 0, 1) * 255
    return HEAT[np.rint(codes).astype(np.uint8)]


def above_uniform(weights: np.ndarray) -> np.ndarray:
    """What a weight has more than a uniform map has: a map that looks everywhere leaves a photo gray.

    Shapes:
        weights: (..., S). Returns the same, from 0 up.
    """
    return np.maximum(np.nan_to_num(weights) - 1 / max(weights.shape[-1], 1), 0)


def blend(photo: np.ndarray, weights: np.ndarray, limit: float) -> np.ndarray:
    """Heat over a photo of the same size, whose color runs with the square root of the weight.

    One word in a caption often holds a hundred times the weight of a uniform map in a cell; on a linear scale for all
    words every other map would have one color. The ticks of the scale say what a color stands for. Opacity falls
    faster than color, so that what hardly differs from uniform does not cover the photo.

    Shapes:
        photo: (H, W, 3) in [0, 1]. weights: above uniform, (H, W). Returns (H, W, 3) in [0, 1].
    """
    gray = (photo @ _LUMA)[..., None]
    photo = PHOTO_COLOR * photo + (1 - PHOTO_COLOR) * gray
    levels = np.sqrt(np.clip(np.nan_to_num(weights) / limit, 0, 1))
    alpha = ALPHA_FLOOR + ALPHA_RANGE * levels[..., None] ** 1.5
    return (1 - alpha) * photo + alpha * heat_colors(levels, 1.0)
