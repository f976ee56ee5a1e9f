"""The one colour scale of figures and page: what a weight looks like, and where its scale ends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps

from multimodal_attn.types import Grid

if TYPE_CHECKING:
    from multimodal_attn.prediction.prediction import Prediction

# Perceptually uniform, and its lightness alone orders it: it reads the same for colour-blind eyes and in grey print.
HEAT = colormaps["inferno"](np.arange(256))[:, :3].astype(np.float32)  # (256, 3) in [0, 1]
TRUTH = "#19d3f3"  # true boxes and times: a hue that the heat colours never take

# Over a photo, a weight of 0 dims it a little and the top of the scale nearly covers it. The photo keeps only a part
# of its own colour, so that a yellow dress cannot be taken for attention.
ALPHA_FLOOR, ALPHA_RANGE = 0.3, 0.55
PHOTO_COLOR = 0.3
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def drawn_weights(record: Prediction) -> np.ndarray:
    """The mean over heads that a picture of this record shows: of its words on a Grid, of its tokens elsewhere.

    Shapes:
        Returns (W, S) or (T, S).
    """
    return record.word_weights if isinstance(record.layout, Grid) else record.weights.mean(axis=1)


def heat_limit(records: Iterable[Prediction]) -> float:
    """The largest weight drawn for any of these records: where their common scale ends (1 if there is none)."""
    peaks = [float(np.nan_to_num(weights).max()) for r in records if (weights := drawn_weights(r)).size]
    return max(peaks, default=0.0) or 1.0


def heat_colors(weights: np.ndarray, limit: float) -> np.ndarray:
    """RGB in [0, 1] for weights on the scale from 0 to ``limit``.

    Shapes:
        weights: any. Returns (..., 3).
    """
    codes = np.clip(np.nan_to_num(weights) / limit, 0, 1) * 255
    return HEAT[np.rint(codes).astype(np.uint8)]


def photo_levels(weights: np.ndarray, limit: float) -> np.ndarray:
    """Where weights lie on the colour scale of photos, which runs with the square root of the weight.

    One word in a caption often holds a hundred times the weight of a uniform map in a cell; on a linear scale for all
    words it would leave every other map black. The ticks of the scale say what a colour stands for.

    Shapes:
        weights: any. Returns the same, in [0, 1].
    """
    return np.sqrt(np.clip(np.nan_to_num(weights) / limit, 0, 1))


def blend(photo: np.ndarray, weights: np.ndarray, limit: float) -> np.ndarray:
    """Heat over a photo of the same size, on the scale of ``photo_levels``.

    Shapes:
        photo: (H, W, 3) in [0, 1]. weights: (H, W). Returns (H, W, 3) in [0, 1].
    """
    grey = (photo @ _LUMA)[..., None]
    photo = PHOTO_COLOR * photo + (1 - PHOTO_COLOR) * grey
    levels = photo_levels(weights, limit)
    alpha = ALPHA_FLOOR + ALPHA_RANGE * levels[..., None]
    return (1 - alpha) * photo + alpha * heat_colors(levels, 1.0)
