"""One view for each kind of source: the only place that asks what a prediction was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from multimodal_attn.inspection.views.base import SourceView
from multimodal_attn.inspection.views.picture import PictureView
from multimodal_attn.inspection.views.recording import RecordingView
from multimodal_attn.inspection.views.text import TextView
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.types import Grid, Timeline, TokenAxis

VIEWS: dict[type, Callable[[Prediction, Any], SourceView[Any]]] = {
    Grid: PictureView,
    Timeline: RecordingView,
    TokenAxis: TextView,
}


def view_of(prediction: Prediction) -> SourceView[Any]:
    """The view of a prediction.

    Raises:
        ValueError: if there is none for its layout.
    """
    view = VIEWS.get(type(prediction.layout))
    if view is None:
        known = ", ".join(layout.__name__ for layout in VIEWS)
        raise ValueError(f"{prediction.key}: nothing shows a {type(prediction.layout).__name__}; expected {known}")
    return view(prediction, prediction.layout)


def heat_limit(predictions: Iterable[Prediction], each_head: bool = False) -> float:
    """Where the common color scale of predictions ends: the largest weight drawn for any of them (1 if there is none).

    Args:
        predictions: to be compared.
        each_head: while heads are shown by themselves, which are sharper than their mean.
    """
    shown = (view_of(prediction).shown_weights(each_head) for prediction in predictions)
    return max((float(np.nan_to_num(weights).max(initial=0.0)) for weights in shown), default=0.0) or 1.0
