"""What a kind of source has to offer so that figures, tables and the page can show it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from multimodal_attn.evaluation.texts.ptb import ptb_tokenize
from multimodal_attn.evaluation.texts.rouge import RougeL
from multimodal_attn.inspection.page.packing import rounded_number
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.types import Layout

LayoutOf = TypeVar("LayoutOf", bound=Layout)

NEARLY_UNIFORM = 0.95
"""Relative entropy from which a map is called nearly uniform: of 64 cells it spreads over 52 or more."""


class Sound(NamedTuple):
    """A mono waveform (L,) float32 in [-1, 1], and its rate in Hz."""

    waveform: np.ndarray
    sample_rate: int


class SourceView(ABC, Generic[LayoutOf]):
    """One prediction, as its kind of source is shown.

    A new kind of source is one such class, the script of its ``name`` beside it, and a line in ``views/__init__.py``.

    Args:
        prediction: to show.
        layout: its own.
    """

    name: ClassVar[str]
    """Of the script beside this file that draws the page's side of it, and there of its class in ``views``."""

    def __init__(self, prediction: Prediction, layout: LayoutOf) -> None:
        self.prediction, self.layout = prediction, layout

    @abstractmethod
    def draw(self, limit: float | None = None) -> Image.Image:
        """The static sheet.

        Args:
            limit: at the top of the color scale; the prediction's own largest if None. Give
                ``views.heat_limit(predictions)`` for sheets that are to be compared.
        """

    @abstractmethod
    def source(self) -> dict[str, Any]:
        """What the page holds of the source: the same for every hypothesis."""

    def truth(self) -> dict[str, Any]:
        """What the page holds of one hypothesis beside its text and weights."""
        return {}

    def measures(self) -> dict[str, float | None]:
        """Values of ``page.data.MEASURES`` that only this kind of source has, or has in its own way."""
        return {"rouge_l": self._rouge_l()}

    def sound(self) -> Sound | None:
        """What can be listened to."""
        return None

    def shown_weights(self, each_head: bool = False) -> np.ndarray:
        """What is drawn, the mean over heads or each head: the largest of it ends the color scale.

        Shapes:
            Returns (..., S).
        """
        weights = self.prediction.weights
        return weights if each_head else weights.mean(axis=1)

    def word_maps(self) -> np.ndarray:
        """The mean map of each word, and under it each head's where there are several.

        Shapes:
            Returns (1, W, S) for a single head, else (1 + N, W, S).
        """
        prediction = self.prediction
        if prediction.weights.shape[1] < 2 or not prediction.word_tokens:
            return prediction.word_weights[None]
        heads = [prediction.weights[first:stop].mean(axis=0) for _, first, stop in prediction.word_tokens]
        return np.concatenate([prediction.word_weights[None], np.stack(heads, axis=1)])  # a word's are (N, S)

    def _rouge_l(self) -> float | None:
        if not self.prediction.references:
            return None
        rouge = RougeL([[ptb_tokenize(text) for text in self.prediction.references]])
        return rounded_number(rouge([ptb_tokenize(self.prediction.text)])[0], 3)
